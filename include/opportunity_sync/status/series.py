"""What runs did, what waited and how far the store had drifted, over time: behind the plots.

A point for each run would be thousands. So the database adds up what runs did, in steps that a plot
of a screen's width can show, and of what waited the most within a step is told.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, and_, case, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from opportunity_sync.store.journal.signs import count_changes
from opportunity_sync.store.schema.tables import backlog_sample, sync_run, sync_run_entity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection
    from sqlalchemy.sql.compiler import SQLCompiler

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTED = ("inserted", "updated", "deleted", "refused")
# How far back, and in which steps.
SPANS: Final = {
    "day": (timedelta(days=1), timedelta(minutes=30)),
    "week": (timedelta(days=7), timedelta(hours=3)),
    "month": (timedelta(days=30), timedelta(days=1)),
}


def series(connection: Connection, span: str, *, now: datetime) -> dict[str, Any]:
    """What runs did (`throughput`), what waited (`backlog`) and `drift`, by step and table.

    Drift is what reconciliations `compared` and, of that, `mended`. `span` is one of `SPANS`. Each
    row says at which instant its step began (`at`); a step in which nothing happened has no row.
    """
    length, step = SPANS[span]
    since = step_of(now - length, step)
    sums = _sums_of_runs(connection, since, step)
    return {
        "span": span,
        "since": since,
        "until": now,
        "step_seconds": int(step.total_seconds()),
        "throughput": [_pick_counts(row, _COUNTED) for row in sums],
        "backlog": _backlog(connection, since, step),
        "drift": [_pick_counts(row, ("compared", "mended")) for row in sums if row["compared"]],
    }


def step_of(moment: datetime, step: timedelta) -> datetime:
    """When the step began in which the moment lies; steps are counted from midnight, UTC."""
    return moment - (moment - _EPOCH) % step


def _sums_of_runs(connection: Connection, since: datetime, step: timedelta) -> list[dict[str, Any]]:
    """The sums of what runs did that ended in each step; `mended`: by those that compared."""
    counts = sync_run_entity.c
    number = _StepNumber(sync_run.c.ended_at, step=step).label("number")
    is_of_run = and_(counts.dag_id == sync_run.c.dag_id, counts.run_id == sync_run.c.run_id)
    summed: dict[str, ColumnElement[int]] = {n: counts[n] for n in (*_COUNTED, "compared")}
    summed["mended"] = case((counts.compared > 0, count_changes()), else_=0)
    sums = [func.sum(each).label(name) for name, each in summed.items()]
    query = (
        select(number, counts.entity, *sums)
        .join_from(sync_run, sync_run_entity, is_of_run)
        .where(sync_run.c.ended_at >= since)
        .group_by(number, counts.entity)
        .order_by(number, counts.entity)
    )
    rows = connection.execute(query).mappings()
    return [_beginning(row, step) | {name: int(row[name]) for name in summed} for row in rows]


def _pick_counts(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: row[name] for name in ("at", "entity", *names)}


def _backlog(connection: Connection, since: datetime, step: timedelta) -> list[dict[str, Any]]:
    """The most that waited in each step."""
    sample = backlog_sample.c
    number = _StepNumber(sample.as_of, step=step).label("number")
    query = (
        select(number, sample.entity, func.max(sample.waiting).label("waiting"))
        .where(sample.as_of >= since)
        .group_by(number, sample.entity)
        .order_by(number, sample.entity)
    )
    rows = connection.execute(query).mappings()
    return [_beginning(row, step) | {"waiting": row["waiting"]} for row in rows]


def _beginning(row: Any, step: timedelta) -> dict[str, Any]:
    return {"at": _EPOCH + row["number"] * step, "entity": row["entity"]}


class _StepNumber(FunctionElement[int]):
    """How many whole steps have passed between 1970 and an instant of the store."""

    name = "step_number"
    type = BigInteger()
    inherit_cache = False  # the length of a step is part of the text

    def __init__(self, instant: ColumnElement[Any], *, step: timedelta) -> None:
        super().__init__(instant)
        self.seconds = int(step.total_seconds())


@compiles(_StepNumber, "postgresql")
def _count_in_postgresql(element: _StepNumber, compiler: SQLCompiler, **how: Any) -> str:
    instant = compiler.process(element.clauses, **how)
    return f"floor(extract(epoch FROM {instant}) / {element.seconds})::bigint"


@compiles(_StepNumber, "sqlite")
def _count_in_sqlite(element: _StepNumber, compiler: SQLCompiler, **how: Any) -> str:
    instant = compiler.process(element.clauses, **how)
    return f"CAST(strftime('%s', {instant}) AS INTEGER) / {element.seconds}"
