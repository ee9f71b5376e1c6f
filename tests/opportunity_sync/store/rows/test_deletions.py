"""A deletion marks what is there, remembers what is not, and counts both for what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from opportunity_sync.model import ACCOUNT, CONNECTION, CONTACT, DEFAULT_MODEL, OPPORTUNITY
from opportunity_sync.store.books.refused_records import note_refused, refused_ids
from opportunity_sync.store.rows.associations import write_roles, write_unresolved
from opportunity_sync.store.rows.deletions import (
    count_live,
    holds_all,
    live_versions,
    write_deleted,
)
from opportunity_sync.store.schema.tables import (
    fact_table,
    opportunity_contact_role,
    public_table,
    tables_of,
    unresolved_association,
)
from opportunity_sync.store.statements.counts import Counts
from store_rows import NOON, a_change, dump, guid, later, part, write

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from opportunity_sync.model import Entity

FACTS = fact_table(CONTACT)


def delete(
    engine: Engine, entity: Entity, *numbers: int, revision: int = 5, minutes: int = 5
) -> tuple[Counts, int]:
    """Load the deletion of these records."""
    gone = pa.table({entity.key_column: pa.array([guid(n) for n in numbers], pa.string())})
    change = a_change(revision=revision, moment=later(minutes))
    with engine.begin() as connection:
        return write_deleted(connection, entity, [gone], change=change, recheck=False)


def facts_of(engine: Engine) -> dict[str, tuple[bool, int | None]]:
    """Whether each contact is deleted, and by which change."""
    rows = dump(engine, FACTS)[FACTS.name]
    return {row["contact_id"]: (row["is_deleted"], row["deleted_revision"]) for row in rows}


def test_a_deletion_marks_row_and_fact_with_its_change(engine: Engine) -> None:
    """Facts have the change's number, public rows its time; excluded rows are marked, too."""
    write(engine, CONTACT, {}, {"id": 2}, {"id": 3, "sync_filter": False})
    counts, roles = delete(engine, CONTACT, 1, 3)
    assert (counts, counts.facts, roles) == (Counts(deleted=1), 2, 0)
    assert facts_of(engine) == {guid(1): (True, 5), guid(2): (False, None), guid(3): (True, 5)}
    rows = dump(engine, public_table(CONTACT))["contact"]
    assert [(row["is_deleted"], row["deleted_at"]) for row in rows] == [
        (True, later(5)),
        (False, None),
    ]


def test_a_deletion_of_an_unseen_record_moves_the_store(engine: Engine) -> None:
    """It is no change that a reader sees, but later runs must be able to tell when it came."""
    write(engine, CONTACT, {})
    counts, _ = delete(engine, CONTACT, 7, 7, 8)
    assert (counts, counts.facts) == (Counts(), 2)
    assert facts_of(engine)[guid(7)] == (True, 5)


def test_a_deletion_that_is_heard_of_again_counts_from_then(engine: Engine) -> None:
    """The record was restored and deleted in between: whoever read it then does not revive it."""
    write(engine, CONTACT, {"first_name": "Ada"})
    delete(engine, CONTACT, 1, revision=5)
    tables = [table for table in tables_of(DEFAULT_MODEL).values() if table is not FACTS]
    before = dump(engine, *tables)
    counts, roles = delete(engine, CONTACT, 1, revision=6, minutes=6)
    assert (counts, counts.facts, roles) == (Counts(), 1, 0)
    assert before == dump(engine, *tables)
    assert facts_of(engine) == {guid(1): (True, 6)}
    counts = write(engine, CONTACT, {"version_number": 2}, begun=5)
    assert counts == Counts(read=1, superseded=1)


@pytest.mark.parametrize("entity", [OPPORTUNITY, CONTACT], ids=lambda entity: entity.name)
def test_roles_go_with_their_opportunity_or_contact_and_are_counted(
    engine: Engine, entity: Entity
) -> None:
    """Each once: those that were marked before are not."""
    write(engine, entity, {"id": 1}, {"id": 2})
    write_role_of(engine, 1, "Champion", "Buyer")
    write_role_of(engine, 2, "Champion")
    assert delete(engine, entity, 1) == (Counts(deleted=1), 2)
    assert delete(engine, entity, 1, revision=6) == (Counts(), 0)
    rows = dump(engine, opportunity_contact_role)["opportunity_contact_role"]
    assert [(row["is_deleted"], row["synced_at"]) for row in rows] == [
        (True, later(5)),
        (True, later(5)),
        (False, NOON),
    ]


def test_connections_are_counted_by_their_facts(engine: Engine) -> None:
    """They have no public row."""
    write(engine, CONNECTION, {"state": 0}, {"id": 2})
    assert delete(engine, CONNECTION, 1, 9) == (Counts(deleted=1), 0)


