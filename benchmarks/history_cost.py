"""What the history of opportunities costs a load: the same rows with it and without it.

A first load writes none. Where rows are written over, each changed one leaves a line.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from empty_stores import a_database, a_file

from opportunity_sync.model import OPPORTUNITY
from opportunity_sync.store import Change, lock_store, migrate, write_rows
from store_rows import NOON, fields_of, part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa
    from sqlalchemy import Engine

    from opportunity_sync.model import Entity

_PART = 5_000
_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that a load of opportunities takes with history and without it."""

    COLUMNS: ClassVar = "load|rows|with history s|without s|ratio"

    load: str
    rows: int
    with_history: float
    without: float

    def __str__(self) -> str:
        """A line of the table."""
        ratio = self.with_history / self.without
        seconds = f"{self.with_history:.2f} | {self.without:.2f}"
        return f"| {self.load} | {self.rows:,} | {seconds} | {ratio:.2f} |"


def history_costs(folder: Path, rows: int) -> list[Cost]:
    """A first load, one that changes every row, and one that changes none, of each database."""
    found = []
    for kind, made in (("sqlite", a_file), ("postgres", a_database)):
        took: dict[str, dict[bool, float]] = {}
        for _ in range(_REPEATS):
            for keeps in (True, False):
                with made(folder) as engine:
                    migrate(engine)
                    for load, seconds in _loads(engine, rows, keeps_history=keeps):
                        best = took.setdefault(load, {})
                        best[keeps] = min(seconds, best.get(keeps, seconds))
        found += [
            Cost(f"{load}, {kind}", rows, each[True], each[False]) for load, each in took.items()
        ]
    return found


def _loads(engine: Engine, rows: int, *, keeps_history: bool) -> Iterator[tuple[str, float]]:
    entity = replace(OPPORTUNITY, keeps_history=keeps_history)
    for number, (load, version) in enumerate(
        (("first load", 1), ("every row changed", 2), ("nothing changed", 2))
    ):
        parts = list(_parts(rows, version))
        started = time.perf_counter()
        _load(engine, entity, parts, number=number)
        yield load, time.perf_counter() - started


def _load(engine: Engine, entity: Entity, parts: list[pa.Table], *, number: int) -> None:
    change = Change(number + 1, number, NOON, run=("sync", f"run-{number}"))
    with lock_store(engine, wait_seconds=60) as connection:
        write_rows(connection, entity, parts, change=change, columns=fields_of(OPPORTUNITY))


def _parts(rows: int, version: int) -> Iterator[pa.Table]:
    for start in range(0, rows, _PART):
        yield part(
            OPPORTUNITY,
            *(
                {"id": number, "version_number": version, "name": f"{number} as of {version}"}
                for number in range(start, min(start + _PART, rows))
            ),
        )
