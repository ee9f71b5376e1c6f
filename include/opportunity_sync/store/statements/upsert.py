"""One upsert for every table: insert what is new, change what differs, leave the rest untouched.

`INSERT ... SELECT ... ON CONFLICT ... DO UPDATE ... WHERE` does all of it in one statement on both
databases. A row whose guard does not hold is not written at all, so its `synced_at` stands and
counts say what really changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnCollection, ColumnElement, Select, Table, exists, func, or_, select
from sqlalchemy import literal as sql
from sqlalchemy.dialects import postgresql, sqlite

from opportunity_sync.store.statements.counts import Counts

if TYPE_CHECKING:
    from sqlalchemy import Connection

Columns = ColumnCollection[str, Any]
Guard = Callable[[Columns, ColumnElement[bool]], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Upsert:
    """Which rows go into a table, and which of the stored ones they may change.

    `rows` selects the key and the `compared` columns; it needs a WHERE, by which SQLite tells
    `ON CONFLICT` from a join. A stored row gets the compared columns, the `fixed` ones (those of
    an inserted row are the table's defaults) and the `stamps`, where `guard` allows it: it is given
    the arriving columns and whether any compared one differs. `inserted` go into new rows only.
    """

    table: Table
    rows: Select[*tuple[Any, ...]]
    compared: Sequence[str]
    guard: Guard
    fixed: Mapping[str, Any] = field(default_factory=dict)
    stamps: Mapping[str, Any] = field(default_factory=dict)
    inserted: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> list[str]:
        """The columns by which a row is known."""
        return [column.name for column in self.table.primary_key]


def upsert(connection: Connection, wanted: Upsert, *, counted: bool = True) -> Counts:
    """Run it; counts are what was inserted and what was updated, or both as updated."""
    inserted = _count_absent(connection, wanted) if counted else 0
    written = connection.execute(
        _statement(connection, wanted), execution_options={"preserve_rowcount": True}
    ).rowcount
    return Counts(inserted=inserted, updated=written - inserted)


def dialect_insert(
    connection: Connection,
) -> Callable[[Table], postgresql.Insert | sqlite.Insert]:
    """The INSERT of the connection's database, which may have an ON CONFLICT."""
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


def _count_absent(connection: Connection, wanted: Upsert) -> int:
    given = wanted.rows.subquery()
    same = (wanted.table.c[name] == given.c[name] for name in wanted.key)
    counted = select(func.count()).select_from(given).where(~exists().where(*same))
    return connection.scalar(counted) or 0


def _statement(connection: Connection, wanted: Upsert) -> postgresql.Insert | sqlite.Insert:
    table = wanted.table
    constants = {**wanted.stamps, **wanted.inserted}
    values = [sql(value, table.c[name].type) for name, value in constants.items()]
    names = [*wanted.key, *wanted.compared]
    insert = dialect_insert(connection)
    statement = insert(table).from_select([*names, *constants], wanted.rows.add_columns(*values))
    given = statement.excluded
    differs = or_(*(table.c[name].is_distinct_from(given[name]) for name in wanted.compared))
    copied = {name: given[name] for name in (*wanted.compared, *wanted.stamps)}
    return statement.on_conflict_do_update(
        index_elements=wanted.key,
        set_={**copied, **wanted.fixed},
        where=wanted.guard(given, differs),
    )
