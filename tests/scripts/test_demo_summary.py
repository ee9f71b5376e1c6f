"""The closing page of the demo adds up, and tells what could not be taken."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from demo import show_summary
from demo_summary import Summary, last_run, refused_lines, wholly_refused_tables
from opportunity_sync.store import migrate
from opportunity_sync.store.schema.tables import refused_row, sync_run, sync_run_entity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine, Table

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
RUN = {"dag_id": "dag", "run_id": "run"}
REFUSED: dict[str, Any] = {
    "code": "bad_value",
    "message": "is not an instant",
    "first_seen_at": NOW,
    "last_tried_at": NOW,
    "tries": 1,
    "next_try_at": NOW,
    "tried_by": "1",
}


@pytest.fixture
def store(sqlite_engine: Engine) -> Iterator[Connection]:
    """An empty store with one run."""
    migrate(sqlite_engine)
    with sqlite_engine.begin() as connection:
        run = {"mode": "full", "started_at": NOW, "outcome": "succeeded", "requests": 5}
        add(connection, sync_run, **RUN, **run)
        yield connection


def add(connection: Connection, table: Table, **values: Any) -> None:
    """One row."""
    connection.execute(insert(table).values(values))


def test_what_became_of_the_rows_adds_up_to_those_read(store: Connection) -> None:
    """Unchanged and filtered rows are told as well as those written."""
    add(
        store, sync_run_entity, **RUN, entity="contact", read=9, inserted=2, unchanged=4, filtered=3
    )
    add(store, sync_run_entity, **RUN, entity="account", read=3, updated=1, refused=2, deleted=7)
    add(store, sync_run_entity, **RUN, entity="role", read=4, inserted=4, deleted=1)
    assert last_run(store) == [
        (
            "This run: 5 requests; 12 records read: 2 inserted, 1 updated, 4 unchanged, "
            "3 left out by the filter, 2 refused, 0 older than the store's."
        ),
        "Contact roles: 4 inserted, 0 updated, 1 deleted.",
        "Besides: 7 deleted, 0 rewritten.",
    ]


def test_a_run_that_wrote_nothing_says_so(store: Connection) -> None:
    """It is what a second run of the demo shows."""
    add(store, sync_run_entity, **RUN, entity="contact", read=9, unchanged=9)
    assert last_run(store)[-1].startswith("Nothing has changed in Dynamics")


def test_a_table_of_which_every_record_was_refused_is_no_success(
    store: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code says it, and so does a sentence."""
    refused = [("contact", f"c{number}", "createdon", "bad_value") for number in range(12)]
    for entity, record_id, field, _ in refused:
        add(store, refused_row, entity=entity, record_id=record_id, field=field, **REFUSED)
    found: Any = refused
    assert wholly_refused_tables(store, found) == ("contact",)
    lines = refused_lines(found)
    assert "contact  c0  createdon  bad_value" in lines[2]
    assert "  and 2 more" in lines
    assert show_summary(Summary("", ("contact",))) == 1
    assert "Every contact was refused" in capsys.readouterr().err
    assert show_summary(Summary("", ())) == 0


def test_nothing_refused_needs_no_words(store: Connection) -> None:
    """The page stays short where all went well."""
    assert refused_lines([]) == []
    assert wholly_refused_tables(store, []) == ()
