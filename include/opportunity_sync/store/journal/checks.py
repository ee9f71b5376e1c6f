"""The result of the last check, kept for the page; it replaces the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, inspect

from opportunity_sync.store.schema.tables import sync_check
from opportunity_sync.store.sessions.lock import lock_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection


def write_check(
    connection: Connection, rows: Sequence[Mapping[str, Any]], *, checked_at: datetime
) -> bool:
    """Keep the items in their order; False where no run has made the table yet."""
    if not inspect(connection).has_table(sync_check.name):
        return False
    lock_table(connection, sync_check)
    connection.execute(delete(sync_check))
    if rows:
        numbered = [
            {**row, "position": position, "checked_at": checked_at}
            for position, row in enumerate(rows, 1)
        ]
        connection.execute(insert(sync_check), numbered)
    return True
