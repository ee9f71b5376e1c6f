"""What the last task says of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opportunity_sync.core.merges import MERGE_CIRCLE
from opportunity_sync.core.references import ACCOUNT_REASONS, CONTACT_REASONS
from opportunity_sync.pipeline.telling.summary import (
    figures_of,
    report_run,
    say_freshness,
    say_refused,
    say_unresolved,
    say_waiting,
    say_waits,
    say_what_came,
    when_resolved,
)
from opportunity_sync.store import Figures, migrate, writing
from opportunity_sync.store.journal.runs import begin_run, end_run
from opportunity_sync.store.schema.tables import COUNTS
from opportunity_sync.store.statements.counts import Counts
from store_rows import NOON

if TYPE_CHECKING:
    from sqlalchemy import Engine


def figures(**given: Any) -> Figures:
    """A run that found nothing, but for what is given."""
    usual: dict[str, Any] = {
        "mode": "continue",
        "requests": 5,
        "seconds": 2.4,
        "counts": {"contact": dict.fromkeys(COUNTS, 0)},
        "lags": {},
        "waiting": {},
        "refused": {},
        "unresolved": {},
    }
    return Figures(**usual | given)


def counts(**given: int) -> dict[str, int]:
    """The counts of a table, zero but for what is given."""
    return dict.fromkeys(COUNTS, 0) | given


def test_a_run_that_found_nothing_says_so() -> None:
    """Its kind, that no row changed, and what it cost."""
    told = say_what_came(figures(), is_first=False)

    assert told == "Continuing sync: 0 records read; no row changed (5 requests, 2 s)."


def test_what_came_is_one_sentence() -> None:
    """Roles are no records; what became of these adds up; a first sync is told from the others."""
    by_table = {
        "contact": counts(read=2_000, inserted=1_500, filtered=500, deleted=3),
        "role": counts(read=7, inserted=7, deleted=1),
    }

    told = say_what_came(figures(counts=by_table), is_first=True)

    assert told == (
        "First sync: 2,000 records read: 1,500 inserted, 500 left out by the filter; "
        "besides 3 deleted; contact roles: 7 inserted, 1 deleted (5 requests, 2 s)."
    )


def test_what_is_not_as_it_should_be_is_told_with_a_next_step() -> None:
    """Each in a line, and none where there is nothing to tell."""
    found = figures(
        lags={60: 5},
        waiting={"contact": 5_000, "account": 0, "opportunity": None},
        refused={"contact": 12},
    )
    told = [say(found) for say in (say_freshness, say_waiting, say_refused)]

    assert [line.partition(".")[0] for line in told] == [
        "Freshness: half of the changes were here within 52 s, 95 % within 59 s",
        "Backlog when it began, in Dynamics: contact 5,000 or more",
        "Refused now: contact 12",
    ]
    assert [say(figures()) for say in (say_freshness, say_waiting, say_refused)] == [""] * 3


def test_the_summary_is_flat(sqlite_engine: Engine) -> None:
    """Airflow shows a dict without dicts in it on one screen."""
    run = {"dag_id": "a-dag", "run_id": "a-run"}
    migrate(sqlite_engine)
    with writing(sqlite_engine) as connection:
        begin_run(connection, **run, attempt="1", mode="full", started_at=NOON)
        done = {"contact": Counts(read=3, inserted=2, unchanged=1)}
        end_run(connection, **run, attempt="1", outcome="succeeded", counts=done, requests=4)

    told = report_run(figures_of(sqlite_engine, run), run)

    assert told["summary"].startswith(
        "Full sync: 3 records read: 2 inserted, 1 unchanged (4 requests,"
    )
    assert (told["read"], told["inserted"], told["refused_now"]) == (3, 2, 0)
    assert [value for value in told.values() if not isinstance(value, str | int)] == []


def test_only_what_somebody_can_mend_is_a_warning() -> None:
    """What the filter leaves out and who was erased is as somebody wanted it."""
    found = figures(
        unresolved={
            "contact_not_found": 1,
            "account_excluded": 3,
            "role_refused": 2,
            "merge_circle": 4,
            "contact_erased": 5,
        }
    )

    told = say_unresolved(found)

    assert {line.split(": ")[1].split(".")[0] for line, is_warning in told if is_warning} == {
        "contact_not_found 1",
        "role_refused 2",
        "merge_circle 4",
    }
    assert told[1][0].endswith("account_excluded 3. Resolved when the record's filter says Yes.")
    assert say_unresolved(figures()) == []


def test_every_reason_says_when_it_is_resolved() -> None:
    """A reason that is added needs its words here."""
    known = (
        reason
        for reasons in (CONTACT_REASONS, ACCOUNT_REASONS)
        for reason in (reasons.not_found, reasons.excluded, reasons.refused, reasons.erased)
        if reason
    )
    reasons = [*known, MERGE_CIRCLE, "role_not_found", "role_refused"]

    assert [reason for reason in reasons if not when_resolved(reason)] == []


def test_waits_for_dynamics_are_said_with_their_task_and_cause() -> None:
    """A throttled run looks like one with much to do."""
    waits = {
        "begin": {"retries": 1, "throttled": 0, "waited_seconds": 1},
        "extract_contacts": {"retries": 9, "throttled": 9, "waited_seconds": 850},
    }

    assert say_waits(waits) == (
        "Waited for Dynamics: 1 s in begin (1 try failed otherwise), "
        "14 min in extract_contacts (9 answers of 'too many requests')."
    )
    assert say_waits({}) == ""
