"""What a run did is recorded once and for all, whoever else has a run of the same name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from opportunity_sync.store.journal.runs import (
    begin_run,
    counts_of_attempt,
    end_run,
    fail_run,
    outcome_of,
    record_errors,
)
from opportunity_sync.store.schema.tables import sync_error, sync_run, sync_run_entity
from opportunity_sync.store.statements.counts import Counts
from store_rows import NOON, dump, guid, later, only_row

if TYPE_CHECKING:
    from sqlalchemy import Engine

RUN = ("dynamics_opportunity_sync", "scheduled__2024-05-01")
REFUSAL = {
    "entity": "contact",
    "record_id": guid(1),
    "field": "emailaddress1",
    "code": "bad_type",
    "message": "a number where a text should be",
    "version": 4,
}
COUNTS = {
    "contact": Counts(
        read=9, inserted=3, updated=1, unchanged=2, filtered=1, refused=1, superseded=1, compared=4
    ),
    "role": Counts(deleted=2, rewritten=1),
}


def begin(engine: Engine, attempt: str = "a", **given: Any) -> None:
    """Begin the run as a transaction of its own."""
    values = {"mode": "continue", "window_start": None, "window_end": None, "started_at": NOON}
    with engine.begin() as connection:
        begin_run(connection, *RUN, attempt=attempt, **(values | given))


def end(engine: Engine, attempt: str = "a", outcome: str = "succeeded", **given: Any) -> None:
    """End the run as a transaction of its own."""
    with engine.begin() as connection:
        end_run(connection, *RUN, attempt=attempt, outcome=outcome, **given)


def changed(engine: Engine, attempt: str = "a") -> int | None:
    """What the attempt has changed."""
    with engine.connect() as connection:
        counts = counts_of_attempt(connection, attempt)
    return None if counts is None else sum(each.changed for each in counts.values())


def test_a_run_is_recorded_from_its_beginning_to_its_end(engine: Engine) -> None:
    """With the window it took, what it did to each table and how it ended."""
    begin(engine, window_end=later(5))
    assert only_row(engine, sync_run)["outcome"] == "running"
    assert changed(engine) is None
    end(engine, counts=COUNTS, requests=7, replaced_characters=2)
    assert changed(engine) == 7
    row = only_row(engine, sync_run)
    assert (row["outcome"], row["requests"], row["window_end"]) == ("succeeded", 7, later(5))
    assert (row["replaced_characters"], row["attempt"], row["error"]) == (2, "a", None)
    assert row["ended_at"] > row["started_at"]
    rows = {each["entity"]: each for each in dump(engine, sync_run_entity)["sync_run_entity"]}
    assert rows.keys() == COUNTS.keys()
    told = {name: value for name, value in rows["contact"].items() if value and name in DETAIL}
    assert told == DETAIL
    assert (rows["role"]["deleted"], rows["role"]["rewritten"]) == (2, 1)


DETAIL = {
    "read": 9,
    "inserted": 3,
    "updated": 1,
    "unchanged": 2,
    "filtered": 1,
    "refused": 1,
    "superseded": 1,
    "compared": 4,
}


def test_a_failure_keeps_its_error_and_code(engine: Engine) -> None:
    """Success replaces it: its task was cleared. A failure never replaces that."""
    begin(engine)
    end(engine, outcome="failed", error="The disk is full.", error_code="StoreUnavailableError")
    row = only_row(engine, sync_run)
    assert (row["outcome"], row["error_code"]) == ("failed", "StoreUnavailableError")
    end(engine, counts=COUNTS)
    end(engine, outcome="failed", error="The worker died.")
    row = only_row(engine, sync_run)
    assert (row["outcome"], row["error"], row["error_code"]) == ("succeeded", None, None)
    assert changed(engine) == 7


def test_a_run_that_begins_again_starts_from_nothing(engine: Engine) -> None:
    """A cleared run does not show the numbers and refusals of its earlier try."""
    for _ in range(2):
        begin(engine)
        with engine.begin() as connection:
            record_errors(connection, *RUN, [REFUSAL, REFUSAL | {"record_id": None}])
            record_errors(connection, *RUN, [REFUSAL, REFUSAL | {"record_id": None}])
        end(engine, counts=COUNTS, requests=3)
    assert [row["record_id"] for row in dump(engine, sync_error)["sync_error"]] == [guid(1), None]
    begin(engine, "b", started_at=later())
    assert dump(engine, sync_error, sync_run_entity) == {"sync_error": [], "sync_run_entity": []}
    row = only_row(engine, sync_run)
    assert (row["requests"], row["ended_at"], row["outcome"]) == (0, None, "running")
    assert (row["attempt"], row["window_start"], row["started_at"]) == ("b", None, later())


def test_a_load_is_known_by_its_attempt_alone(engine: Engine) -> None:
    """Two deployments that share a store and a run id do not take each other's loads for theirs."""
    begin(engine, "one")
    begin(engine, "two")
    end(engine, "one", counts=COUNTS)
    assert (changed(engine, "one"), changed(engine, "two")) == (7, None)
    end(engine, "two", counts={"contact": Counts(read=1, inserted=1)})
    assert (changed(engine, "one"), changed(engine, "two")) == (None, 1)
    row = only_row(engine, sync_run)
    assert (row["outcome"], row["attempt"]) == ("succeeded", "two")


def test_one_deployments_failure_does_not_bear_the_others_numbers(engine: Engine) -> None:
    """The row tells of one attempt, whole."""
    begin(engine, "one")
    end(engine, "one", counts=COUNTS)
    end(engine, "two", outcome="failed", error="No privilege.")
    assert only_row(engine, sync_run)["attempt"] == "two"
    assert dump(engine, sync_run_entity)["sync_run_entity"] == []


@pytest.mark.parametrize("attempt", [None, "b"])
def test_a_run_that_failed_in_its_first_task_has_a_row(engine: Engine, attempt: str | None) -> None:
    """Also where an earlier attempt of the same run had succeeded."""
    told: dict[str, Any] = {"error": "Wrong secret.", "error_code": "AuthenticationError"}
    for _ in range(2):
        with engine.begin() as connection:
            fail_run(connection, *RUN, attempt=attempt, mode="full", started_at=NOON, **told)
        row = only_row(engine, sync_run)
        expected = {"outcome": "failed", "mode": "full", "started_at": NOON, **told}
        assert expected == {name: row[name] for name in expected}
        assert row["attempt"] == attempt
        begin(engine)
        end(engine, counts=COUNTS)


def test_a_load_that_is_committed_is_no_failure(engine: Engine) -> None:
    """What goes wrong after it is another task's error."""
    begin(engine)
    end(engine, counts=COUNTS)
    with engine.begin() as connection:
        fail_run(connection, *RUN, attempt="a", mode="full", started_at=NOON, error="Late.")
        assert outcome_of(connection, *RUN) == "succeeded"
    assert changed(engine) == 7


def test_an_end_without_a_beginning_is_recorded_all_the_same(engine: Engine) -> None:
    """Somebody has removed the row while the run went on."""
    before = datetime.now(UTC).replace(microsecond=0)
    end(engine, counts=COUNTS)
    row = only_row(engine, sync_run)
    assert (row["mode"], row["outcome"]) == ("unknown", "succeeded")
    assert row["started_at"] >= before
    assert changed(engine) == 7
