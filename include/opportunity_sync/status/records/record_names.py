"""What a record is called: by the columns that hold names, where they are selected at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import column, select, table

from opportunity_sync.store.schema.tables import store_column

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnClause, Connection

    from opportunity_sync.model import Entity


def record_names(
    connection: Connection, entity: Entity, ids: Collection[str | None]
) -> dict[str, str]:
    """The names of an entity's records by id; a record without one, or not synced, has none."""
    wanted = sorted({each for each in ids if each})
    columns = name_columns(connection, entity)
    if not wanted or not columns:
        return {}
    key: ColumnClause[str] = column(entity.key_column)
    stored = table(entity.name, key, *(column(name) for name in columns))
    rows = connection.execute(select(stored).where(stored.c[entity.key_column].in_(wanted)))
    named = {row[0]: " ".join(part for part in row[1:] if part) for row in rows}
    return {record_id: name for record_id, name in named.items() if name}


def name_columns(connection: Connection, entity: Entity) -> list[str]:
    """The columns of the store that are read from what holds the name, in reading order.

    A user may have given them other names, or select none of them.
    """
    query = select(store_column.c.source, store_column.c.column_name).where(
        store_column.c.entity == entity.name, store_column.c.source.in_(entity.named_by)
    )
    # The last one counts: of two columns the one that still changes.
    rows = connection.execute(query.order_by(store_column.c.is_wanted))
    made: dict[str, str] = {row[0]: row[1] for row in rows}
    return [made[source] for source in entity.named_by if source in made]
