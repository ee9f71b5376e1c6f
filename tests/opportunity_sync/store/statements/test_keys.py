"""Keys that a statement is about stand in a table of their own for as long as it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from sqlalchemy import inspect

from opportunity_sync.model import CONTACT
from opportunity_sync.store.statements.keys import staged_keys
from store_rows import guid, part

if TYPE_CHECKING:
    from sqlalchemy import Engine


def staged(engine: Engine, *parts: pa.Table) -> list[tuple[Any, ...]]:
    """What is staged of the parts, in order."""
    with engine.begin() as connection, staged_keys(connection, CONTACT, parts) as keys:
        return sorted(tuple(row) for row in connection.execute(keys.select()))


def test_keys_of_all_parts_are_staged_with_their_versions(sqlite_engine: Engine) -> None:
    """Null where a part has none; other columns are passed over."""
    whole = part(CONTACT, {"id": 1, "version_number": 7, "first_name": "Ada"})
    bare = pa.table({"contact_id": [guid(2), guid(3)]})

    found = staged(sqlite_engine, whole, part(CONTACT), bare)

    assert found == [(guid(1), 7), (guid(2), None), (guid(3), None)]


def test_a_key_that_comes_twice_is_staged_twice(sqlite_engine: Engine) -> None:
    """Whoever counts by them says `distinct`."""
    twice = pa.table({"contact_id": [guid(1), guid(1)]})
    assert staged(sqlite_engine, twice) == [(guid(1), None), (guid(1), None)]


@pytest.mark.parametrize("parts", [[], [pa.table({"contact_id": pa.array([], pa.string())})]])
def test_no_keys_are_staged_as_none(sqlite_engine: Engine, parts: list[pa.Table]) -> None:
    """The table is there for the statement all the same."""
    assert staged(sqlite_engine, *parts) == []


def test_the_keys_are_gone_afterwards(sqlite_engine: Engine) -> None:
    """So the same transaction can stage others of the same table."""
    with sqlite_engine.begin() as connection:
        for number in (1, 2):
            one = pa.table({"contact_id": [guid(number)]})
            with staged_keys(connection, CONTACT, [one]) as keys:
                assert connection.execute(keys.select()).all() == [(guid(number), None)]
        assert inspect(connection).get_temp_table_names() == []
