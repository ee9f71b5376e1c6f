"""The runs one after another: what each did to each table, and how long its tasks took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select

from opportunity_sync.status.lists.listing import Answer, Listing, Question
from opportunity_sync.store.schema.tables import COUNTS, sync_run, sync_run_entity, sync_run_task

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping, Subquery, Table

RUNS = Listing(
    sync_run,
    sorts=("dag_id", "run_id", "mode", "started_at", "outcome"),
    small_sorts=("ended_at", "window_start", "window_end", "error_code", "error", "requests"),
    default_sort="-started_at",
    searched=("dag_id", "run_id"),
    is_lower=False,
)
_SHOWN = (
    "dag_id",
    "run_id",
    "mode",
    "window_start",
    "window_end",
    "started_at",
    "ended_at",
    "outcome",
    "error_code",
    "error",
    "requests",
)
Key = tuple[str, str]


def list_runs(connection: Connection, question: Question) -> Answer:
    """A page of the runs, the newest first; searched are the ids of DAG and run.

    There are some ten thousand at most: the book-keeping forgets old ones.
    """
    rows = RUNS.rows(connection, question)
    page = RUNS.page_of(question)
    counted = _rows_of(connection, sync_run_entity, page)
    timed = _rows_of(connection, sync_run_task, page)
    total = RUNS.total(connection, question)
    return Answer(
        rows=[
            {name: row[name] for name in _SHOWN}
            | {
                "entities": [_counts(each) for each in counted.get(_key(row), ())],
                "tasks": {each["task_id"]: _seconds(each) for each in timed.get(_key(row), ())},
            }
            for row in rows
        ],
        total=total,
        more=total is None,
    )


def seconds_by_task(connection: Connection, dag_id: str, run_id: str) -> dict[str, float | None]:
    """How long each task of a run took, in the order of their beginning; None while one runs."""
    is_of_run = sync_run_task.c.dag_id == dag_id, sync_run_task.c.run_id == run_id
    query = select(sync_run_task).where(*is_of_run).order_by(sync_run_task.c.started_at)
    return {row["task_id"]: _seconds(row) for row in connection.execute(query).mappings()}


def _key(row: Any) -> Key:
    return row["dag_id"], row["run_id"]


def _rows_of(connection: Connection, table: Table, page: Subquery) -> dict[Key, list[RowMapping]]:
    """The rows of a table that belong to the runs of a page, by run."""
    is_of_run = and_(table.c.dag_id == page.c.dag_id, table.c.run_id == page.c.run_id)
    query = select(table).join_from(page, table, is_of_run).order_by(*table.primary_key)
    found: dict[Key, list[RowMapping]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(_key(row), []).append(row)
    return found


def _counts(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in ("entity", *COUNTS)}


def _seconds(row: RowMapping) -> float | None:
    """How long the last try of a task took; None while it runs."""
    if row["ended_at"] is None:
        return None
    seconds: float = (row["ended_at"] - row["started_at"]).total_seconds()
    return seconds
