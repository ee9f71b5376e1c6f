"""Which share of a table's rows has a value, column by column: a scan, made by runs, not pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select

from opportunity_sync.store.schema.tables import column_share, public_table
from opportunity_sync.store.sessions.lock import lock_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from opportunity_sync.model import Entity

_KEPT_BY_THE_STORE = ("is_deleted", "deleted_at", "synced_at", "revision", "version_number")


def measure_shares(connection: Connection, entity: Entity) -> dict[str, float]:
    """Share of the live rows with a value, 0 to 1, by column; nothing of a table without rows."""
    table = public_table(entity)
    names = [
        column.name
        for column in table.c
        if column.name != entity.key_column and column.name not in _KEPT_BY_THE_STORE
    ]
    counts = (func.count(table.c[name]) for name in names)
    total, *filled = connection.execute(
        select(func.count(), *counts).select_from(table).where(~table.c.is_deleted)
    ).one()
    if not total:
        return {}
    return {name: count / total for name, count in zip(names, filled, strict=True)}


def record_shares(
    connection: Connection, entity: str, shares: Mapping[str, float], *, as_of: datetime
) -> None:
    """Replace what was known of a table's columns."""
    lock_table(connection, column_share)
    connection.execute(delete(column_share).where(column_share.c.entity == entity))
    rows = [
        {"entity": entity, "column_name": name, "filled_share": share, "as_of": as_of}
        for name, share in shares.items()
    ]
    if rows:
        connection.execute(insert(column_share), rows)
