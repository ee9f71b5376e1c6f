"""The runs in progress: how far each is, and how long such a run usually takes."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from opportunity_sync.status.lists.timeline import seconds_by_task
from opportunity_sync.store.journal.runs import RUNNING, SUCCEEDED
from opportunity_sync.store.schema.tables import sync_run, sync_run_progress

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, RowMapping

_MOST_RUNNING = 50
_RUNS_COMPARED = 20  # the last ones of the same DAG and mode


def running_runs(connection: Connection, *, now: datetime) -> list[dict[str, Any]]:
    """Each run in progress, with its tasks as in the list of runs.

    `usual_seconds` is the median of like runs that succeeded, None where there was none.
    `reading`: how far it is with each table that takes it long to read.
    """
    columns = [sync_run.c[name] for name in ("dag_id", "run_id", "mode", "started_at")]
    running = select(*columns).where(sync_run.c.outcome == RUNNING).limit(_MOST_RUNNING)
    return [
        dict(row)
        | {
            "seconds": (now - row["started_at"]).total_seconds(),
            "usual_seconds": _usual_seconds(connection, row),
            "tasks": seconds_by_task(connection, row["dag_id"], row["run_id"]),
            "reading": _reading(connection, row),
        }
        for row in connection.execute(running).mappings()
    ]


def _reading(connection: Connection, row: RowMapping) -> list[dict[str, Any]]:
    told = sync_run_progress.c
    of_run = told.dag_id == row["dag_id"], told.run_id == row["run_id"]
    columns = (told.entity, told.rows_read, told.rows_expected, told.is_whole, told.as_of)
    query = select(*columns).where(*of_run).order_by(told.entity)
    return [dict(each) for each in connection.execute(query).mappings()]


def _usual_seconds(connection: Connection, row: RowMapping) -> float | None:
    is_like = sync_run.c.dag_id == row["dag_id"], sync_run.c.mode == row["mode"]
    query = select(sync_run.c.started_at, sync_run.c.ended_at).where(
        sync_run.c.outcome == SUCCEEDED, sync_run.c.ended_at.is_not(None), *is_like
    )
    last = connection.execute(query.order_by(sync_run.c.ended_at.desc()).limit(_RUNS_COMPARED))
    lengths = [(ended - started).total_seconds() for started, ended in last]
    return median(lengths) if lengths else None
