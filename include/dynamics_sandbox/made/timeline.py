"""When made-up rows were created and modified, and the version each change got.

Versions are organisation-wide and rise with time, over all tables alike. Rows are modified over
a year and a half, but a tenth of each table in one and the same second, as a bulk import leaves
them, so that a reader can't page or resume by time alone. A few rows were migrated: created long
before they came in. A few were written back-dated: old by their time, new by their version.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from math import gcd
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_DAY = 86_400
_START = int(datetime(2024, 1, 1, 6, tzinfo=UTC).timestamp())
_SPAN = 540 * _DAY
_IMPORTED = (4, 5)  # tenths of a table between which all rows share the second
_FIRST_VERSION = 1_000_000
_TABLES_AT_MOST = 16


class Dice(Random):
    """Chance that comes out the same for the same seed."""

    def pick(self, pool: Sequence[T]) -> T:
        return pool[int(self.random() * len(pool))]

    def chance(self, share: float) -> bool:
        return self.random() < share

    def between(self, first: int, last: int) -> int:
        """A whole number, both ends included; `randint` takes three times as long."""
        return first + int(self.random() * (last - first + 1))

    def maybe(self, value: T, share: float = 0.8) -> T | None:
        """The value, or null."""
        return value if self.random() < share else None


def instant(seconds: int) -> str:
    """The wire form of a time."""
    days, rest = divmod(seconds, _DAY)
    return f"{_day(days)}T{_clock(rest)}Z"


@cache
def _day(days: int) -> str:
    return datetime.fromtimestamp(days * _DAY, UTC).date().isoformat()


@cache
def _clock(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def some_day(dice: Dice, first_year: int, last_year: int) -> str:
    """A date between two years."""
    return (
        f"{dice.between(first_year, last_year)}-{dice.between(1, 12):02}-{dice.between(1, 28):02}"
    )


class Timeline:
    """Versions and times for one table's rows, scattered over the time and over other tables."""

    def __init__(self, *, table_number: int, count: int, longest: int) -> None:
        """`longest` is the row count of the largest table: all tables share one time line."""
        self._number = table_number
        self._count = count
        self._longest = max(longest, count)
        self._stride = next(
            step for step in range(int(count * 0.618) or 1, count * 2 + 2) if gcd(step, count) == 1
        )

    def stamps(self, number: int, dice: Dice) -> dict[str, Any]:
        """Version and times of the row with this number; no other row has its version."""
        place = number * self._stride % self._count
        tick = place * self._longest // self._count
        low, high = (self._count * tenth // 10 for tenth in _IMPORTED)
        modified = _START + _SPAN * (low if low <= place < high else place) // self._count
        if dice.chance(0.005):
            modified -= dice.between(1, 30) * _DAY
        migrated = dice.chance(0.03)
        age = dice.between(2000, 4500) if migrated else dice.between(0, 400)
        return {
            "versionnumber": _FIRST_VERSION + tick * _TABLES_AT_MOST + self._number,
            "createdon": instant(modified - age * _DAY),
            "modifiedon": instant(modified),
            "overriddencreatedon": instant(modified) if migrated else None,
        }
