"""Figures of incremental runs: what one costs, what it touches, and how its cost grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from incremental import TASKS, cpu_seconds
from report import Aim, Line, phase_line
from touched import ROLES, UNRESOLVED

from opportunity_sync.model import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from incremental import Incremental

CPU_AIM = 0.02
GROWTH_AIM = 1.25
SEQUENCE_AIM = 0.01

_SET_NAMES = {entity.name: entity.set_name for entity in DEFAULT_MODEL}


@dataclass(frozen=True, slots=True)
class Touch:
    """What an incremental run did to one table of the store."""

    COLUMNS: ClassVar = (
        "table|rows|changed in Dynamics|in reach|written|read by index|read in sequence"
    )

    table: str
    rows: int
    changed: int | None
    reached: int | None
    written: int
    by_index: int
    in_sequence: int

    def __str__(self) -> str:
        """As the table shows it."""
        numbers = (self.rows, self.changed, self.reached, self.written)
        shown = ["" if one is None else f"{one:,}" for one in numbers]
        shown += [f"{self.by_index:,}", f"{self.in_sequence:,}"]
        return f"| {self.table} | {' | '.join(shown)} |"


@dataclass(frozen=True, slots=True)
class Growth:
    """What the same changes cost, in CPU seconds, in a store of so many rows."""

    COLUMNS: ClassVar = (
        "rows in the store|changed|opportunities resolved again|begin|extract|transform|load|CPU s"
        "|read by index|read in sequence"
    )

    rows: int
    changed: int
    resolved: int
    cpu_seconds: Mapping[str, float]
    by_index: int
    in_sequence: int

    def __str__(self) -> str:
        """As the table shows it."""
        seconds = [self.cpu_seconds[task] for task in TASKS]
        shown = [f"{self.rows:,}", f"{self.changed:,}", f"{self.resolved:,}"]
        shown += [f"{each:.2f}" for each in (*seconds, sum(seconds))]
        shown += [f"{self.by_index:,}", f"{self.in_sequence:,}"]
        return f"| {' | '.join(shown)} |"


def costs(found: Incremental) -> list[Line]:
    """The tasks of the full sync and of the incremental run, and what each comes to."""
    changed = sum(found.first.run["extract"].results)
    return [
        line
        for name, run, rows in (
            ("full sync", found.full, found.rows),
            ("incremental", found.run, changed),
        )
        for line in (
            *(phase_line(f"{name}: {task}", rows, run[task]) for task in TASKS),
            Line(
                f"{name}, all tasks",
                rows,
                sum(run[task].seconds for task in TASKS),
                cpu_seconds(run),
                max(run[task].peak_mb for task in TASKS),
            ),
        )
    ]


def touches(found: Incremental) -> list[Touch]:
    """Every table that the run could touch."""
    first = found.first
    public = [entity.name for entity in DEFAULT_MODEL.public]
    facts = {entity.fact_table: entity.set_name for entity in DEFAULT_MODEL}
    sets = {**{name: _SET_NAMES[name] for name in public}, **facts}
    return [
        Touch(
            table,
            rows=first.touched[table].stored,
            changed=first.changed.get(sets.get(table, "")),
            reached=first.reached.get(table),
            written=first.touched[table].written,
            by_index=first.touched[table].by_index,
            in_sequence=first.touched[table].in_sequence,
        )
        for table in (*public, ROLES, UNRESOLVED, *facts)
    ]


def growth(found: Sequence[Incremental]) -> list[Growth]:
    """The same changes in stores of several sizes."""
    return [
        Growth(
            rows=each.rows,
            changed=sum(each.first.changed.values()),
            resolved=each.first.resolved,
            cpu_seconds={task: each.run[task].cpu_seconds for task in TASKS},
            by_index=sum(table.by_index for table in each.first.touched.values()),
            in_sequence=sum(table.in_sequence for table in each.first.touched.values()),
        )
        for each in found
    ]


def incremental_aims(
    stores: Mapping[str, Incremental], grown: Sequence[Incremental], *, start_seconds: float
) -> list[Aim]:
    """What is promised of incremental runs; `start_seconds`: CPU to start all its processes."""
    least, most = grown[0], grown[-1]
    in_sequence = sum(table.in_sequence for table in most.first.touched.values())
    return [
        *(_cost_aim(store, found, start_seconds) for store, found in stores.items()),
        Aim(
            f"CPU of the same changes, {most.rows:,} : {least.rows:,} rows stored",
            cpu_seconds(most.run) / cpu_seconds(least.run),
            GROWTH_AIM,
        ),
        Aim(
            f"rows read in sequence : rows stored, {most.rows:,}",
            in_sequence / most.rows,
            SEQUENCE_AIM,
        ),
    ]


def _cost_aim(store: str, found: Incremental, start_seconds: float) -> Aim:
    run, full = cpu_seconds(found.run), cpu_seconds(found.full)
    remark = (
        f"{run:.2f} s of {full:.1f} s; with {start_seconds:.1f} s to start Python for each task, "
        f"on both sides, {(run + start_seconds) / (full + start_seconds):.3f}"
    )
    name = f"CPU of an incremental run : full sync, {store}"
    return Aim(name, run / full, CPU_AIM, remark=remark)
