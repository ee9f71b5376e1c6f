"""Watermarks move only forwards and leave no gap; a store keeps to one organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from opportunity_sync.errors import WrongOrganizationError
from opportunity_sync.store.counts import Counts
from opportunity_sync.store.runs import begin_run, end_run, record_errors, rows_changed_by
from opportunity_sync.store.state import (
    StoreState,
    bump_revision,
    claim_organization,
    move_watermark,
    read_state,
)
from opportunity_sync.store.tables import sync_error, sync_run
from store_rows import NOON, dump, guid, later, only_row

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

RUN = ("dynamics_opportunity_sync", "scheduled__2024-05-01")


def state(engine: Engine) -> StoreState:
    """The state as a fresh transaction sees it."""
    with engine.connect() as connection:
        return read_state(connection)


def move(engine: Engine, start: datetime | None, to: datetime) -> bool:
    """Move the contacts' watermark as a run of its own."""
    with engine.begin() as connection:
        return move_watermark(connection, "contact", window_start=start, to=to)


def test_a_new_store_belongs_to_nobody(engine: Engine) -> None:
    """It is empty, at revision 0, without watermarks."""
    assert state(engine) == StoreState(organization_id=None, revision=0, watermarks={})
    assert state(engine).is_empty


def test_a_store_keeps_to_its_organisation(engine: Engine) -> None:
    """Claiming it again is fine, claiming it for another one is refused."""
    with engine.begin() as connection:
        claim_organization(connection, guid(1))
        claim_organization(connection, guid(1))
        bump_revision(connection)
    with engine.begin() as connection, pytest.raises(WrongOrganizationError, match=guid(2)):
        claim_organization(connection, guid(2))
    assert state(engine) == StoreState(organization_id=guid(1), revision=1, watermarks={})
    assert not state(engine).is_empty


def test_only_a_full_read_sets_the_first_watermark(engine: Engine) -> None:
    """A window says nothing of what lies before it."""
    assert not move(engine, later(0), later(10))
    assert state(engine).watermarks == {}
    assert move(engine, None, later(10))
    assert state(engine).watermarks == {"contact": later(10)}


@pytest.mark.parametrize(
    ("start", "to", "moves"),
    [
        (later(5), later(20), True),
        (later(10), later(20), True),
        (later(11), later(20), False),
        (later(5), later(10), False),
        (later(1), later(9), False),
        (None, later(20), True),
        (None, later(9), False),
        (None, later(10), False),
    ],
)
def test_a_watermark_moves_forwards_without_a_gap(
    engine: Engine, start: datetime | None, to: datetime, moves: bool
) -> None:
    """It stands at minute 10; a window must begin at or before it and end after it."""
    move(engine, None, later(10))
    assert moves == move(engine, start, to)
    assert state(engine).watermarks == {"contact": to if moves else later(10)}


def test_a_run_is_recorded_from_its_beginning_to_its_end(engine: Engine) -> None:
    """With the window it took, what it did to each table and how it ended."""
    with engine.begin() as connection:
        window: dict[str, Any] = {"window_start": None, "window_end": later(5)}
        begin_run(connection, *RUN, mode="continue", started_at=NOON, **window)
        assert rows_changed_by(connection, *RUN) is None
    assert only_row(engine, sync_run)["outcome"] == "running"
    counts = {
        "contact": Counts(read=5, inserted=3, updated=1, refused=1),
        "role": Counts(deleted=2),
    }
    with engine.begin() as connection:
        end_run(connection, *RUN, outcome="succeeded", counts=counts, requests=7)
        assert rows_changed_by(connection, *RUN) == 6
        end_run(connection, *RUN, outcome="failed")
    row = only_row(engine, sync_run)
    assert (row["outcome"], row["requests"], row["window_end"]) == ("succeeded", 7, later(5))
    assert (row["contact_read"], row["contact_inserted"], row["contact_refused"]) == (5, 3, 1)
    assert (row["role_deleted"], row["opportunity_read"]) == (2, 0)
    assert row["ended_at"] > row["started_at"]


def test_a_run_that_begins_again_starts_from_nothing(engine: Engine) -> None:
    """A cleared run does not show the numbers and refusals of its earlier try."""
    refusal = {
        "entity": "contact",
        "record_id": guid(1),
        "field": "emailaddress1",
        "code": "bad_type",
        "message": "a number where a text should be",
    }
    for _ in range(2):
        with engine.begin() as connection:
            begin_run(connection, *RUN, mode="full", started_at=NOON)
            record_errors(connection, *RUN, [refusal, refusal | {"record_id": None}])
            record_errors(connection, *RUN, [refusal, refusal | {"record_id": None}])
            end_run(connection, *RUN, outcome="succeeded", requests=3)
    assert [row["record_id"] for row in dump(engine, sync_error)["sync_error"]] == [guid(1), None]
    with engine.begin() as connection:
        begin_run(connection, *RUN, mode="full", started_at=later())
    assert dump(engine, sync_error)["sync_error"] == []
    row = only_row(engine, sync_run)
    assert (row["requests"], row["ended_at"], row["outcome"]) == (0, None, "running")
