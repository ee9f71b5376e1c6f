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
    from collections.abc import Collection, Mapping

    from sqlalchemy import Connection, Row

_REMEMBERED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class SelectionChange:
    """Fields (`contact.region`) that a run selects and the one before did not, and the reverse.

    `otherwise`: what all fields are read by and the run before had otherwise (`time zone UTC`).
    `is_return`: the same selection was in use within the last hour.
    """

    added: tuple[str, ...]
    stopped: tuple[str, ...]
    otherwise: tuple[str, ...] = ()
    is_return: bool = False


def note_selection(
    connection: Connection,
    fingerprint: str,
    fields: Collection[str],
    *,
    moment: datetime,
    read_by: Mapping[str, str] | None = None,
) -> SelectionChange | None:
    """Remember what a run selects; returns how it differs from that of the run before, or None.

    `read_by`: the settings on which values depend, such as the time zone, by their names in words.
    An earlier version has noted none, which is no change: they are only noted then.
    A store that is nobody's yet remembers nothing. Nothing is written where nothing has changed.
    """
    newest = {"fingerprint": fingerprint, "fields": sorted(fields), "read_by": dict(read_by or {})}
    query = select(sync_store.c.selections)
    if not _is_news(connection.execute(query).one_or_none(), newest):
        return None
    # Asked again with the row for itself: another run may have noted the same meanwhile.
    row = connection.execute(query.with_for_update()).one_or_none()
    if row is None or not _is_news(row, newest):
        return None
    known = json.loads(row.selections or "[]")
    if known and _is_same(known[0], newest):
        _remember(connection, [newest, *known[1:]])
        return None
    earlier = [each for each in known if _is_recent(each, moment)]
    ended = [{**known[0], "until": moment.isoformat()}] if known else []
    _remember(connection, [newest, *ended, *earlier])
    if not known:
        return None
    before, settings_before = set(known[0]["fields"]), known[0].get("read_by", newest["read_by"])
    otherwise = (read_by or {}).items() - settings_before.items()
    return SelectionChange(
        added=tuple(sorted(set(fields) - before)),
        stopped=tuple(sorted(before - set(fields))),
        otherwise=tuple(sorted(f"{name} {value}" for name, value in otherwise)),
        is_return=any(_is_same(each, newest) for each in earlier),
    )


def selection_changed_at(connection: Connection) -> datetime | None:
    """When the selection of now took the place of another one; None where it is the first."""
    known = json.loads(connection.scalar(select(sync_store.c.selections)) or "[]")
    return datetime.fromisoformat(known[1]["until"]) if len(known) > 1 else None


def _is_news(row: Row[tuple[str | None]] | None, newest: dict[str, Any]) -> bool:
    """Whether the store has a row to note it in, and has not noted it."""
    if row is None:
        return False
    known = json.loads(row.selections or "[]")
    return not known or not _is_same(known[0], newest) or "read_by" not in known[0]


def _is_same(known: dict[str, Any], newest: dict[str, Any]) -> bool:
    is_read_alike = known.get("read_by", newest["read_by"]) == newest["read_by"]
    return is_read_alike and bool(known["fingerprint"] == newest["fingerprint"])


def _remember(connection: Connection, selections: list[dict[str, Any]]) -> None:
    connection.execute(update(sync_store).values(selections=json.dumps(selections)))


def _is_recent(selection: dict[str, Any], moment: datetime) -> bool:
    until = selection.get("until")
    return until is not None and moment - datetime.fromisoformat(until) <= _REMEMBERED
