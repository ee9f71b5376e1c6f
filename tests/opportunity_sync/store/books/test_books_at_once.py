"""Two runs that begin or end at once write the same books, on PostgreSQL side by side."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, text

from opportunity_sync.errors import ConfigError, StoreUnavailableError, SyncError
from opportunity_sync.model import CONTACT
from opportunity_sync.store import Alert, LeftOutField, change_alerts, note_left_out, record_shares
from opportunity_sync.store.books.left_out_fields import left_out_fields
from opportunity_sync.store.books.selections import note_selection
from opportunity_sync.store.books.state import (
    claim_organization,
    complete_columns,
    forget_interpretations,
    note_fill,
    read_state,
)
from opportunity_sync.store.journal.checks import write_check
from opportunity_sync.store.schema.tables import public_table
from opportunity_sync.store.sessions.lock import lock_store, writing
from store_rows import NOON, guid

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    Step = Callable[[Connection], Any]

LATE = Alert("sync.late", "", "The sync is late.", "look")
ITEM = {"name": "a", "state": "passed", "asked": "b", "found": "c", "next_step": "", "code": None}
# Not pg_locks: who waits for another transaction's row waits there in no database.
_WAITS = text("SELECT count(*) FROM pg_stat_activity "
              "WHERE wait_event_type = 'Lock' AND datname = current_database()")  # fmt: skip


def at_once(engine: Engine, first: Step, second: Step) -> tuple[Any, Any]:
    """What two transactions return: the second begins before the first has committed."""

    def write(step: Step) -> Any:
        with writing(engine) as connection:
            return step(connection)

    with ThreadPoolExecutor(1) as pool:
        with writing(engine) as connection:
            one = first(connection)
            other = pool.submit(write, second)
            until = time.monotonic() + 10
            with engine.connect() as watching:
                while not (other.done() or watching.scalar(_WAITS)) and time.monotonic() < until:
                    watching.rollback()
                    time.sleep(0.01)
        return one, other.result()


def alone(engine: Engine) -> AbstractContextManager[Connection]:
    """A transaction as that of a load."""
    return lock_store(engine, wait_seconds=10)


def left_out(field: str) -> LeftOutField:
    """A field that can't be read."""
    return LeftOutField("contact", field, field, "secured", "it is secured")


def test_what_is_left_out_is_that_of_the_later_of_two_runs(postgres_store: Engine) -> None:
    """No field of the other's stays, and none is written twice."""
    both, own = left_out("email"), left_out("phone")

    at_once(
        postgres_store,
        lambda connection: note_left_out(connection, [both]),
        lambda connection: note_left_out(connection, [both, own]),
    )
    with postgres_store.connect() as connection:
        assert left_out_fields(connection) == [both, own]


def test_an_alert_is_told_by_one_of_two_runs_that_end_at_once(postgres_store: Engine) -> None:
    """The other has nothing to tell."""
    one, other = at_once(
        postgres_store,
        lambda connection: change_alerts(connection, [LATE], moment=NOON),
        lambda connection: change_alerts(connection, [LATE], moment=NOON),
    )
    assert (one.wrong, other.wrong) == ((LATE,), ())


@pytest.mark.parametrize(
    "step",
    [
        lambda connection: write_check(connection, [ITEM], checked_at=NOON),
        lambda connection: record_shares(connection, "contact", {"email": 0.5}, as_of=NOON),
    ],
    ids=["check", "shares"],
)
def test_a_book_is_replaced_by_both_of_two_writers(postgres_store: Engine, step: Step) -> None:
    """The later one's stands, and neither fails."""
    at_once(postgres_store, step, step)


def test_columns_that_two_runs_note_at_once_are_all_known(postgres_store: Engine) -> None:
    """A run completes columns and another forgets one, or begins to fill: no word is lost."""
    with writing(postgres_store) as connection:
        complete_columns(connection, "contact", {"email": "", "phone": ""})
        note_fill(connection, "contact", {"city": ""})

    at_once(
        postgres_store,
        lambda connection: complete_columns(connection, "contact", {"state": ""}),
        lambda connection: forget_interpretations(connection, "contact", {"email"}),
    )
    at_once(
        postgres_store,
        lambda connection: note_fill(connection, "contact", {"country": ""}),
        lambda connection: note_fill(connection, "contact", {"address": ""}),
    )
    with postgres_store.connect() as connection:
        state = read_state(connection)
    assert state.columns["contact"] == {"phone": "", "state": ""}
    assert state.fill_begun["contact"] == {"city": "", "country": "", "address": ""}


def test_a_selection_that_two_runs_bring_has_changed_once(postgres_store: Engine) -> None:
    """The run that notes it later finds it known."""
    with writing(postgres_store) as connection:
        claim_organization(connection, guid(1))
        note_selection(connection, "a", ["contact.email"], moment=NOON)

    one, other = at_once(
        postgres_store,
        lambda connection: note_selection(connection, "b", [], moment=NOON),
        lambda connection: note_selection(connection, "b", [], moment=NOON),
    )
    assert (one.stopped, other) == (("contact.email",), None)


@pytest.mark.parametrize(
    ("write", "expected"), [(writing, StoreUnavailableError), (alone, ConfigError)]
)
def test_a_key_that_is_given_twice_heals_where_others_write_too(
    postgres_store: Engine, write: Callable[[Engine], Any], expected: type[SyncError]
) -> None:
    """In a load, which writes alone, it is a fault of the rows, and waiting does not mend it."""
    row = {"contact_id": guid(1), "version_number": 1, "synced_at": NOON}

    with pytest.raises(expected, match="23505"), write(postgres_store) as connection:
        connection.execute(insert(public_table(CONTACT)), [row, row])
