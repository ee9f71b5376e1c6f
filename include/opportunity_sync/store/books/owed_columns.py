"""Rows that were written without a column which the store has or is filling.

A column can be away for a while (secured, dropped, missing from one metadata answer), and two runs
can plan with different columns. What a run then writes lacks that column. That is remembered here
until the row has been read with it. The column name '' stands for the whole record: what a run read
or heard of it may be out of date, because another run came in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, func, literal, select

from opportunity_sync.store.schema.tables import owed_column, public_table, refused_row
from opportunity_sync.store.statements.keys import staged_keys
from opportunity_sync.store.statements.upsert import dialect_insert

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import pyarrow as pa
    from sqlalchemy import ColumnElement, Connection, Select

    from opportunity_sync.model import Entity

    Ids = Select[tuple[str]]

WHOLE_RECORD = ""


def remember_owed(  # noqa: PLR0917 - a table is known by the first two
    connection: Connection, entity: Entity, keys: Iterable[pa.Table], columns: Collection[str]
) -> None:
    """Remember the columns ('' for the whole record) of these keys; parts have the entity's key."""
    with staged_keys(connection, entity, keys) as staged:
        add_owed(connection, entity, select(staged.c[entity.key_column]), columns=columns)


def owed_ids(  # noqa: PLR0917 - a table is known by the first two
    connection: Connection, entity: Entity, columns: Collection[str], limit: int | None = None
) -> list[str]:
    """Ids of records that owe any of these columns or owe themselves whole, in order.

    Records in `refused_row` are left out. They have a schedule of their own, and what they owe is
    settled when they are taken.
    """
    is_refused = exists().where(
        refused_row.c.entity == entity.name, refused_row.c.record_id == owed_column.c.record_id
    )
    query = select(owed_column.c.record_id).where(_is_owed(entity, columns), ~is_refused)
    ordered = query.distinct().order_by(owed_column.c.record_id).limit(limit)
    return list(connection.scalars(ordered))


def count_owed(connection: Connection, entity: Entity, columns: Collection[str]) -> int:
    """How many records owe any of these columns or themselves whole, refused ones too."""
    records = func.count(owed_column.c.record_id.distinct())
    return connection.scalar(select(records).where(_is_owed(entity, columns))) or 0


def count_owed_by_column(
    connection: Connection, entity: Entity, columns: Collection[str]
) -> dict[str, int]:
    """How many records owe each of these columns. Columns that none owes are left out."""
    name = owed_column.c.column_name
    is_owed = owed_column.c.entity == entity.name, name.in_(sorted(columns))
    query = select(name, func.count()).where(*is_owed).group_by(name)
    return {row[0]: row[1] for row in connection.execute(query)}


def owe_rows_since(connection: Connection, entity: Entity, revision: int) -> None:
    """Let live public rows that were written after a revision of the store owe themselves whole."""
    public = public_table(entity)
    is_since = public.c.revision > revision, ~public.c.is_deleted
    ids = select(public.c[entity.key_column]).where(*is_since)
    add_owed(connection, entity, ids, columns={WHOLE_RECORD})


def forget_owed_columns(
    connection: Connection, entity: Entity, columns: Collection[str], *, ids: Ids | None = None
) -> None:
    """Forget that these columns are owed, by all records or by the ids that a query gives."""
    statement = delete(owed_column).where(
        owed_column.c.entity == entity.name, owed_column.c.column_name.in_(sorted(columns))
    )
    if ids is not None:
        statement = statement.where(owed_column.c.record_id.in_(ids))
    connection.execute(statement)


def owes_anything(connection: Connection, entity: Entity) -> bool:
    """Whether any record of the entity owes anything."""
    of_entity = select(owed_column).where(owed_column.c.entity == entity.name)
    return bool(connection.scalar(select(exists(of_entity))))


def add_owed(connection: Connection, entity: Entity, ids: Ids, *, columns: Collection[str]) -> None:
    """Do as `remember_owed`, for the ids that a query gives. SQLite asks for a WHERE in it."""
    insert = dialect_insert(connection)
    key = next(iter(ids.selected_columns))
    for column in sorted(columns):
        rows = ids.with_only_columns(literal(entity.name), key, literal(column)).distinct()
        names = [each.name for each in owed_column.primary_key]
        statement = insert(owed_column).from_select(names, rows.where(key.is_not(None)))
        connection.execute(statement.on_conflict_do_nothing())


def remove_owed(
    connection: Connection, entity: Entity, ids: Ids, *, unread: Collection[str] = ()
) -> None:
    """Forget what the ids of a query owe, except for the columns that were not read.

    The columns that were read are many, and naming each would cost a look-up per record.
    """
    is_settled = owed_column.c.entity == entity.name, owed_column.c.record_id.in_(ids)
    statement = delete(owed_column).where(*is_settled)
    if unread:
        statement = statement.where(owed_column.c.column_name.not_in(sorted(unread)))
    connection.execute(statement)


def _is_owed(entity: Entity, columns: Collection[str]) -> ColumnElement[bool]:
    names = sorted({*columns, WHOLE_RECORD})
    return (owed_column.c.entity == entity.name) & owed_column.c.column_name.in_(names)
