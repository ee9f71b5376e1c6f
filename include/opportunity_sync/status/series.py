"""What runs did and what waited, over time: the figures behind the plots.

A point for each run would be thousands. So what runs did is added up in steps that a plot of a
screen's width can show, and of what waited the most within a step is told.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, select

from opportunity_sync.store.schema.tables import backlog_sample, sync_run, sync_run_entity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTED = ("inserted", "updated", "deleted", "refused")
# How far back, and in which steps.
SPANS: Final = {
    "day": (timedelta(days=1), timedelta(minutes=30)),
    "week": (timedelta(days=7), timedelta(hours=3)),
    "month": (timedelta(days=30), timedelta(days=1)),
}


def series(connection: Connection, span: str, *, now: datetime) -> dict[str, Any]:
    """What runs did (`throughput`) and what waited (`backlog`) by step and table.

    `span` is one of `SPANS`. Each row says at which instant its step began (`at`); a step in which
    nothing happened has no row.
    """
    length, step = SPANS[span]
    since = step_of(now - length, step)
    return {
        "span": span,
        "since": since,
        "until": now,
        "step_seconds": int(step.total_seconds()),
        "throughput": _throughput(connection, since, step),
        "backlog": _backlog(connection, since, step),
    }


def step_of(moment: datetime, step: timedelta) -> datetime:
    """When the step began in which the moment lies; steps are counted from midnight, UTC."""
    return moment - (moment - _EPOCH) % step


def _throughput(connection: Connection, since: datetime, step: timedelta) -> list[dict[str, Any]]:
    """The sums of what runs did that ended in each step."""
    counts = sync_run_entity.c
    is_of_run = and_(counts.dag_id == sync_run.c.dag_id, counts.run_id == sync_run.c.run_id)
    query = (
        select(sync_run.c.ended_at, counts.entity, *(counts[name] for name in _COUNTED))
        .join_from(sync_run, sync_run_entity, is_of_run)
        .where(sync_run.c.ended_at >= since)
    )
    sums: dict[tuple[datetime, str], dict[str, int]] = {}
    for row in connection.execute(query).mappings():
        key = step_of(row["ended_at"], step), row["entity"]
        so_far = sums.setdefault(key, dict.fromkeys(_COUNTED, 0))
        sums[key] = {name: so_far[name] + int(row[name]) for name in _COUNTED}
    return _in_order((at, entity, done) for (at, entity), done in sums.items())


def _backlog(connection: Connection, since: datetime, step: timedelta) -> list[dict[str, Any]]:
    """The most that waited in each step."""
    most: dict[tuple[datetime, str], int] = {}
    query = select(backlog_sample).where(backlog_sample.c.as_of >= since)
    for row in connection.execute(query):
        key = step_of(row.as_of, step), row.entity
        most[key] = max(row.waiting, most.get(key, 0))
    return _in_order((at, entity, {"waiting": count}) for (at, entity), count in most.items())


def _in_order(rows: Iterable[tuple[datetime, str, dict[str, int]]]) -> list[dict[str, Any]]:
    ordered = sorted(rows, key=lambda row: row[:2])
    return [{"at": at, "entity": entity, **figures} for at, entity, figures in ordered]
