"""From measurements to figures: rates, ratios, and whether each aim is met.

An aim is a ratio within one run, so it holds on any machine; rates and seconds only say what this
machine makes of it.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

from measuring import Measured, median_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios import Pass

EXTRACT_AIM = 1.5
LOAD_AIM = 0.6
MEMORY_AIM = 1.3
_TENTH = 0.1

_PHASES = {
    "fetch_and_parse": "the same pages, requests + orjson, four at once",
    "fetch_at_once": "the same, bodies read in one piece",
    "extract": "extract to typed Parquet, four at once",
    "transform": "transform",
    "copy_public": "raw COPY of the public rows",
    "copy_all": "raw COPY of all rows that load writes",
    "load_postgres": "load into PostgreSQL",
    "load_again": "load again, nothing changed",
    "load_sqlite": "load into SQLite",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One measured phase; CPU of PostgreSQL is counted where it does the work."""

    COLUMNS: ClassVar = "phase|rows|s|rows/s|CPU s|peak MB"

    name: str
    rows: int
    seconds: float
    cpu_seconds: float | None
    peak_mb: float | None

    def __str__(self) -> str:
        """As the table shows it."""
        cpu = "" if self.cpu_seconds is None else _two_digits(self.cpu_seconds)
        peak = "" if self.peak_mb is None else f"{self.peak_mb:.0f}"
        rate = f"{self.rows / self.seconds:,.0f}"
        return f"| {self.name} | {self.rows:,} | {self.seconds:.2f} | {rate} | {cpu} | {peak} |"


@dataclass(frozen=True, slots=True)
class Aim:
    """A ratio and the bound that it is held to."""

    COLUMNS: ClassVar = "ratio|is|promised|"

    name: str
    ratio: float
    bound: float
    is_upper: bool = True
    remark: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the ratio is on the right side."""
        return self.ratio <= self.bound if self.is_upper else self.ratio >= self.bound

    def __str__(self) -> str:
        """As the table shows it."""
        sign, met = "<=" if self.is_upper else ">=", "met" if self.is_met else "MISSED"
        remark = f" ({self.remark})" if self.remark else ""
        ratio = f"{self.ratio:.2f}" if self.bound > _TENTH else f"{self.ratio:.4f}"
        return f"| {self.name} | {ratio} | {sign} {self.bound} | {met}{remark} |"


def medians(passes: Sequence[Pass]) -> Pass:
    """Every phase's median over the passes."""
    return {name: median_run([one[name] for one in passes]) for name in passes[0]}


def lines(found: Pass) -> list[Line]:
    """The phases of a pass, in the order of the pipeline."""
    rows = sum(found["extract"].results)
    written = {name: found[name].results[0] for name in ("copy_public", "copy_all")}
    shown = [
        _line(title, written.get(name, rows), found[name])
        for name, title in _PHASES.items()
        if name in found
    ]
    shown += [_end_to_end(found, rows, store) for store in ("postgres", "sqlite")]
    for store in ("postgres", "sqlite"):
        if plain := found.get(f"plain_{store}"):
            shown.append(_line(f"requests + pandas + to_sql, end to end, {store}", rows, plain))
    return shown


def plain_phases(found: Pass) -> list[Line]:
    """The plain loop's own phases."""
    plain = found["plain_postgres"].results[0]
    lite = found["plain_sqlite"].results[0]
    return [
        Line("plain loop: extract", plain["rows"], plain["extract_seconds"], None, None),
        Line("plain loop: to_sql, PostgreSQL", plain["rows"], plain["load_seconds"], None, None),
        Line("plain loop: to_sql, SQLite", lite["rows"], lite["load_seconds"], None, None),
    ]


def phase_line(name: str, rows: int, found: Measured) -> Line:
    """A phase that was measured by itself."""
    return _line(name, rows, found)


def aims(small: Pass, large: Pass, wide: Sequence[Measured]) -> list[Aim]:
    """What was asked for, and what came out; CPU ratios beside, for a machine that others load."""
    return [
        _extract_aim("small", small),
        _extract_aim("large", large),
        _load_aim("small", small),
        _load_aim("large", large),
        Aim("peak memory of extract, large : small", wide[1].peak_mb / wide[0].peak_mb, MEMORY_AIM),
        _memory_aim("PostgreSQL", small["load_postgres"], large["load_postgres"]),
        _memory_aim("SQLite", small["load_sqlite"], large["load_sqlite"]),
    ]


def machine() -> dict[str, Any]:
    """What it ran on."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        **{name: version(name) for name in ("pandas", "pyarrow", "msgspec", "psycopg")},
    }


def table(body: Sequence[Any]) -> str:
    """A Markdown table, readable as it is, of rows that know their columns."""
    columns = body[0].COLUMNS.split("|")
    rule = "|".join(["---", *["--:"] * (len(columns) - 1)])
    return "\n".join([f"| {' | '.join(columns)} |", f"|{rule}|", *map(str, body)])


def _two_digits(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds >= 1 else f"{seconds:.2f}"


def _line(name: str, rows: int, found: Measured) -> Line:
    return Line(name, rows, found.seconds, found.cpu_seconds, found.peak_mb)


def _end_to_end(found: Pass, rows: int, store: str) -> Line:
    phases = [found[name] for name in ("begin", "extract", "transform", f"load_{store}")]
    return Line(
        f"end to end, {store}",
        rows,
        sum(phase.seconds for phase in phases),
        None,
        max(phase.peak_mb for phase in phases),
    )


def _extract_aim(size: str, found: Pass) -> Aim:
    extract, rival, bare = (found[name] for name in ("extract", "fetch_and_parse", "fetch_at_once"))
    remark = (
        f"CPU {extract.cpu_seconds / rival.cpu_seconds:.2f}; to bodies read in one piece "
        f"{extract.seconds / bare.seconds:.2f}, CPU {extract.cpu_seconds / bare.cpu_seconds:.2f}"
    )
    ratio = extract.seconds / rival.seconds
    return Aim(f"extract : fetch and parse, {size}", ratio, EXTRACT_AIM, remark=remark)


def _load_aim(size: str, found: Pass) -> Aim:
    load, copy = found["load_postgres"], found["copy_all"]
    name, remark = (
        f"rate of load : raw COPY, {size}",
        f"CPU {copy.cpu_seconds / load.cpu_seconds:.2f}",
    )
    return Aim(name, copy.seconds / load.seconds, LOAD_AIM, is_upper=False, remark=remark)


def _memory_aim(store: str, small: Measured, large: Measured) -> Aim:
    name = f"peak memory of load into {store}, large : small"
    return Aim(name, large.peak_mb / small.peak_mb, MEMORY_AIM)
