"""What happened beside the runs, in a stretch of time: selections, columns, guards, drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from opportunity_sync.status.lists.listing import MOST_PER_PAGE
from opportunity_sync.store.schema.tables import sync_event

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

_SHOWN = ("position", "at", "kind", "entity", "message", "dag_id", "run_id")


@dataclass(frozen=True, slots=True)
class Happenings:
    """The newest events of the stretch, and whether it has more of them."""

    rows: list[dict[str, Any]]
    more: bool


def list_events(
    connection: Connection, *, since: datetime | None = None, until: datetime | None = None
) -> Happenings:
    """At most 500 events, the newest first; without an end the stretch is open there."""
    query = select(*(sync_event.c[name] for name in _SHOWN))
    if since is not None:
        query = query.where(sync_event.c.at >= since)
    if until is not None:
        query = query.where(sync_event.c.at < until)
    newest = query.order_by(sync_event.c.at.desc(), sync_event.c.position.desc())
    rows = connection.execute(newest.limit(MOST_PER_PAGE + 1)).mappings().all()
    return Happenings([dict(row) for row in rows[:MOST_PER_PAGE]], len(rows) > MOST_PER_PAGE)
