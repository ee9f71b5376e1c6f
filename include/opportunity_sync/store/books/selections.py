"""Which selections of fields runs came with lately: what changed, and whether it went back.

Two workers with two copies of the fields file would select now this and now that. So a selection
that goes back to one of the last hour is told from one that somebody changed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from opportunity_sync.store.schema.tables import sync_store

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

_REMEMBERED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class SelectionChange:
    """Fields (`contact.region`) that a run selects and the one before did not, and the reverse.

    `is_return`: the same selection was in use within the last hour.
    """

    added: tuple[str, ...]
    stopped: tuple[str, ...]
    is_return: bool = False


def note_selection(
    connection: Connection, fingerprint: str, fields: Collection[str], *, moment: datetime
) -> SelectionChange | None:
    """Remember what a run selects; returns how it differs from that of the run before, or None.

    A store that is nobody's yet remembers nothing. Nothing is written where nothing has changed.
    """
    query = select(sync_store.c.selections)
    known: list[dict[str, Any]] = []
    # Asked again with the row for itself: another run may note the same at the same time.
    for asked in (query, query.with_for_update()):
        row = connection.execute(asked).one_or_none()
        if row is None:
            return None
        known = json.loads(row.selections or "[]")
        if known and known[0]["fingerprint"] == fingerprint:
            return None
    earlier = [each for each in known if _is_recent(each, moment)]
    ended = [{**known[0], "until": moment.isoformat()}] if known else []
    newest = {"fingerprint": fingerprint, "fields": sorted(fields)}
    remembered = [newest, *ended, *earlier]
    connection.execute(update(sync_store).values(selections=json.dumps(remembered)))
    if not known:
        return None
    before = set(known[0]["fields"])
    return SelectionChange(
        added=tuple(sorted(set(fields) - before)),
        stopped=tuple(sorted(before - set(fields))),
        is_return=any(each["fingerprint"] == fingerprint for each in earlier),
    )


def selection_changed_at(connection: Connection) -> datetime | None:
    """When the selection of now took the place of another one; None where it is the first."""
    known = json.loads(connection.scalar(select(sync_store.c.selections)) or "[]")
    return datetime.fromisoformat(known[1]["until"]) if len(known) > 1 else None


def _is_recent(selection: dict[str, str], moment: datetime) -> bool:
    until = selection.get("until")
    return until is not None and moment - datetime.fromisoformat(until) <= _REMEMBERED
