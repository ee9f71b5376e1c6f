"""Tests of what is told over time: the series behind the plots, events, runs in progress."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, insert

from opportunity_sync.status.lists.happenings import list_events
from opportunity_sync.status.progress import running_runs
from opportunity_sync.status.series import series, step_of
from opportunity_sync.store.books.backlog import note_backlog
from opportunity_sync.store.journal.events import note_event
from opportunity_sync.store.journal.progress import note_progress
from opportunity_sync.store.schema.tables import (
    backlog_sample,
    sync_event,
    sync_run,
    sync_run_entity,
    sync_run_task,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

NOW = datetime(2026, 11, 26, 12, 10, tzinfo=UTC)
DAG = "dynamics_opportunity_sync"


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A store without rows; what a test writes is taken back."""
    with engine.connect() as opened:
        for table in (backlog_sample, sync_event, sync_run, sync_run_entity, sync_run_task):
            opened.execute(delete(table))
        yield opened
        opened.rollback()


def ago(minutes: float) -> datetime:
    """An instant that many minutes before now."""
    return NOW - timedelta(minutes=minutes)


def add_run(
    connection: Connection, run_id: str, *, ended: float | None, took: float = 1, **given: Any
) -> None:
    """A run that ended so many minutes ago, None: it runs since `took` minutes."""
    row = {
        "dag_id": DAG,
        "run_id": run_id,
        "mode": "continue",
        "started_at": ago((ended or 0) + took),
        "ended_at": None if ended is None else ago(ended),
        "outcome": "running" if ended is None else "succeeded",
    }
    connection.execute(insert(sync_run).values(row | given))


def add_counts(connection: Connection, run_id: str, entity: str, **counts: int) -> None:
    """What a run did to a table."""
    key = {"dag_id": DAG, "run_id": run_id, "entity": entity}
    connection.execute(insert(sync_run_entity).values(key | counts))


def test_a_step_begins_at_a_multiple_of_its_length() -> None:
    """Steps are counted from midnight, so that two questions a minute apart have the same ones."""
    assert step_of(NOW, timedelta(hours=3)) == datetime(2026, 11, 26, 12, tzinfo=UTC)
    assert step_of(NOW, timedelta(days=1)) == datetime(2026, 11, 26, tzinfo=UTC)


def test_runs_of_one_step_are_added_up(connection: Connection) -> None:
    """Two runs of the same half hour make one row of a table, an older run another, or none."""
    for run_id, ended in (("a", 1), ("b", 8), ("c", 35), ("old", 1_500)):
        add_run(connection, run_id, ended=ended)
        add_counts(connection, run_id, "contact", inserted=1, updated=2)

    found = series(connection, "day", now=NOW)["throughput"]

    none = {"deleted": 0, "refused": 0, "entity": "contact"}
    assert found == [
        {"at": ago(40), "inserted": 1, "updated": 2} | none,
        {"at": ago(10), "inserted": 2, "updated": 4} | none,
    ]


def test_of_what_waited_the_most_in_a_step_is_told(connection: Connection) -> None:
    """Each count of a run is remembered, and a count that failed leaves a gap, no zero."""
    for minutes, waiting in ((9, 3), (5, 40), (2, 7), (100, None)):
        note_backlog(connection, "account", waiting=waiting, oldest_at=None, as_of=ago(minutes))

    found = series(connection, "day", now=NOW)["backlog"]

    assert found == [{"at": ago(10), "entity": "account", "waiting": 40}]


def test_drift_is_what_reconciliations_mended(connection: Connection) -> None:
    """Beside what they compared; runs that compare nothing have no part in it."""
    for run_id, compared in (("a", 100), ("b", 50), ("c", 0)):
        add_run(connection, run_id, ended=2)
        add_counts(connection, run_id, "contact", updated=2, deleted=1, compared=compared)
    add_counts(connection, "c", "account", updated=2)

    found = series(connection, "day", now=NOW)["drift"]

    assert found == [{"at": ago(10), "entity": "contact", "compared": 150, "mended": 6}]


def test_events_of_a_stretch_come_newest_first(connection: Connection) -> None:
    """The stretch holds its beginning and not its end, so that two of them share no event."""
    for minutes in (30, 20, 10):
        note_event(connection, "drift", f"{minutes} minutes ago", at=ago(minutes))

    def told(**stretch: datetime) -> list[str]:
        return [row["message"] for row in list_events(connection, **stretch).rows]

    assert told() == ["10 minutes ago", "20 minutes ago", "30 minutes ago"]
    assert told(since=ago(30), until=ago(10)) == ["20 minutes ago", "30 minutes ago"]


def test_a_stretch_says_that_it_has_more(connection: Connection) -> None:
    """At most 500 events are told at once."""
    rows = [
        {"position": number, "at": ago(number), "kind": "drift", "message": "x"}
        for number in range(1, 502)
    ]
    connection.execute(insert(sync_event), rows)

    found = list_events(connection)

    assert (len(found.rows), found.more) == (500, True)


def test_a_run_in_progress_is_compared_with_like_ones(connection: Connection) -> None:
    """Runs of another mode say nothing of how long it will take, nor does one that failed."""
    add_run(connection, "full", ended=50, took=30, mode="full")
    add_run(connection, "failed", ended=40, took=20, outcome="failed")
    for run_id, took in (("a", 2), ("b", 4), ("c", 9)):
        add_run(connection, run_id, ended=10, took=took)
    add_run(connection, "now", ended=None, took=3)
    times = {"task_id": "begin", "started_at": ago(3), "ended_at": ago(2)}
    connection.execute(insert(sync_run_task).values(times | {"dag_id": DAG, "run_id": "now"}))

    (found,) = running_runs(connection, now=NOW)

    assert (found["run_id"], found["seconds"], found["usual_seconds"]) == ("now", 180, 240)
    assert found["tasks"] == {"begin": 60}
    assert found["reading"] == []


def test_a_run_in_progress_tells_how_far_it_is(connection: Connection) -> None:
    """Table by table, beside what there is to read where the organisation said so."""
    add_run(connection, "now", ended=None, mode="full")
    told: dict[str, Any] = {
        "rows_read": 70,
        "rows_expected": 100,
        "is_whole": False,
        "as_of": ago(1),
    }
    for run_id, entity, given in (
        ("now", "opportunity", told),
        ("now", "contact", told | {"rows_expected": None}),
        ("before", "contact", told),
    ):
        note_progress(connection, DAG, run_id, entity=entity, **given)

    (found,) = running_runs(connection, now=NOW)

    contact = {"entity": "contact"} | told | {"rows_expected": None}
    assert found["reading"] == [contact, {"entity": "opportunity"} | told]


def test_the_first_run_has_nothing_to_be_compared_with(connection: Connection) -> None:
    """Nobody knows how long it will take, and no number pretends to."""
    add_run(connection, "now", ended=None, mode="full")

    (found,) = running_runs(connection, now=NOW)

    assert found["usual_seconds"] is None