def test_a_record_that_is_gone_is_refused_no_more(engine: Engine) -> None:
    """And only that one, of that table."""
    with engine.begin() as connection:
        refusal: dict[str, Any] = {"field": None, "code": "c", "message": "m", "version": 9}
        refused = [refusal | {"record_id": guid(number)} for number in (1, 2)]
        for entity in (CONTACT, ACCOUNT):
            note_refused(connection, entity, refused, moment=NOON, by={"tried_by": "1"})
    delete(engine, CONTACT, 1)
    with engine.connect() as connection:
        assert refused_ids(connection, CONTACT) == {guid(2): 9}
    rows = dump(engine, tables_of(DEFAULT_MODEL)["refused_row"])["refused_row"]
    assert len(rows) == 3


def keys(*numbers: int) -> list[pa.Table]:
    """Keys of contacts, each in a part of its own."""
    return [pa.table({"contact_id": [guid(number)]}) for number in numbers]


def test_live_versions_are_of_records_that_are_not_deleted(engine: Engine) -> None:
    """Excluded ones are among them: a reconciliation compares what Dynamics has."""
    write(engine, CONTACT, {"id": 1, "version_number": 7}, {"id": 2, "sync_filter": False})
    write(engine, CONTACT, {"id": 3})
    delete(engine, CONTACT, 3, 4)
    with engine.begin() as connection:
        assert live_versions(connection, CONTACT) == {guid(1): 7, guid(2): 1}
        assert count_live(connection, CONTACT) == 2


def test_live_versions_of_some_keys_are_of_no_others(engine: Engine) -> None:
    """A key that is unknown or deleted is left out; no keys are not all keys."""
    write(engine, CONTACT, {"id": 1}, {"id": 2, "version_number": 5}, {"id": 3})
    delete(engine, CONTACT, 3)
    with engine.begin() as connection:
        some = {guid(2), guid(3), guid(9)}
        assert live_versions(connection, CONTACT, some) == {guid(2): 5}
        assert live_versions(connection, CONTACT, set()) == {}
        assert live_versions(connection, ACCOUNT) == {}


@pytest.mark.parametrize(
    ("asked", "holds"), [([], True), ([1], True), ([2, 1], True), ([1, 9], False), ([9], False)]
)
def test_a_key_that_the_store_never_heard_of_is_noticed(
    sqlite_store: Engine, asked: list[int], holds: bool
) -> None:
    """Among any number of known ones, be they alive (1) or deleted (2)."""
    write(sqlite_store, CONTACT, {"id": 1})
    delete(sqlite_store, CONTACT, 2)
    with sqlite_store.begin() as connection:
        assert holds == holds_all(connection, CONTACT, keys(*asked))


def test_nothing_gone_marks_nothing(sqlite_store: Engine) -> None:
    """Every load ends with the deletions, and mostly there are none."""
    write(sqlite_store, CONTACT, {})
    before = dump(sqlite_store, *tables_of(DEFAULT_MODEL).values())
    assert delete(sqlite_store, CONTACT) == (Counts(), 0)
    assert before == dump(sqlite_store, *tables_of(DEFAULT_MODEL).values())


def test_unresolved_references_go_with_their_opportunity(engine: Engine) -> None:
    """Those of the others stay, and a contact's deletion takes none."""
    write(engine, OPPORTUNITY, {"id": 1}, {"id": 2})
    gaps = [
        {
            "opportunity_id": guid(number),
            "kind": "customer_contact",
            "reference_id": guid(1),
            "reason": "contact_not_found",
        }
        for number in (1, 2)
    ]
    affected = part(OPPORTUNITY, {"id": 1}, {"id": 2}).select(["opportunity_id"])
    with engine.begin() as connection:
        given = [pa.Table.from_pylist(gaps)]
        write_unresolved(connection, affected=[affected], unresolved=given, moment=NOON)
    delete(engine, CONTACT, 1)
    delete(engine, OPPORTUNITY, 1)
    rows = dump(engine, unresolved_association)["unresolved_association"]
    assert [row["opportunity_id"] for row in rows] == [guid(2)]


def write_role_of(engine: Engine, number: int, *names: str) -> None:
    """Roles between the opportunity and the contact of this number."""
    roles = pa.Table.from_pylist(
        [
            {
                "opportunity_id": guid(number),
                "contact_id": guid(number),
                "role": name,
                "is_primary": False,
                "source": "stakeholder",
            }
            for name in names
        ]
    )
    affected = part(OPPORTUNITY, {"id": number}).select(["opportunity_id"])
    with engine.begin() as connection:
        write_roles(connection, affected=[affected], roles=[roles], change=a_change())
