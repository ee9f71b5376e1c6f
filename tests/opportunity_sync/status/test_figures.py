"""Tests of the figures of each table, which come from indexes and from what runs wrote down."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import insert

from opportunity_sync.model import CONTACT, DEFAULT_MODEL
from opportunity_sync.status.figures import table_figures
from opportunity_sync.store.books.backlog import note_backlog
from opportunity_sync.store.journal.runs import begin_run, end_run
from opportunity_sync.store.rows.deletions import write_deleted
from opportunity_sync.store.schema.tables import sync_run_lag
from opportunity_sync.store.statements.counts import Counts
from store_rows import NOON, a_change, guid, later, write

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Engine


def figures(engine: Engine, now: datetime = NOON) -> dict[str, dict[str, Any]]:
    """The figures of the public tables, by name."""
    with engine.connect() as connection:
        found = table_figures(connection, DEFAULT_MODEL, now=now, last_success_at=later(-3))
    return {each.pop("entity"): each for each in found}


def a_run(connection: Connection, run_id: str, *, ended_at: datetime, **counts: Counts) -> None:
    """A run that ended then and did so much to each table."""
    begin_run(connection, "sync", run_id, mode="continue", started_at=ended_at, attempt=run_id)
    given: dict[str, Any] = {"ended_at": ended_at, "counts": counts}
    end_run(connection, "sync", run_id, attempt=run_id, outcome="succeeded", **given)


def test_live_rows_are_counted(engine: Engine) -> None:
    """A row that is marked as deleted counts no more; a table without rows has none."""
    write(engine, CONTACT, *({"id": number} for number in range(1, 4)))
    with engine.begin() as connection:
        gone = pa.table({"contact_id": [guid(2)]})
        write_deleted(connection, CONTACT, [gone], change=a_change(1), recheck=False)
    rows = {name: each["rows"] for name, each in figures(engine).items()}
    assert rows == {"opportunity": 0, "contact": 2, "account": 0}


def test_what_runs_did_is_added_up_over_an_hour_and_a_day(engine: Engine) -> None:
    """A run counts by its end; what no run has touched is zero, not unknown."""
    with engine.begin() as connection:
        a_run(connection, "now", ended_at=later(-5), contact=Counts(inserted=1, refused=2))
        a_run(connection, "then", ended_at=later(-90), contact=Counts(updated=4, deleted=8))
        a_run(connection, "old", ended_at=NOON - timedelta(days=2), contact=Counts(inserted=16))
    found = figures(engine)
    none = {"inserted": 0, "updated": 0, "deleted": 0, "refused": 0}
    assert found["contact"]["last_hour"] == none | {"inserted": 1, "refused": 2}
    expected = {"inserted": 1, "updated": 4, "deleted": 8, "refused": 2}
    assert expected == found["contact"]["last_day"]
    assert found["account"]["last_day"] == none


def test_what_waits_is_told_as_of_when_and_unknown_is_null(engine: Engine) -> None:
    """A table that no run has counted is as unknown as one that could not be counted."""
    with engine.begin() as connection:
        counted = {"as_of": NOON, "oldest_at": later(-7)}
        note_backlog(connection, "contact", waiting=5_000, **counted)
        note_backlog(connection, "account", waiting=None, oldest_at=None, as_of=NOON)
    names = ("waiting", "oldest_waiting_at", "as_of")
    found = {
        name: tuple(each[key] for key in names) for name, each in figures(engine, later(1)).items()
    }
    assert found == {
        "contact": (5_000, later(-7), NOON),
        "account": (None, None, NOON),
        "opportunity": (None, None, None),
    }


def test_freshness_is_that_of_all_runs_of_the_last_day(engine: Engine) -> None:
    """The classes of several runs are added up; of a table that nothing changed in it is null."""
    lag = {"dag_id": "sync", "entity": "contact"}
    with engine.begin() as connection:
        for run_id, ended_at in (("a", later(-5)), ("b", later(-60)), ("old", later(-1_500))):
            a_run(connection, run_id, ended_at=ended_at)
        rows = [("a", 60, 90), ("b", 60, 5), ("b", 600, 5), ("old", 3_600, 1_000)]
        connection.execute(
            insert(sync_run_lag),
            [lag | {"run_id": run, "seconds": bound, "rows": count} for run, bound, count in rows],
        )
    found = figures(engine)
    assert found["contact"]["freshness_seconds"]["p95"] == 60
    assert round(found["contact"]["freshness_seconds"]["median"]) == 53
    assert found["account"]["freshness_seconds"] == {"median": None, "p95": None}
