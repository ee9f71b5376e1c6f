"""The books of runs are forgotten after a number of days, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select

from opportunity_sync.errors import ConfigError
from opportunity_sync.store.journal.upkeep import forget_runs
from opportunity_sync.store.schema.tables import (
    METADATA,
    backlog_sample,
    history,
    sync_error,
    sync_event,
    sync_run,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

DAG = "dynamics_opportunity_sync"
BOOKS = [
    table
    for table in METADATA.sorted_tables
    if {"dag_id", "run_id"} <= set(table.primary_key.columns.keys())
]


def enter_run(engine: Engine, run_id: str, *, days_ago: int) -> None:
    """A run that began so many days ago, with a line in each table that keeps books of runs."""
    run = {"dag_id": DAG, "run_id": run_id}
    started_at = datetime.now(UTC) - timedelta(days=days_ago)
    given = {
        "task_id": "load", "seconds": 5, "rows": 1,
        "mode": "continue", "started_at": started_at, "outcome": "succeeded", "position": 1,
        "entity": "contact", "code": "not_a_date", "message": "It is no date.",
        "rows_read": 1, "is_whole": True, "as_of": started_at,
    }  # fmt: skip
    with engine.begin() as connection:
        for table in BOOKS:
            known = {name: value for name, value in given.items() if name in table.columns}
            connection.execute(insert(table), run | known)


def test_old_runs_go_with_all_that_was_noted_of_them(engine: Engine) -> None:
    """A run of 31 days ago leaves every table of books, one of 29 days ago stays in each."""
    enter_run(engine, "old", days_ago=31)
    enter_run(engine, "recent", days_ago=29)

    assert forget_runs(engine, keep_days=30) == 1

    assert {sync_run, sync_error} <= set(BOOKS)
    with engine.connect() as connection:
        left = {table.name: connection.scalars(select(table.c.run_id)).all() for table in BOOKS}
    assert left == {table.name: ["recent"] for table in BOOKS}


def test_history_and_events_go_by_their_own_time(engine: Engine) -> None:
    """They outlive their runs' books or not, as they were written."""
    now = datetime.now(UTC)
    with engine.begin() as connection:
        for number, days in enumerate((31, 29)):
            at = now - timedelta(days=days)
            told = {"at": at, "dag_id": DAG, "run_id": f"of {days}"}
            event = {"position": number, "kind": "alert", "message": "Late."}
            line = {"opportunity_id": "o", "revision": number, "changes": "{}"}
            connection.execute(insert(sync_event), told | event)
            connection.execute(insert(history), told | line)
            count = {"entity": "contact", "as_of": at, "waiting": days}
            connection.execute(insert(backlog_sample), count)

    forget_runs(engine, keep_days=30)

    with engine.connect() as connection:
        for table in (history, sync_event):
            assert connection.scalars(select(table.c.run_id)).all() == ["of 29"]
        assert connection.scalars(select(backlog_sample.c.waiting)).all() == [29]


def test_a_store_that_no_run_has_made_yet_is_no_error(empty_engine: Engine) -> None:
    """Cleaning begins with the services, the store with its first run."""
    assert forget_runs(empty_engine, keep_days=30) == 0


@pytest.mark.parametrize("keep_days", [6, 0, -1])
def test_runs_that_may_still_be_cleared_are_kept(engine: Engine, keep_days: int) -> None:
    """So few days are refused, and nothing goes."""
    enter_run(engine, "running", days_ago=6)

    with pytest.raises(ConfigError, match=rf"{keep_days} days"):
        forget_runs(engine, keep_days=keep_days)

    with engine.connect() as connection:
        assert connection.scalars(select(sync_run.c.run_id)).all() == ["running"]
