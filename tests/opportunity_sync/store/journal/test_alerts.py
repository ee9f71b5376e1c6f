"""An alert is told once, and once more when it is well again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from opportunity_sync.store import (
    Alert,
    AlertChange,
    change_alerts,
    is_alert_change,
    migrate,
    note_told,
    read_signs,
    release_alerts,
)
from opportunity_sync.store.schema.tables import sync_run, sync_run_entity
from store_rows import NOON

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine

LATE = Alert("sync.late", "", "The sync is late.", "look")
REFUSED = Alert("rows.refused", "contact", "contact: 60 records are refused.", "look")


def change(connection: Connection, *found: Alert, is_told: bool = True) -> AlertChange:
    """What a run tells that finds these, and whether the telling works."""
    changed = change_alerts(connection, found, moment=NOON)
    if is_told:
        note_told(connection, changed.wrong, moment=NOON)
    else:
        release_alerts(connection, changed.wrong)
    return changed


def test_an_alert_is_told_once_and_when_it_is_well_again(sqlite_engine: Engine) -> None:
    """Other numbers in its message make no other alert of it."""
    more = Alert("rows.refused", "contact", "contact: 61 records are refused.", "look")
    migrate(sqlite_engine)
    with sqlite_engine.begin() as connection:
        told = [change(connection, *found) for found in ([LATE, REFUSED], [LATE, more], [LATE])]

    assert told == [
        AlertChange(wrong=(REFUSED, LATE), well=()),
        AlertChange(wrong=(), well=()),
        AlertChange(wrong=(), well=(REFUSED,)),
    ]


def test_what_could_not_be_told_is_told_by_the_next_run(sqlite_engine: Engine) -> None:
    """A webhook that was down for a minute loses nothing."""
    migrate(sqlite_engine)
    with sqlite_engine.begin() as connection:
        change(connection, LATE, is_told=False)
        again = change(connection, LATE)
        after = is_alert_change(connection, [LATE])

    assert (again.wrong, after) == ((LATE,), False)


def enter_run(connection: Connection, run_id: str, at: datetime, **given: Any) -> None:
    """A run of five updated contacts, which ended a minute after its beginning."""
    key = {"dag_id": "a-dag", "run_id": run_id}
    usual = {
        "mode": "continue",
        "outcome": "succeeded",
        "started_at": at,
        "ended_at": at + timedelta(minutes=1),
        "window_start": at,
    }
    connection.execute(insert(sync_run), key | usual | given)
    counted = key | {"entity": "contact", "updated": 5, "compared": 9}
    connection.execute(insert(sync_run_entity), counted)


def hours_ago(hours: Sequence[float]) -> list[datetime]:
    """These many hours before noon."""
    return [NOON - timedelta(hours=each) for each in hours]


def test_signs_are_read_from_the_books(sqlite_engine: Engine) -> None:
    """Hour, day and week are apart, first syncs left aside, and only the newest runs looked at."""
    migrate(sqlite_engine)
    with sqlite_engine.begin() as connection:
        for number, at in enumerate(hours_ago([0.5, 5, 48])):
            enter_run(connection, f"run-{number}", at)
        [first, failed, compared] = hours_ago([72, 0.2, 9])
        enter_run(connection, "first", first, window_start=None)
        enter_run(connection, "failed", failed, outcome="failed", error_code="PrivilegeError")
        enter_run(connection, "compared", compared, mode="reconcile")
        found = read_signs(connection, now=NOON)

    assert found.last_success_at == NOON - timedelta(minutes=29)
    assert (found.changed_hour, found.changed_day, found.changed_week) == (5, 10, 5)
    assert found.days_known == 2
    assert [run.is_failed for run in found.ended["continue"]] == [True, False, False]
    assert found.mended == {"contact": (5, 9)}


def test_what_never_got_through_needs_no_word_when_it_is_well_again(sqlite_engine: Engine) -> None:
    """Nobody knows what it is that has become well."""
    migrate(sqlite_engine)
    with sqlite_engine.begin() as connection:
        change(connection, LATE, is_told=False)
        after = change(connection)
        left = is_alert_change(connection, [])

    assert (after, left) == (AlertChange(wrong=(), well=()), False)


def test_who_was_ended_while_telling_leaves_the_alert_to_others(sqlite_engine: Engine) -> None:
    """A claim lasts for some minutes: longer than any telling takes."""
    migrate(sqlite_engine)
    with sqlite_engine.begin() as connection:
        told = [
            change_alerts(connection, [LATE], moment=NOON + timedelta(minutes=minutes)).wrong
            for minutes in (0, 1, 11)
        ]

    assert told == [(LATE,), (), (LATE,)]
