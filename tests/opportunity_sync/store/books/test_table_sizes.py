"""Tests of the numbers of rows that the store keeps, since a page can't wait for a count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, text

from opportunity_sync.model import ACCOUNT, CONTACT
from opportunity_sync.store.books.table_sizes import count_rows, live_rows
from opportunity_sync.store.schema.tables import fact_table, public_table
from store_reader import tells_its_rows
from store_rows import guid, later, write

if TYPE_CHECKING:
    from sqlalchemy import Engine


def told(engine: Engine) -> dict[str, int]:
    """The numbers that are kept, by table."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT entity, rows FROM table_size"))
        return {row.entity: row.rows for row in rows if row.rows}


def test_rows_that_are_new_add_up_and_others_count_once(engine: Engine) -> None:
    """The first load fills an empty table, later ones merge; what the filter leaves out is none."""
    write(engine, CONTACT, {"id": 1}, {"id": 2, "sync_filter": False})
    assert told(engine) == {"contact": 1}
    write(engine, CONTACT, {"id": 1, "version_number": 2}, {"id": 3}, {"id": 4}, begun=1)
    write(engine, ACCOUNT, {"id": 1}, moment=later(), begun=2)
    assert told(engine) == {"contact": 3, "account": 1}
    assert tells_its_rows(engine)


def test_what_somebody_removed_by_hand_is_found_by_counting(engine: Engine) -> None:
    """A scan under the store's lock, once a day."""
    write(engine, CONTACT, {"id": 1}, {"id": 2})
    table = public_table(CONTACT)
    with engine.begin() as connection:
        connection.execute(delete(table).where(table.c.contact_id == guid(1)))
        assert live_rows(connection, CONTACT) == 2
        count_rows(connection, CONTACT)
        assert live_rows(connection, CONTACT) == 1


def test_a_store_that_somebody_emptied_begins_at_nothing(engine: Engine) -> None:
    """The number that is left behind must not add up with the rows of the rebuilt store."""
    write(engine, CONTACT, {"id": 1}, {"id": 2})
    with engine.begin() as connection:
        for table in (public_table(CONTACT), fact_table(CONTACT)):
            connection.execute(delete(table))

    write(engine, CONTACT, {"id": 3})

    assert told(engine) == {"contact": 1}
