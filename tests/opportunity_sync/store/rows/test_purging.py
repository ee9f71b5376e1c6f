"""Rows that were deleted long ago lose their values, and nothing by which runs are told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from opportunity_sync.model import CONTACT
from opportunity_sync.store.rows.deletions import write_deleted
from opportunity_sync.store.rows.purging import purge_deleted
from opportunity_sync.store.schema.tables import fact_table, public_table
from store_rows import NOON, a_change, dump, guid, later, write

if TYPE_CHECKING:
    from sqlalchemy import Engine

PUBLIC, FACT = public_table(CONTACT), fact_table(CONTACT)


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
