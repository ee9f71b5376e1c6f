"""Every writer of a public table leaves its change's number in the rows that it touches only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from opportunity_sync.model import CONTACT, DEFAULT_MODEL, OPPORTUNITY
from opportunity_sync.store.books.state import (
    begin_epoch,
    bump_revision,
    claim_organization,
    read_state,
)
from opportunity_sync.store.rows.associations import write_roles
from opportunity_sync.store.rows.deletions import write_deleted
from opportunity_sync.store.rows.labels import write_labels
from opportunity_sync.store.rows.whole_rows import write_account_changes, write_rows
from opportunity_sync.store.schema.tables import opportunity_contact_role, public_table
from store_rows import a_change, dump, fields_of, guid, part

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine, Table

    from opportunity_sync.model import Entity
    from opportunity_sync.store.statements.change import Change

CONTACTS, ROLES = public_table(CONTACT), opportunity_contact_role
PUBLIC = (*(public_table(entity) for entity in DEFAULT_MODEL.public), ROLES)


def load(connection: Connection, entity: Entity, change: Change, *rows: dict[str, Any]) -> None:
    """Write rows of an entity, with all of its fields."""
    columns = fields_of(entity)
    write_rows(connection, entity, [part(entity, *rows)], change=change, columns=columns)


def give_roles(connection: Connection, change: Change, *names: str) -> None:
    """Make these all the roles between the first opportunity and the first contact."""
    keys = {"opportunity_id": guid(1), "contact_id": guid(1)}
    rest = {"is_primary": False, "source": "stakeholder"}
    affected = pa.table({"opportunity_id": [guid(1)]})
    roles = pa.Table.from_pylist([keys | {"role": name} | rest for name in names])
    write_roles(connection, affected=[affected], roles=[roles], change=change)


@pytest.fixture
def store(engine: Engine) -> Engine:
    """Three contacts and two roles of change 1."""
    with engine.begin() as connection:
        claim_organization(connection, guid(1))
        rows = [{"id": number, "person_status_code": 0} for number in (1, 2, 3)]
        load(connection, CONTACT, a_change(0), *rows)
        give_roles(connection, a_change(0), "Buyer", "Champion")
        bump_revision(connection, 1)
    return engine


def numbers(engine: Engine, table: Table) -> list[int]:
    """The revision of every row, in the order of keys."""
    return [row["revision"] for row in dump(engine, table)[table.name]]


def insert(connection: Connection, change: Change) -> None:
    """A contact is new."""
    load(connection, CONTACT, change, {"id": 4})


def fill(connection: Connection, change: Change) -> None:
    """The first opportunities come."""
    load(connection, OPPORTUNITY, change, {"id": 1}, {"id": 2})


def update(connection: Connection, change: Change) -> None:
    """One contact has a newer version, one is as it was."""
    same = {"person_status_code": 0}
    newer = {"id": 2, "version_number": 2, "first_name": "Ada"} | same
    load(connection, CONTACT, change, same, newer)


def move(connection: Connection, change: Change) -> None:
    """One contact follows to another account, one has none as before."""
    accounts = pa.array([guid(9), None], pa.string())
    moved = pa.table({"contact_id": [guid(1), guid(2)], "account_id": accounts})
    write_account_changes(connection, CONTACT, moved, change=change)


def move_under_an_older_version(connection: Connection, change: Change) -> None:
    """A row that is set aside as older brings its derived account all the same."""
    load(connection, CONTACT, change, {"version_number": 0, "account_id": guid(9)})


def relabel(connection: Connection, change: Change) -> None:
    """An option gets its label."""
    labels = {"contact": {"person_status": {0: "Active"}}}
    write_labels(connection, labels, model=DEFAULT_MODEL, change=change)


def delete(connection: Connection, change: Change) -> None:
    """The first contact is gone, and its roles with it."""
    gone = pa.table({"contact_id": [guid(1)]})
    write_deleted(connection, CONTACT, [gone], change=change, recheck=False)


def change_roles(connection: Connection, change: Change) -> None:
    """One role stays, one goes, one is new."""
    give_roles(connection, change, "Champion", "Judge")


def begin_anew(connection: Connection, change: Change) -> None:
    """An epoch begins."""
    begin_epoch(connection, guid(1), model=DEFAULT_MODEL, change=change)


@pytest.mark.parametrize(
    ("write", "table", "expected"),
    [
        (insert, CONTACTS, [1, 1, 1, 7]),
        (fill, public_table(OPPORTUNITY), [7, 7]),
        (update, CONTACTS, [1, 7, 1]),
        (move, CONTACTS, [7, 1, 1]),
        (move_under_an_older_version, CONTACTS, [7, 1, 1]),
        (relabel, CONTACTS, [7, 7, 7]),
        (delete, CONTACTS, [7, 1, 1]),
        (delete, ROLES, [7, 7]),
        (change_roles, ROLES, [7, 1, 7]),
        (begin_anew, CONTACTS, [7, 7, 7]),
    ],
    ids=lambda given: getattr(given, "__name__", None) or str(given),
)
def test_a_writer_leaves_its_number_in_what_it_touches(
    store: Engine, write: Callable[[Connection, Change], None], table: Table, expected: list[int]
) -> None:
    """And in no other row of the table."""
    with store.begin() as connection:
        write(connection, a_change(1, revision=7))
    assert expected == numbers(store, table)


@pytest.mark.parametrize(
    "write", [insert, fill, update, move, relabel, delete, change_roles], ids=lambda w: w.__name__
)
def test_writing_the_same_again_leaves_every_number(
    store: Engine, write: Callable[[Connection, Change], None]
) -> None:
    """A row that is not changed keeps the number that it has."""
    with store.begin() as connection:
        write(connection, a_change(1, revision=7))
    before = dump(store, *PUBLIC)
    with store.begin() as connection:
        write(connection, a_change(1, revision=8))
    assert before == dump(store, *PUBLIC)


def test_a_row_that_comes_back_has_the_number_of_its_return(store: Engine) -> None:
    """A contact that was deleted and a role that had gone, both at equal content."""
    with store.begin() as connection:
        delete(connection, a_change(1, revision=2))
        load(connection, CONTACT, a_change(2), {"person_status_code": 0})
        give_roles(connection, a_change(2), "Buyer")
    assert numbers(store, CONTACTS) == [3, 1, 1]
    assert numbers(store, ROLES) == [3, 2]


def test_an_epoch_takes_the_next_number_by_itself(store: Engine) -> None:
    """Rows change by its beginning, whatever the run that begins it finds; numbers go on."""
    with store.begin() as connection:
        bump_revision(connection, 40)
        begin_anew(connection, a_change(40))
        state = read_state(connection)
    assert (state.revision, state.epoch) == (41, 1)
