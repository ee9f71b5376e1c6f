"""Rows that were deleted long ago lose what they say, and stay as rows: readers see them change.

A deleted row keeps its values, for those who read late. Where personal data must not be kept for
longer than a number of days, it is emptied then: all columns but the key and the bookkeeping ones,
also those that stopped being selected. Its facts keep key, version and deletion, by which a slow
run can still be told from one that brings the record back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    String,
    column,
    delete,
    false,
    inspect,
    literal,
    null,
    or_,
    select,
    table,
    update,
)

from opportunity_sync.store.schema.tables import fact_table, history, public_table

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Select, TableClause

    from opportunity_sync.model import Entity
    from opportunity_sync.store.statements.change import Change

_KEPT = frozenset(
    {
        *("owner_id", "owner_type", "created_at", "modified_at", "version_number"),
        *("is_deleted", "deleted_at", "synced_at", "revision"),
    }
)
# A selected column of a public table may have a name that only the facts keep for themselves.
_KEPT_FACTS = frozenset({"version_number", "is_deleted", "deleted_revision", "is_erased"})


def purge_deleted(
    connection: Connection, entity: Entity, *, before: datetime, change: Change
) -> int:
    """Empty the rows that were marked as deleted before a time; returns how many had a value."""
    public, key = public_table(entity), entity.key_column
    is_due = public.c.is_deleted & (public.c.deleted_at < before)
    due = select(public.c[key]).where(is_due)
    return empty_rows(connection, entity, due, stamps=change.stamps)


def empty_rows(
    connection: Connection,
    entity: Entity,
    keys: Select[tuple[str]],
    *,
    stamps: dict[str, datetime | int],
) -> int:
    """Empty public rows and facts with these keys; returns how many public rows had a value."""
    key = entity.key_column
    emptied = 0
    # Facts first: the public rows say which ones are meant.
    for stored, kept in ((fact_table(entity), _KEPT_FACTS), (public_table(entity), _KEPT)):
        given = _table_as_it_is(connection, stored.name)
        names = [each.name for each in given.c if each.name not in {key, *kept}]
        has_value = or_(false(), *(given.c[name].is_not(None) for name in names))
        values = dict.fromkeys(names, null()) | {
            name: literal(value, stored.c[name].type)
            for name, value in stamps.items()
            if name in stored.c
        }
        statement = update(given).values(values).where(given.c[key].in_(keys), has_value)
        emptied = connection.execute(statement).rowcount
    if entity.keeps_history:
        connection.execute(delete(history).where(history.c.opportunity_id.in_(keys)))
    return emptied


def _table_as_it_is(connection: Connection, name: str) -> TableClause:
    """The table with every column that the database has, selected or not any more."""
    columns = inspect(connection).get_columns(name)
    return table(name, *(column(each["name"], String()) for each in columns))
