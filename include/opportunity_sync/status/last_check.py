"""The result of the last pre-flight check, item by item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from opportunity_sync.store.schema.tables import sync_check

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

_SHOWN = ("name", "state", "asked", "found", "next_step", "code")


@dataclass(frozen=True, slots=True)
class Check:
    """When the check was made, None if never, and what came of each item."""

    checked_at: datetime | None
    items: list[dict[str, Any]]


def last_check(connection: Connection) -> Check:
    """The last check, its items in their order."""
    query = select(sync_check).order_by(sync_check.c.position)
    rows = connection.execute(query).mappings().all()
    return Check(
        checked_at=max((row["checked_at"] for row in rows), default=None),
        items=[{name: row[name] for name in _SHOWN} for row in rows],
    )
