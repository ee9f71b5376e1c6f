"""What the books of runs say of the sync's health, as plain values: alerts are judged by them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, select

from opportunity_sync.store.journal.runs import FAILED, RUNNING, SUCCEEDED
from opportunity_sync.store.schema.tables import (
    CHANGES,
    refused_row,
    sync_check,
    sync_run,
    sync_run_entity,
)

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Join

# Runs after which the store has all that had changed by then.
CONTINUING = ("continue", "full")
_LOOKED_AT = 3  # runs of a kind
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class EndedRun:
    """How a run ended, and why where it failed."""

    is_failed: bool
    error: str
    error_code: str

    @property
    def failure(self) -> str | None:
        """The error's code, empty where the run left no word; None where it ended well."""
        return self.error_code if self.is_failed else None


@dataclass(frozen=True, slots=True)
class FailedItem:
    """An item of the check that fails."""

    name: str
    found: str
    next_step: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What the store tells of the sync.

    `ended`: by mode the last runs that have ended, the newest first; full runs are among those that
    continue. `changed_hour` and `changed_day`: rows that continuing runs have changed in them,
    first syncs left aside; `changed_week`: in the week before this day; `days_known`: how much of
    it there is. `mended`: by table the rows that the last reconciliation changed, and those that it
    compared.
    """

    last_success_at: datetime | None
    ended: dict[str, list[EndedRun]]
    refused: dict[str, int]
    changed_hour: int
    changed_day: int
    changed_week: int
    days_known: float
    mended: dict[str, tuple[int, int]]
    failed_items: list[FailedItem]


def read_signs(connection: Connection, *, now: datetime) -> Signs:
    """All signs as of an instant; a few small queries on the books of runs."""
    day = now - timedelta(days=1)
    first = connection.scalar(select(func.min(sync_run.c.started_at)).where(_has_continued()))
    return Signs(
        last_success_at=read_last_success(connection),
        ended={
            "continue": read_ended_runs(connection),
            **{mode: read_ended_runs(connection, mode) for mode in ("reconcile", "fill")},
        },
        refused=_count_refused(connection),
        changed_hour=_count_changed(connection, now - timedelta(hours=1), now),
        changed_day=_count_changed(connection, day, now),
        changed_week=_count_changed(connection, day - _WEEK, day),
        days_known=max(0.0, min(7.0, (day - first).total_seconds() / 86_400)) if first else 0.0,
        mended=_count_mended(connection),
        failed_items=_failed_items(connection),
    )


def read_last_success(connection: Connection) -> datetime | None:
    """When a run last ended well after which the store had all that had changed."""
    newest = select(func.max(sync_run.c.ended_at)).where(_has_continued())
    ended_at: datetime | None = connection.scalar(newest)
    return ended_at


def read_ended_runs(connection: Connection, *modes: str) -> list[EndedRun]:
    """The last runs that have ended, the newest first; of the continuing ones without `modes`."""
    is_ended = and_(sync_run.c.mode.in_(modes or CONTINUING), sync_run.c.outcome != RUNNING)
    newest = select(sync_run).where(is_ended).order_by(sync_run.c.started_at.desc())
    return [
        EndedRun(row.outcome == FAILED, row.error or "", row.error_code or "")
        for row in connection.execute(newest.limit(_LOOKED_AT))
    ]


def _count_refused(connection: Connection) -> dict[str, int]:
    query = select(refused_row.c.entity, func.count()).group_by(refused_row.c.entity)
    return {row[0]: row[1] for row in connection.execute(query)}


def _count_changed(connection: Connection, start: datetime, end: datetime) -> int:
    """Rows changed by continuing runs that began in [start, end), first syncs left aside."""
    is_meant = and_(
        sync_run.c.mode == "continue",
        sync_run.c.outcome == SUCCEEDED,
        sync_run.c.window_start.is_not(None),
        sync_run.c.started_at >= start,
        sync_run.c.started_at < end,
    )
    query = select(func.coalesce(func.sum(count_changes()), 0)).select_from(_runs_with_counts())
    return int(connection.scalar(query.where(is_meant)) or 0)


def _count_mended(connection: Connection) -> dict[str, tuple[int, int]]:
    is_meant = and_(sync_run.c.mode == "reconcile", sync_run.c.outcome == SUCCEEDED)
    newest = select(sync_run.c.dag_id, sync_run.c.run_id).where(is_meant)
    run = connection.execute(newest.order_by(sync_run.c.started_at.desc()).limit(1)).one_or_none()
    if run is None:
        return {}
    counts = sync_run_entity.c
    of_run = and_(counts.dag_id == run.dag_id, counts.run_id == run.run_id, counts.compared > 0)
    rows = connection.execute(select(counts.entity, count_changes(), counts.compared).where(of_run))
    return {entity: (changed, compared) for entity, changed, compared in rows}


def _failed_items(connection: Connection) -> list[FailedItem]:
    query = select(sync_check).where(sync_check.c.state == "failed")
    return [
        FailedItem(row.name, row.found, row.next_step or "", row.code or "")
        for row in connection.execute(query.order_by(sync_check.c.position))
    ]


def _has_continued() -> ColumnElement[bool]:
    return and_(sync_run.c.mode.in_(CONTINUING), sync_run.c.outcome == SUCCEEDED)


def count_changes() -> ColumnElement[int]:
    """How many rows a run left otherwise than they were, of a table: an expression."""
    total: ColumnElement[int] = sum(
        (sync_run_entity.c[name] for name in CHANGES[1:]), sync_run_entity.c[CHANGES[0]]
    )
    return total


def _runs_with_counts() -> Join:
    is_same = and_(
        sync_run.c.dag_id == sync_run_entity.c.dag_id,
        sync_run.c.run_id == sync_run_entity.c.run_id,
    )
    return sync_run.join(sync_run_entity, is_same)
