"""A quick sync writes chosen columns into rows that are there, and touches nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from opportunity_sync.model import CONTACT, DEFAULT_MODEL, OPPORTUNITY
from opportunity_sync.store.books.owed_columns import owed_ids, remember_owed
from opportunity_sync.store.rows.deletions import write_deleted
from opportunity_sync.store.rows.filling import fill_columns
from opportunity_sync.store.rows.labels import write_labels
from opportunity_sync.store.schema.tables import fact_table, public_table
from store_rows import NOON, a_change, dump, guid, later, only_row, part, write

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from opportunity_sync.model import Entity

CONTACTS, CONTACT_FACTS = public_table(CONTACT), fact_table(CONTACT)


def fill(
    engine: Engine, *rows: dict[str, Any], fields: tuple[str, ...], entity: Entity = CONTACT
) -> int:
    """Fill these fields a minute after noon, as the seventh change of the store."""
    with engine.begin() as connection:
        change = a_change(6, later())
        counts = fill_columns(connection, entity, part(entity, *rows), fields=fields, change=change)
    assert counts.unaccounted == 0
    return counts.updated


def owe(engine: Engine, *columns: str) -> None:
    """Let the first contact owe these columns."""
    with engine.begin() as connection:
        keys = pa.table({"contact_id": [guid(1)]})
        remember_owed(connection, CONTACT, [keys], columns)


def owing(engine: Engine, column: str) -> list[str]:
    """Ids of the contacts that owe a column."""
    with engine.connect() as connection:
        return owed_ids(connection, CONTACT, [column])


def test_only_the_chosen_columns_are_written(engine: Engine) -> None:
    """A row that changes by that has the change's number; its version stays what it was."""
    write(engine, CONTACT, {"version_number": 3, "first_name": "Ada", "email": "old@example.com"})
    arriving = {"version_number": 4, "first_name": "Grace", "email": "new@example.com"}

    assert fill(engine, arriving, fields=("email",)) == 1

    row = only_row(engine, CONTACTS)
    assert (row["first_name"], row["email"], row["version_number"]) == ("Ada", "new@example.com", 3)
    assert (row["synced_at"], row["revision"]) == (later(), 7)
    assert only_row(engine, CONTACT_FACTS)["version_number"] == 3


def test_all_columns_of_a_field_come_together(engine: Engine) -> None:
    """A choice has a code and a label, and the last known one where metadata has a hole."""
    write(engine, OPPORTUNITY, {})
    with engine.begin() as connection:
        labels = {"opportunity": {"stage": {1: "Won"}}}
        write_labels(connection, labels, model=DEFAULT_MODEL, change=a_change())

    assert fill(engine, {"stage_code": 1}, fields=("stage",), entity=OPPORTUNITY) == 1

    row = only_row(engine, public_table(OPPORTUNITY))
    assert (row["stage_code"], row["stage_label"]) == (1, "Won")


def test_a_value_that_was_cleared_becomes_null(engine: Engine) -> None:
    """A column in which a part holds nothing is filled as well."""
    write(engine, CONTACT, {"email": "old@example.com"})

    assert fill(engine, {"email": None}, fields=("email",)) == 1
    assert only_row(engine, CONTACTS)["email"] is None


def test_equal_values_write_nothing(engine: Engine) -> None:
    """Null is equal to null."""
    write(engine, CONTACT, {"email": "ada@example.com"})
    before = dump(engine, CONTACTS)

    assert fill(engine, {"email": "ada@example.com"}, fields=("email", "phone")) == 0
    assert before == dump(engine, CONTACTS)


@pytest.mark.parametrize(("stored", "read", "filled"), [(5, 4, 0), (5, 5, 1), (5, 6, 1)])
def test_a_value_older_than_the_row_is_not_taken(
    sqlite_store: Engine, stored: int, read: int, filled: int
) -> None:
    """Another run may have written a newer one since it was read."""
    write(sqlite_store, CONTACT, {"version_number": stored, "email": "stored@example.com"})
    arriving = {"version_number": read, "email": "read@example.com"}

    assert fill(sqlite_store, arriving, fields=("email",)) == filled

    expected = "read@example.com" if filled else "stored@example.com"
    assert expected == only_row(sqlite_store, CONTACTS)["email"]


def test_rows_that_are_gone_excluded_or_not_there_are_left(engine: Engine) -> None:
    """A quick sync makes no row and raises none from the dead."""
    write(engine, CONTACT, {"id": 1}, {"id": 2})
    write(engine, CONTACT, {"id": 2, "version_number": 2, "sync_filter": False})
    with engine.begin() as connection:
        gone = pa.table({"contact_id": [guid(1)]})
        change = a_change(moment=NOON)
        write_deleted(connection, CONTACT, [gone], change=change, recheck=False)
    before = dump(engine, CONTACTS, CONTACT_FACTS)

    rows = [{"id": number, "version_number": 9, "email": "x"} for number in (1, 2, 3)]
    assert fill(engine, *rows, fields=("email",)) == 0
    assert before == dump(engine, CONTACTS, CONTACT_FACTS)


def test_no_rows_fill_nothing(sqlite_store: Engine) -> None:
    """A page can be empty."""
    assert fill(sqlite_store, fields=("email",)) == 0


def test_what_was_filled_is_owed_no_more(engine: Engine) -> None:
    """Just these columns; an equal value settles them, too, and a value that was too old does not.

    The whole record stays owed: nobody has read it.
    """
    write(engine, CONTACT, {"version_number": 5, "email": "a"})
    owe(engine, "email", "phone")
    fill(engine, {"version_number": 4, "email": "a"}, fields=("email",))
    assert (owing(engine, "email"), owing(engine, "phone")) == ([guid(1)], [guid(1)])
    fill(engine, {"version_number": 5, "email": "a"}, fields=("email",))
    assert (owing(engine, "email"), owing(engine, "phone")) == ([], [guid(1)])
    owe(engine, "")
    fill(engine, {"version_number": 5, "email": "a"}, fields=("email",))
    assert owing(engine, "email") == [guid(1)]
