"""What the store knows of explicit Noes, for the day on which the filter column is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, false, select, update

from opportunity_sync.store.owed import WHOLE_RECORD, add_owed
from opportunity_sync.store.tables import fact_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from opportunity_sync.entities import Entity

SYNC_FILTER = "sync_filter"


def holds_no(connection: Connection, entity: Entity) -> bool:
    """Whether the sync filter of any record that was ever seen is an explicit No."""
    fact = fact_table(entity)
    if SYNC_FILTER not in fact.c:
        return False
    is_excluded = select(fact.c[entity.key_column]).where(fact.c[SYNC_FILTER] == false())
    return bool(connection.scalar(select(exists(is_excluded))))


def forget_filter(connection: Connection, entity: Entity) -> int:
    """Exclude no record any more, the filter column being gone for good; return how many were.

    Each is owed as a whole, so that the next run reads it and makes it public.
    """
    fact = fact_table(entity)
    is_excluded = fact.c[SYNC_FILTER] == false()
    ids = select(fact.c[entity.key_column]).where(is_excluded, ~fact.c.is_deleted)
    add_owed(connection, entity, ids, columns={WHOLE_RECORD})
    statement = update(fact).values({SYNC_FILTER: None}).where(is_excluded)
    return connection.execute(statement).rowcount
