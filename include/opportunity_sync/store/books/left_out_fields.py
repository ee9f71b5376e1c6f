"""Which selected fields the last run could not read, and why: the page asks, no run does."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from opportunity_sync.store.schema.tables import left_out_field
from opportunity_sync.store.sessions.lock import lock_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True, order=True)
class LeftOutField:
    """A field of a public table by its name in the store, its Dynamics column, and why.

    `state`: what keeps it from being read (`missing`, `secured`, `masked`, `retyped`, `refused`),
    or `postponed`, where the store has no column for it yet. `reason`: the same in words.
    """

    entity: str
    field: str
    source: str
    state: str
    reason: str


def note_left_out(connection: Connection, fields: Iterable[LeftOutField]) -> None:
    """Replace what the run before has left out; where nothing has changed nothing is written."""
    found = sorted(set(fields))
    if found == left_out_fields(connection):
        return
    lock_table(connection, left_out_field)
    connection.execute(delete(left_out_field))
    if found:
        connection.execute(insert(left_out_field), [asdict(each) for each in found])


def left_out_fields(connection: Connection) -> list[LeftOutField]:
    """What the last run has left out, by table and field."""
    rows = connection.execute(select(left_out_field)).mappings()
    return sorted(LeftOutField(**row) for row in rows)
