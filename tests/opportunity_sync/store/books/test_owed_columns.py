"""What a row was written without is remembered until it has been read, by whatever run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from sqlalchemy import select

from opportunity_sync.model import ACCOUNT, CONNECTION, CONTACT
from opportunity_sync.store.books.owed_columns import (
    count_owed,
    count_owed_by_column,
    forget_owed_columns,
    owe_rows_since,
    owed_ids,
    owes_anything,
    remember_owed,
)
from opportunity_sync.store.books.refused_records import note_refused
from opportunity_sync.store.rows.deletions import write_deleted
from opportunity_sync.store.schema.tables import owed_column
from opportunity_sync.store.upgrade.made_columns import want_columns
from store_rows import NOON, a_change, dump, guid, write

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from opportunity_sync.model import Entity


@pytest.fixture(params=["first load", "later load"])
def store(request: pytest.FixtureRequest, engine: Engine) -> Engine:
    """A store that has two columns, with and without a row that is as it should be."""
    with engine.begin() as connection:
        for entity in (CONTACT, CONNECTION):
            want_columns(connection, entity, ["first_name", "job_title", "state", "parent"])
    if request.param == "later load":
        for entity in (CONTACT, CONNECTION):
            write(engine, entity, {"id": 99, "version_number": 1})
    return engine


def owed(engine: Engine) -> set[tuple[str, str, str]]:
    """Entity, record's number and column of all that is owed."""
    rows = dump(engine, owed_column)["owed_column"]
    return {(r["entity"], str(int(r["record_id"][:8], 16)), r["column_name"]) for r in rows}


def keys(*numbers: int, entity: Entity = CONTACT) -> pa.Table:
    """Keys of the entity."""
    return pa.table({entity.key_column: [guid(number) for number in numbers]})


def test_a_new_row_owes_the_wanted_columns_that_it_lacks(store: Engine) -> None:
    """A public column or a fact; of connections, too; no column that nobody wants."""
    write(store, CONTACT, {}, {"id": 2}, without=["job_title", "parent", "phone"])
    write(store, CONNECTION, {"id": 5}, without=["state"])
    assert owed(store) == {
        ("contact", "1", "job_title"),
        ("contact", "1", "parent"),
        ("contact", "2", "job_title"),
        ("contact", "2", "parent"),
        ("connection", "5", "state"),
    }


def test_only_a_new_version_owes(store: Engine) -> None:
    """A row that is read again as it is has what it had."""
    write(store, CONTACT, {"version_number": 2, "job_title": "Countess"})
    for version in (1, 2):
        write(store, CONTACT, {"version_number": version}, without=["job_title"])
        assert owed(store) == set()
    write(store, CONTACT, {"version_number": 3}, without=["job_title"])
    assert owed(store) == {("contact", "1", "job_title")}


def test_a_row_that_comes_back_to_life_owes(store: Engine) -> None:
    """Its version can be the same; what it holds is not known."""
    write(store, CONTACT, {"job_title": "Countess"})
    delete(store, 1)
    write(store, CONTACT, {}, begun=1, without=["job_title"])
    assert owed(store) == {("contact", "1", "job_title")}


def test_what_was_read_is_owed_no_more(store: Engine) -> None:
    """By a row as new as the store's, whoever wrote that; an older one settles nothing."""
    write(store, CONTACT, {"version_number": 3}, without=["job_title"])
    with store.begin() as connection:
        remember_owed(connection, CONTACT, [keys(1, 7)], [""])
    write(store, CONTACT, {"version_number": 2, "job_title": "Countess"})
    assert ("contact", "1", "job_title") in owed(store)
    write(store, CONTACT, {"version_number": 3}, without=["job_title"])
    assert owed(store) == {("contact", "1", "job_title"), ("contact", "7", "")}
    write(store, CONTACT, {"version_number": 3, "job_title": "Countess"})
    assert owed(store) == {("contact", "7", "")}


def test_a_record_deleted_since_the_run_began_is_owed_as_a_whole(store: Engine) -> None:
    """The deletion counts for now; whether it is out of date, the next run asks."""
    write(store, CONTACT, {}, {"id": 2, "version_number": 5}, {"id": 3})
    delete(store, 1, 2, revision=7)
    delete(store, 4, revision=7)
    rows = [{"id": number, "version_number": 3} for number in (1, 2, 3, 4)]
    counts = write(store, CONTACT, *rows, begun=6)
    assert (counts.superseded, counts.updated) == (3, 1)
    assert owed(store) == {("contact", "1", ""), ("contact", "4", "")}
    write(store, CONTACT, *rows, begun=7)
    assert owed(store) == set()


def test_a_first_load_settles_what_was_owed_of_an_empty_table(engine: Engine) -> None:
    """Whatever is written straight has been read, too."""
    with engine.begin() as connection:
        remember_owed(connection, ACCOUNT, [keys(1, 2, entity=ACCOUNT)], ["company", ""])
    write(engine, ACCOUNT, {})
    assert owed(engine) == {("account", "2", "company"), ("account", "2", "")}


