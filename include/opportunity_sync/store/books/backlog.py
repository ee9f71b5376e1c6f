"""What waited in Dynamics when runs began, table by table: the last count, and those before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync.store.schema.tables import backlog_sample, table_backlog
from opportunity_sync.store.statements.upsert import dialect_insert

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection


def note_backlog(
    connection: Connection,
    entity: str,
    *,
    waiting: int | None,
    oldest_at: datetime | None,
    as_of: datetime,
) -> None:
    """Replace what was known of a table, and remember the count for the line over time.

    `waiting` is None where nobody could tell, which leaves a gap in the line.
    """
    insert = dialect_insert(connection)
    found = {"waiting": waiting, "oldest_waiting_at": oldest_at, "as_of": as_of}
    statement = insert(table_backlog).values({"entity": entity} | found)
    connection.execute(statement.on_conflict_do_update(index_elements=["entity"], set_=found))
    if waiting is not None:
        sample = insert(backlog_sample).values(entity=entity, as_of=as_of, waiting=waiting)
        connection.execute(sample.on_conflict_do_nothing())
