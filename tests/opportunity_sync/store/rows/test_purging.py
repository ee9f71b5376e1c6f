"""Rows that were deleted long ago, or erased, lose their values, and keep what tells runs apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
from sqlalchemy import insert, text

from opportunity_sync.model import ACCOUNT, CONTACT, DEFAULT_MODEL, OPPORTUNITY
from opportunity_sync.store.books.owed_columns import owed_ids
from opportunity_sync.store.journal.runs import record_errors
from opportunity_sync.store.rows.deletions import write_deleted
from opportunity_sync.store.rows.erasing import erase_contact
from opportunity_sync.store.rows.filling import fill_columns
from opportunity_sync.store.rows.labels import write_labels
from opportunity_sync.store.rows.purging import purge_deleted
from opportunity_sync.store.schema.tables import (
    fact_table,
    history,
    opportunity_contact_role,
    public_table,
    sync_error,
)
from store_rows import NOON, a_change, dump, fields_of, guid, later, part, write

if TYPE_CHECKING:
    from sqlalchemy import Engine

PUBLIC, FACT = public_table(CONTACT), fact_table(CONTACT)
KEPT = {
    *("contact_id", "version_number", "owner_id", "owner_type", "created_at", "modified_at"),
    *("is_deleted", "deleted_at", "synced_at", "revision"),
}
PERSON = {
    "id": 1,
    "last_name": "Doe",
    "email": "a@example.com",
    "person_status_code": 1,
    "parent_id": guid(9),
    "account_id": guid(9),
    "owner_id": guid(8),
    "modified_at": NOON,
}


def delete_contact(engine: Engine, number: int, *, minute: int) -> None:
    """Mark a contact as deleted at that minute, by the second change."""
    keys = pa.table({"contact_id": [guid(number)]})
    with engine.begin() as connection:
        write_deleted(connection, CONTACT, [keys], change=a_change(1, later(minute)), recheck=False)


def test_only_rows_deleted_before_the_time_are_emptied_and_only_once(engine: Engine) -> None:
    """Key, version, owner and the times stay; the row has the change's number."""
    rows = [
        {"id": number, "email": "a@example.com", "parent_id": guid(9), "owner_id": guid(8)}
        for number in (1, 2, 3)
    ]
    write(engine, CONTACT, *rows)
    delete_contact(engine, 1, minute=1)
    delete_contact(engine, 2, minute=3)

    with engine.begin() as connection:
        change = a_change(5, later(9))
        assert purge_deleted(connection, CONTACT, before=later(2), change=change) == 1
        assert purge_deleted(connection, CONTACT, before=later(2), change=a_change(7)) == 0

    told = dump(engine, PUBLIC, FACT)
    contacts = [(row["email"], row["owner_id"], row["revision"]) for row in told["contact"]]
    assert contacts[0] == (None, guid(8), 6)
    assert [email for email, *_ in contacts[1:]] == ["a@example.com"] * 2
    facts = told["fact_contact"]
    assert [row["parent_id"] for row in facts] == [None, guid(9), guid(9)]
    assert (facts[0]["is_deleted"], facts[0]["version_number"]) == (True, 1)


def test_a_record_that_comes_back_has_its_values_again(engine: Engine) -> None:
    """A purge is no erasure: who is restored in Dynamics, at the same version, is whole."""
    write(engine, CONTACT, {"id": 1, "email": "a@example.com"})
    delete_contact(engine, 1, minute=1)
    with engine.begin() as connection:
        purge_deleted(connection, CONTACT, before=later(2), change=a_change(2, NOON))

    write(engine, CONTACT, {"id": 1, "email": "a@example.com"}, begun=3)

    (row,) = dump(engine, PUBLIC)["contact"]
    assert (row["email"], row["is_deleted"]) == ("a@example.com", False)


def erase(engine: Engine, number: int = 1, *, begun: int = 1) -> bool:
    """Erase a contact, by the change after that of this number."""
    with engine.begin() as connection:
        return erase_contact(connection, guid(number), change=a_change(begun, later(5)))


def stored_person(engine: Engine) -> dict[str, object]:
    """All that the database has in the person's public row, in whatever column."""
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM contact")).mappings().one()
        return {name: value for name, value in row.items() if value is not None}


def test_of_an_erased_contact_only_key_and_bookkeeping_stay(engine: Engine) -> None:
    """The row is deleted and has the change's number; the fact keeps its version, for ever."""
    write(engine, CONTACT, PERSON | {"version_number": 7})
    assert erase(engine)

    row = stored_person(engine)
    assert row.keys() - KEPT == set()
    assert (row["version_number"], row["revision"]) == (7, 2)
    (fact,) = dump(engine, FACT)["fact_contact"]
    assert (fact["version_number"], fact["is_deleted"], fact["parent_id"]) == (7, True, None)


def test_nothing_that_a_run_writes_brings_an_erased_contact_back(engine: Engine) -> None:
    """Neither rows read before the wish or after it, newer or not, nor a fill, nor a new label."""
    write(engine, CONTACT, PERSON)
    erase(engine)
    before = stored_person(engine)
    for begun, version in ((0, 1), (1, 9), (50, 9), (60, 10)):
        counts = write(engine, CONTACT, PERSON | {"version_number": version}, begun=begun)
        assert counts.superseded == 1
    with engine.begin() as connection:
        change, rows = a_change(70), part(CONTACT, PERSON | {"version_number": 99})
        assert fill_columns(connection, CONTACT, rows, fields=["email"], change=change).updated == 0
        labels = {"contact": {"person_status": {1: "Renamed"}}}
        model_change = a_change(80)
        assert write_labels(connection, labels, model=DEFAULT_MODEL, change=model_change) == {
            "contact": 0
        }
        assert list(owed_ids(connection, CONTACT, fields_of(CONTACT))) == []
    assert stored_person(engine) == before


