"""Writes what a quick sync brings: chosen columns of rows that are there, and nothing else.

A running sync writes whole rows meanwhile. So a value is written only where the version that was
read is not below the stored one, and no version is written. The rows then owe these columns no
more. A row that changes afterwards without them owes them again.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    Table,
    Update,
    case,
    exists,
    func,
    or_,
    select,
    update,
)

from opportunity_sync.core.versions import is_current_sql
from opportunity_sync.model import VERSION, Entity
from opportunity_sync.store.books.owed_columns import forget_owed_columns
from opportunity_sync.store.rows.history import note_written_rows
from opportunity_sync.store.rows.labels import known_labels, renew_labels
from opportunity_sync.store.schema.tables import (
    fact_table,
    is_excluded,
    is_synced,
    public_table,
    stored_column,
)
from opportunity_sync.store.schema.types import STORED_AS, Identifier
from opportunity_sync.store.statements.bulk import (
    analyze_table,
    append_rows,
    prefer_index,
    staged_table,
    temporary_table,
)
from opportunity_sync.store.statements.counts import Counts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pyarrow as pa
    from sqlalchemy import Connection

    from opportunity_sync.store.rows.labels import KnownLabels
    from opportunity_sync.store.statements.change import Change


def fill_columns(  # noqa: PLR0913 - what is filled, and by whom
    connection: Connection,
    entity: Entity,
    rows: pa.Table,
    *,
    fields: Collection[str],
    change: Change,
    labels: KnownLabels | None = None,
) -> Counts:
    """Write these fields of staged rows into the public table; returns what became of the rows.

    `rows` have the entity's key, `version_number` and the fields' columns. Left as they are: rows
    that are not stored, deleted, excluded by the sync filter, or stored in a newer version.
    `labels`: those that the rows came with, by choice and code. Another run may have learnt newer
    ones since and given them to all other rows, so the store's own labels win.
    """
    if not rows.num_rows:
        return Counts()
    columns = [
        column for field in entity.fields if field.column in fields for column in field.columns
    ]
    names = [column.name for column in columns]
    given = rows.select([entity.key_column, VERSION.name, *names])
    given = renew_labels(given, _newest_labels(connection, entity, read=labels or {}))
    with staged_table(connection, _staged_values(entity, tuple(names))) as staged:
        append_rows(connection, staged, given)
        analyze_table(connection, staged)
        with prefer_index(connection, given.num_rows):
            note_written_rows(
                connection, entity, staged, *_fills(entity, staged), columns=names, change=change
            )
            filtered, superseded = _count_left(connection, entity, staged)
            filled = connection.execute(_statement(entity, staged, names, change=change)).rowcount
            forget_owed_columns(connection, entity, fields, ids=_current_keys(entity, staged))
    counts = Counts(read=rows.num_rows, updated=filled, filtered=filtered, superseded=superseded)
    return counts + Counts(unchanged=counts.unaccounted)


def _count_left(connection: Connection, entity: Entity, staged: Table) -> tuple[int, int]:
    """How many staged rows the sync filter leaves out, and how many the store has newer or gone."""
    fact, key = fact_table(entity), entity.key_column
    is_current = is_current_sql(staged.c[VERSION.name], fact.c[VERSION.name]) & ~fact.c.is_deleted
    filtered = is_current & is_excluded(entity, fact)
    sums = (
        func.coalesce(func.sum(case((each, 1), else_=0)), 0) for each in (filtered, ~is_current)
    )
    row = connection.execute(select(*sums).where(fact.c[key] == staged.c[key])).one()
    return int(row[0]), int(row[1])


def _newest_labels(connection: Connection, entity: Entity, *, read: KnownLabels) -> KnownLabels:
    """The labels that were read, with the store's in their place where it has some."""
    stored = known_labels(connection).get(entity.name, {})
    return {
        choice: {**read.get(choice, {}), **stored.get(choice, {})} for choice in {**read, **stored}
    }


@cache
def _staged_values(entity: Entity, names: tuple[str, ...]) -> Table:
    columns = [
        Column(entity.key_column, Identifier),
        Column(VERSION.name, STORED_AS[VERSION.kind]),
        *(stored_column(column) for column in entity.public_columns if column.name in names),
    ]
    return temporary_table(f"values_of_{entity.name}", *columns, searched=[entity.key_column])


def _statement(entity: Entity, staged: Table, names: Sequence[str], *, change: Change) -> Update:
    public = public_table(entity)
    differs = or_(*(public.c[name].is_distinct_from(staged.c[name]) for name in names))
    values = {**{name: staged.c[name] for name in names}, **change.stamps}
    return update(public).values(values).where(*_fills(entity, staged), differs)


def _fills(entity: Entity, staged: Table) -> tuple[ColumnElement[bool], ...]:
    """Which public rows get the values of their staged ones."""
    public, fact, key = public_table(entity), fact_table(entity), entity.key_column
    is_kept = exists().where(
        fact.c[key] == public.c[key], is_synced(entity, fact), ~fact.c.is_deleted
    )
    return (
        public.c[key] == staged.c[key],
        is_current_sql(staged.c[VERSION.name], public.c[VERSION.name]),
        ~public.c.is_deleted,
        is_kept,
    )


def _current_keys(entity: Entity, staged: Table) -> Select[tuple[str]]:
    """Keys of staged rows that the store does not have in a newer version."""
    public, key = public_table(entity), entity.key_column
    is_newer = exists().where(
        public.c[key] == staged.c[key],
        ~is_current_sql(staged.c[VERSION.name], public.c[VERSION.name]),
    )
    return select(staged.c[key]).where(~is_newer)
