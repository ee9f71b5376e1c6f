"""One value at a time, as the response writes it: slow and exact, for columns with a bad value.

Each parser raises `ValueError` (or `ArithmeticError`) for a text that it can't take.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Final

MOST_DIGITS: Final = 40  # before the point, and behind it
_NUMBER: Final = r"-?\d+(\.\d+)?([eE][+-]?\d+)?"


def parse_instant(text: str) -> datetime:
    """An instant of whole seconds, UTC."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC).replace(microsecond=0)


def parse_date(text: str, zone: tzinfo | None) -> date:
    """A day; of an instant its day in the zone or, without one, the day that it names."""
    if len(text) == len("2026-02-03"):
        return date.fromisoformat(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return (moment.astimezone(zone) if zone else moment).date()


def parse_local_time(text: str) -> datetime:
    """A date and time of whole seconds, without the zone that may be written beside it."""
    if "T" not in text:
        raise ValueError
    return datetime.fromisoformat(text).replace(tzinfo=None, microsecond=0)


def parse_codes(text: str | None) -> list[int] | None:
    """The options of a text such as `1,3`; None where it is no such text."""
    parts = [part.strip() for part in (text or "").split(",")]
    if not all(re.fullmatch(r"-?[0-9]{1,10}", part) for part in parts):
        return None
    return [int(part) for part in parts]


def parse_number(text: str) -> str:
    """A number as plain decimal text, its exponent written out."""
    if len(text) > 4 * MOST_DIGITS or re.fullmatch(_NUMBER, text, re.ASCII) is None:
        raise ValueError
    number = Decimal(text)
    if number.adjusted() >= MOST_DIGITS or int(number.as_tuple().exponent) < -MOST_DIGITS:
        raise ValueError
    return f"{number:f}"
