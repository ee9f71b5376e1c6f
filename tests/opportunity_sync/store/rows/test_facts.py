"""Facts are found by any column that the rules ask by, however many ids are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from opportunity_sync.core.ids import IdSet
from opportunity_sync.model import ACCOUNT, CONNECTION, CONTACT
from opportunity_sync.store.rows.deletions import write_deleted
from opportunity_sync.store.rows.facts import find_facts
from store_rows import a_change, guid, write

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Engine

    from opportunity_sync.model import Entity

# A handful of ids are parameters of the query, more are staged: both must find the same.
FEW, MANY = 1, 150


def find(engine: Engine, entity: Entity, column: str, numbers: Iterable[int]) -> pa.Table:
    """The facts whose column is one of these ids."""
    ids = IdSet.from_strings(guid(number) for number in numbers)
    with engine.begin() as connection:
        return find_facts(connection)(entity, column, ids)


def delete(engine: Engine, number: int, revision: int) -> None:
    """Load the deletion of a contact."""
    gone = pa.table({"contact_id": [guid(number)]})
    with engine.begin() as connection:
        change = a_change(revision=revision)
        write_deleted(connection, CONTACT, [gone], change=change, recheck=False)


@pytest.mark.parametrize("asked", [FEW, MANY])
def test_a_fact_is_found_with_all_that_the_rules_ask(engine: Engine, asked: int) -> None:
    """Columns that the row lacks are null, and flags are flags on both databases."""
    known = {"version_number": 2**53, "parent_id": guid(7), "parent_type": "account"}
    write(engine, CONTACT, known | {"is_merged": False, "sync_filter": True, "first_name": "Ada"})

    found = find(engine, CONTACT, "contact_id", range(1, 1 + asked))

    assert found.to_pylist() == [
        {
            "contact_id": guid(1),
            "version_number": 2**53,
            "parent_id": guid(7),
            "parent_type": "account",
            "is_merged": False,
            "master_id": None,
            "sync_filter": True,
            "is_deleted": False,
            "deleted_revision": None,
        }
    ]


@pytest.mark.parametrize("asked", [FEW, MANY])
def test_every_row_that_refers_to_an_id_is_found(engine: Engine, asked: int) -> None:
    """And none that refers to nothing or to something else."""
    rows = [(1, 50), (2, 50), (3, 9), (4, None)]
    given = [{"id": each, "parent_id": to and guid(to)} for each, to in rows]
    write(engine, CONTACT, *given)

    found = find(engine, CONTACT, "parent_id", range(50, 50 + asked))

    assert found.sort_by("contact_id")["contact_id"].to_pylist() == [guid(1), guid(2)]


def test_deleted_and_excluded_rows_are_among_the_facts(engine: Engine) -> None:
    """Whether they count is for the rules to say, by the change that deleted them."""
    write(engine, CONTACT, {"id": 1}, {"id": 2, "sync_filter": False})
    delete(engine, 1, revision=5)
    delete(engine, 3, revision=6)

    found = find(engine, CONTACT, "contact_id", [1, 2, 3]).sort_by("contact_id")

    names = ["version_number", "sync_filter", "is_deleted", "deleted_revision"]
    assert [tuple(row.values()) for row in found.select(names).to_pylist()] == [
        (1, None, True, 5),
        (1, False, False, None),
        (0, None, True, 6),
    ]


@pytest.mark.parametrize("entity", [ACCOUNT, CONNECTION], ids=lambda entity: entity.name)
@pytest.mark.parametrize("asked", [0, FEW, MANY])
def test_what_is_not_there_gives_no_rows_and_all_columns(
    sqlite_store: Engine, entity: Entity, asked: int
) -> None:
    """They keep their types, so that they can be put below others."""
    write(sqlite_store, entity, {"id": 999})
    known = find(sqlite_store, entity, entity.key_column, [999])

    found = find(sqlite_store, entity, entity.key_column, range(asked))

    assert (found.num_rows, known.num_rows) == (0, 1)
    assert found.schema == known.schema


def test_one_transaction_may_look_up_many_ids_again_and_again(sqlite_store: Engine) -> None:
    """The staged ids of one look-up are not among those of the next."""
    write(sqlite_store, CONTACT, {"id": 1}, {"id": 2})
    with sqlite_store.begin() as connection:
        facts = find_facts(connection)
        for first in (2, 1000):
            ids = IdSet.from_strings(guid(first + more) for more in range(MANY))
            found = facts(CONTACT, "contact_id", ids)
            assert found["contact_id"].to_pylist() == ([guid(2)] if first == 2 else [])
