"""Books that only operators read: task times, events, lags in classes, shares of columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opportunity_sync.model import ACCOUNT
from opportunity_sync.store.books.column_shares import measure_shares
from opportunity_sync.store.journal.events import note_event
from opportunity_sync.store.journal.lags import CLASSES, lag_quantile
from opportunity_sync.store.journal.runs import begin_run
from opportunity_sync.store.journal.task_times import record_tasks
from opportunity_sync.store.schema.tables import sync_event, sync_run_task
from store_rows import NOON, dump, later, write

if TYPE_CHECKING:
    from sqlalchemy import Engine

RUN = ("dag", "run")


def test_the_last_try_of_a_task_counts_and_a_run_that_begins_again_has_none(
    engine: Engine,
) -> None:
    """Times replace those of the try before, and go with the run's other books."""
    with engine.begin() as connection:
        record_tasks(connection, *RUN, {"load": (NOON, later(1))})
        record_tasks(connection, *RUN, {"load": (later(2), later(3)), "begin": (NOON, None)})
    rows = dump(engine, sync_run_task)["sync_run_task"]
    assert [("begin", NOON, None), ("load", later(2), later(3))] == [
        (row["task_id"], row["started_at"], row["ended_at"]) for row in rows
    ]
    with engine.begin() as connection:
        begin_run(connection, *RUN, mode="continue", started_at=NOON)
    assert dump(engine, sync_run_task)["sync_run_task"] == []


def test_events_are_numbered_and_a_run_tells_the_same_but_once(engine: Engine) -> None:
    """A task that is tried again writes its event anew; what nobody's run tells is kept each."""
    with engine.begin() as connection:
        for minute in (1, 2):
            note_event(connection, "guard", "Too many.", at=later(minute), run=RUN)
            note_event(connection, "alert", "Late.", at=later(minute))
    rows = dump(engine, sync_event)["sync_event"]
    assert [("alert", later(1)), ("guard", later(2)), ("alert", later(2))] == [
        (row["kind"], row["at"]) for row in rows
    ]


@pytest.mark.parametrize(
    ("rows", "share", "expected"),
    [
        ({}, 0.5, None),
        ({60: 10}, 0.5, 52.5),
        ({60: 95, 600: 5}, 0.95, 60.0),
        ({60: 1, 300: 1}, 1.0, 300.0),
        ({CLASSES[-1]: 4}, 0.0, float(CLASSES[-2])),
    ],
)
def test_quantiles_lie_evenly_within_their_class(
    rows: dict[int, int], share: float, expected: float | None
) -> None:
    """The class from 45 to 60 seconds has its middle at 52.5."""
    assert lag_quantile(rows, share) == expected


def test_shares_are_of_live_rows(engine: Engine) -> None:
    """One of two accounts has a website; a table without rows has no shares."""
    with engine.begin() as connection:
        assert measure_shares(connection, ACCOUNT) == {}
    write(
        engine,
        ACCOUNT,
        {"id": 1, "company": "A", "website": "a.example"},
        {"id": 2, "company": "B"},
    )
    with engine.begin() as connection:
        shares = measure_shares(connection, ACCOUNT)
    assert (shares["company"], shares["website"], shares["sic_code"]) == (1.0, 0.5, 0.0)
