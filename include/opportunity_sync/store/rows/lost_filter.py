"""What to do with explicit Noes in the store when the sync filter's column is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, select, update

from opportunity_sync.store.books.owed_columns import WHOLE_RECORD, add_owed
from opportunity_sync.store.schema.tables import fact_table, is_excluded

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from opportunity_sync.model import Entity


def holds_no(connection: Connection, entity: Entity) -> bool:
    """Whether the sync filter of any record that was ever seen is an explicit No."""
    if entity.sync_filter is None:
        return False
    fact = fact_table(entity)
    filtered = select(fact.c[entity.key_column]).where(is_excluded(entity, fact))
    return bool(connection.scalar(select(exists(filtered))))


def forget_filter(connection: Connection, entity: Entity) -> int:
    """Exclude no record any more, since the filter was removed on purpose; return how many were.

    Each is owed as a whole, so that the next run reads it and makes it public.
    """
    fact = fact_table(entity)
    is_filtered = is_excluded(entity, fact)
    ids = select(fact.c[entity.key_column]).where(is_filtered, ~fact.c.is_deleted)
    add_owed(connection, entity, ids, columns={WHOLE_RECORD})
    statement = update(fact).values({str(entity.sync_filter): None}).where(is_filtered)
    return connection.execute(statement).rowcount