def test_owed_ids_are_those_of_the_columns_or_of_the_whole_record(engine: Engine) -> None:
    """In order, as many as are wanted, each once; refused ones have their own schedule."""
    refusal: dict[str, Any] = {"field": None, "code": "c", "message": "m"}
    with engine.begin() as connection:
        remember_owed(connection, CONTACT, [keys(3, 1, 3), keys(4)], ["email", "phone"])
        remember_owed(connection, CONTACT, [keys(2)], [""])
        remember_owed(connection, CONTACT, [keys(6)], ["fax"])
        remember_owed(connection, ACCOUNT, [keys(5, entity=ACCOUNT)], ["email"])
        refused = [refusal | {"record_id": guid(4)}]
        note_refused(connection, CONTACT, refused, moment=NOON, by={"tried_by": "1"})
        assert owed_ids(connection, CONTACT, ["email"]) == [guid(1), guid(2), guid(3)]
        assert owed_ids(connection, CONTACT, ["email", "phone"], 2) == [guid(1), guid(2)]
        assert owed_ids(connection, CONTACT, []) == [guid(2)]
        assert count_owed(connection, CONTACT, ["email", "phone"]) == 4
        assert count_owed(connection, CONTACT, []) == 1
        assert count_owed(connection, ACCOUNT, ["phone"]) == 0


def test_just_the_named_columns_are_forgotten(engine: Engine) -> None:
    """Of all records or of those named, and the whole record only where it is named."""
    one = select(owed_column.c.record_id).where(owed_column.c.record_id == guid(1))
    with engine.begin() as connection:
        remember_owed(connection, CONTACT, [keys(1, 2)], ["email", "phone", ""])
        forget_owed_columns(connection, CONTACT, ["email", "fax"], ids=one)
        forget_owed_columns(connection, CONTACT, ["phone"])
    assert owed(engine) == {("contact", "1", ""), ("contact", "2", ""), ("contact", "2", "email")}


def test_a_record_that_is_gone_owes_nothing_unless_that_is_to_be_checked(engine: Engine) -> None:
    """Another run may have known better than the one that found it gone."""
    for recheck in (False, True):
        with engine.begin() as connection:
            remember_owed(connection, CONTACT, [keys(1, 2)], ["email", ""])
        delete(engine, 1, recheck=recheck)
        expected = {("contact", "2", "email"), ("contact", "2", "")}
        assert owed(engine) == expected | ({("contact", "1", "")} if recheck else set())


def test_owed_records_are_counted_by_column(engine: Engine) -> None:
    """Columns that nobody owes are left out, and so is the whole record unless it is named."""
    with engine.begin() as connection:
        remember_owed(connection, CONTACT, [keys(1, 2)], ["email", ""])
        remember_owed(connection, CONTACT, [keys(2, 3, 4)], ["phone"])
        assert count_owed_by_column(connection, CONTACT, ["email", "phone", "fax"]) == {
            "email": 2,
            "phone": 3,
        }
        assert count_owed_by_column(connection, CONTACT, []) == {}
        assert count_owed_by_column(connection, ACCOUNT, ["email"]) == {}


def test_what_is_owed_twice_is_owed_once(engine: Engine) -> None:
    """By two runs as by two parts of one; a key that could not be read is owed by nobody."""
    unreadable = pa.table({"contact_id": pa.array([None], pa.string())})
    with engine.begin() as connection:
        assert not owes_anything(connection, CONTACT)
        for _ in range(2):
            remember_owed(connection, CONTACT, [keys(1), keys(1), unreadable], ["email"])
        assert owes_anything(connection, CONTACT)
        assert not owes_anything(connection, ACCOUNT)
    assert owed(engine) == {("contact", "1", "email")}


@pytest.mark.parametrize(("revision", "numbers"), [(0, {"1", "2"}), (1, {"2"}), (2, set())])
def test_live_rows_written_after_a_change_are_owed_as_a_whole(
    sqlite_store: Engine, revision: int, numbers: set[str]
) -> None:
    """Those of that change itself are not, nor are deleted ones."""
    write(sqlite_store, CONTACT, {"id": 1}, {"id": 3}, begun=0)
    write(sqlite_store, CONTACT, {"id": 2}, begun=1)
    delete(sqlite_store, 3, revision=2)
    with sqlite_store.begin() as connection:
        owe_rows_since(connection, CONTACT, revision)
    assert owed(sqlite_store) == {("contact", number, "") for number in numbers}


def delete(engine: Engine, *numbers: int, revision: int = 1, recheck: bool = False) -> None:
    """Load the deletion of contacts."""
    with engine.begin() as connection:
        change = a_change(revision=revision)
        write_deleted(connection, CONTACT, [keys(*numbers)], change=change, recheck=recheck)
