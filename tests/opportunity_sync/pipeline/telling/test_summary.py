"""What the last task says of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opportunity_sync.pipeline.telling.summary import (
    figures_of,
    report_run,
    say_freshness,
    say_refused,
    say_unresolved,
    say_waiting,
    say_what_came,
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

    assert told == "Continuing sync: 0 records read, no row changed (5 requests, 2 s)."


def test_what_came_is_one_sentence() -> None:
    """Roles are changed, but not read; a first sync is told from a five-minute one."""
    by_table = {"contact": counts(read=2_000, inserted=1_500), "role": counts(read=7, inserted=7)}

    told = say_what_came(figures(counts=by_table), is_first=True)

    assert told == (
        "Continuing sync, a table read whole: 2,000 records read, 1,507 inserted (5 requests, 2 s)."
    )


def test_what_is_not_as_it_should_be_is_told_with_a_next_step() -> None:
    """Each in a line, and none where there is nothing to tell."""
    found = figures(
        lags={60: 5},
        waiting={"contact": 5_000, "account": 0, "opportunity": None},
        refused={"contact": 12},
        unresolved={"account_excluded": 3, "contact_not_found": 1},
    )
    told = [say(found) for say in (say_freshness, say_waiting, say_refused, say_unresolved)]

    assert [line.partition(".")[0] for line in told] == [
        "Freshness: half of the changes were here within 52 s, 95 % within 59 s",
        "Backlog when it began, in Dynamics: contact 5,000 or more",
        "Refused now: contact 12",
        "Unresolved associations: account_excluded 3, contact_not_found 1",
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

    assert told["summary"].startswith("Full sync: 3 records read, 2 inserted (4 requests,")
    assert (told["read"], told["inserted"], told["refused_now"]) == (3, 2, 0)
    assert [value for value in told.values() if not isinstance(value, str | int)] == []