def test_a_contact_can_be_erased_before_it_was_ever_seen(engine: Engine) -> None:
    """Its first row is set aside; there is no table that is filled unseen."""
    assert not erase(engine, begun=0)
    counts = write(engine, CONTACT, PERSON, begun=9)
    assert (counts.inserted, dump(engine, PUBLIC)["contact"]) == (0, [])


def test_errors_and_history_that_name_an_erased_contact_go(engine: Engine) -> None:
    """What was noted of others stays."""
    write(engine, CONTACT, PERSON, PERSON | {"id": 2})
    line = {"at": NOON, "dag_id": "sync", "run_id": "r"}
    role = {"is_primary": True, "source": "customer", "synced_at": NOON, "role": "Champion"}
    with engine.begin() as connection:
        for number in (1, 2):
            key = {"opportunity_id": guid(number)}
            changes = f'{{"roles":{{"written":["{guid(number)}"],"deleted":[]}}}}'
            given = line | {"revision": 1, "changes": changes}
            connection.execute(insert(history).values(key | given))
            contact = {"contact_id": guid(number)}
            connection.execute(insert(opportunity_contact_role).values(key | contact | role))
        refused = [
            {
                "entity": "contact",
                "record_id": guid(number),
                "field": "",
                "code": "x",
                "message": "",
            }
            for number in (1, 2)
        ]
        record_errors(connection, "sync", "r", refused)
    erase(engine)

    told = dump(engine, history, sync_error, opportunity_contact_role)
    assert [row["opportunity_id"] for row in told["history"]] == [guid(2)]
    assert [row["record_id"] for row in told["sync_error"]] == [guid(2)]
    assert [row["is_deleted"] for row in told["opportunity_contact_role"]] == [True, False]


def test_opportunities_of_an_erased_contact_are_asked_for_again(engine: Engine) -> None:
    """The next run resolves them without it."""
    write(engine, CONTACT, PERSON)
    mine = {"customer_id": guid(1), "customer_type": "contact"}
    write(engine, OPPORTUNITY, mine | {"id": 11}, {"id": 12})
    erase(engine)
    with engine.connect() as connection:
        assert list(owed_ids(connection, OPPORTUNITY, fields_of(OPPORTUNITY))) == [guid(11)]


def test_a_purged_opportunity_has_no_history_and_no_stopped_column_left(engine: Engine) -> None:
    """A column that is not selected any more is emptied as well."""
    write(engine, OPPORTUNITY, {"id": 1, "name": "Mine", "customer_id": guid(5)})
    with engine.begin() as connection:
        gone = pa.table({"opportunity_id": [guid(1)]})
        change = a_change(1, later(1))
        write_deleted(connection, OPPORTUNITY, [gone], change=change, recheck=False)
        line = {"at": NOON, "dag_id": "sync", "run_id": "r", "changes": "{}", "revision": 1}
        connection.execute(insert(history).values(line | {"opportunity_id": guid(1)}))
        purge_deleted(connection, OPPORTUNITY, before=later(2), change=a_change(5, later(9)))
    told = dump(engine, history, public_table(OPPORTUNITY), fact_table(OPPORTUNITY))
    (row,), (fact,) = told["opportunity"], told["fact_opportunity"]
    assert (told["history"], row["name"], row["customer_id"]) == ([], None, None)
    assert (fact["customer_id"], fact["deleted_revision"]) == (None, 2)


def test_a_table_without_a_column_to_empty_is_not_written_again(sqlite_store: Engine) -> None:
    """Nothing but the bookkeeping is selected, so no row has anything to lose."""
    bare = replace(
        ACCOUNT,
        fields=tuple(field for field in ACCOUNT.fields if field.always_stands),
    )
    with sqlite_store.begin() as connection:
        for field in ACCOUNT.fields:
            for column in field.columns:
                if not field.always_stands:
                    connection.execute(text(f'ALTER TABLE account DROP COLUMN "{column.name}"'))
        row = {"account_id": guid(1), "version_number": 1, "revision": 1, "is_deleted": True}
        row |= {"deleted_at": NOON, "synced_at": NOON}
        connection.execute(insert(public_table(bare)), [row])
        change = a_change(6, later())
        assert purge_deleted(connection, bare, before=later(), change=change) == 0


def test_a_selected_column_with_a_name_of_the_facts_is_emptied(sqlite_store: Engine) -> None:
    """Only the facts keep `is_erased` and `deleted_revision`; here they say what somebody wrote."""
    write(sqlite_store, CONTACT, PERSON)
    with sqlite_store.begin() as connection:
        for name in ("is_erased", "deleted_revision"):
            connection.execute(text(f"ALTER TABLE contact ADD COLUMN {name} TEXT"))
            connection.execute(text(f"UPDATE contact SET {name} = 'private'"))
        erase_contact(connection, guid(1), change=a_change(6, later()))
        query = text("SELECT is_erased, deleted_revision FROM contact")
        assert tuple(connection.execute(query).one()) == (None, None)
