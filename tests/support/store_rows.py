"""Small builders for the store's tests: staged rows as they come, table contents as values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import delete, select

from opportunity_sync.dynamics.rows.arrow_columns import ARROW_TYPES
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.store.rows.whole_rows import write_rows
from opportunity_sync.store.schema.tables import store_column, tables_of
from opportunity_sync.store.statements.change import Change
from opportunity_sync.store.upgrade.made_columns import made_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine, Table

    from opportunity_sync.model import Entity
    from opportunity_sync.store.statements.counts import Counts

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def later(minutes: int = 1) -> datetime:
    """An instant that many minutes after noon of the test's day."""
    return NOON + timedelta(minutes=minutes)


def guid(number: int) -> str:
    """A record id that is easy to read in a failure."""
    return f"{number:08x}-0000-4000-8000-000000000000"


def part(entity: Entity, *rows: dict[str, Any]) -> pa.Table:
    """A staged part of the rows, each given by what matters; `id` is short for the key's number."""
    columns = {column.name: ARROW_TYPES[column.kind] for column in entity.staged_columns}
    if entity.carries_account:
        columns["account_id"] = pa.string()
    filled = [
        {entity.key_column: guid(row.get("id", 1)), "version_number": 1} | row for row in rows
    ]
    for row in filled:
        row.pop("id", None)
        assert row.keys() <= columns.keys(), row.keys() - columns.keys()
    schema = pa.schema(list(columns.items()))
    return pa.Table.from_pylist([dict.fromkeys(columns) | row for row in filled], schema=schema)


def a_change(begun: int = 0, moment: datetime = NOON, revision: int | None = None) -> Change:
    """The change of a run that began with this revision, and of which no other came between."""
    return Change(begun + 1 if revision is None else revision, begun, moment)


def fields_of(entity: Entity, *without: str) -> frozenset[str]:
    """The names of all of an entity's fields, without some."""
    names = frozenset(field.column for field in entity.all_fields)
    assert names.issuperset(without)
    return names - set(without)


def write(
    engine: Engine,
    entity: Entity,
    *rows: dict[str, Any],
    moment: datetime = NOON,
    begun: int = 0,
    without: Sequence[str] = (),
) -> Counts:
    """Load the rows as a run of their own, which has planned all fields but those named."""
    with engine.begin() as connection:
        return write_rows(
            connection,
            entity,
            [part(entity, *rows)],
            change=a_change(begun, moment),
            columns=fields_of(entity, *without),
        )


def empty_store(connection: Connection) -> None:
    """Leave the tables of the default model as a migration makes them, on PostgreSQL."""
    for entity in DEFAULT_MODEL.public:
        default = {column.name for column in entity.public_columns}
        for name in made_columns(connection, entity.name).keys() - default:
            connection.exec_driver_sql(f'ALTER TABLE "{entity.name}" DROP COLUMN "{name}"')
            is_it = store_column.c.entity == entity.name, store_column.c.column_name == name
            connection.execute(delete(store_column).where(*is_it))
    names = tables_of(DEFAULT_MODEL).keys() - {"store_column"}
    connection.exec_driver_sql(f"TRUNCATE {', '.join(sorted(names))}")
    connection.exec_driver_sql("DELETE FROM store_column WHERE starts_with(entity, 'fact')")
    connection.exec_driver_sql("UPDATE store_column SET is_wanted = false")


def content(connection: Connection, table: Table) -> list[dict[str, Any]]:
    """Everything that a table holds, ordered by its key."""
    rows = connection.execute(select(table).order_by(*table.primary_key))
    return [dict(row._mapping) for row in rows]


def dump(engine: Engine, *tables: Table) -> dict[str, list[dict[str, Any]]]:
    """The tables' contents by name, as a fresh transaction sees them."""
    with engine.connect() as connection:
        return {table.name: content(connection, table) for table in tables}


def only_row(engine: Engine, table: Table) -> dict[str, Any]:
    """The one row that a table holds."""
    (row,) = dump(engine, table)[table.name]
    return row
