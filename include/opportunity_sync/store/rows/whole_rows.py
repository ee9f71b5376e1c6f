"""Writes rows of the entities into facts and public tables: newer wins, equal writes nothing.

A run may bring what the store already has, or something older (a slow backfill, a repeated
window). So facts are written first, under the version guard. A public row is written only from a
staged row that is then the current one: same version as the fact, not deleted, not excluded.
Only the columns that the run planned to read are written, and the others are remembered as owed.
`account_id` is derived and not under that guard: it is written whenever it differs. Empty tables
need no comparison and are filled straight.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from sqlalchemy import Column, Table, select, true

from opportunity_sync.core.sync_filter import is_synced
from opportunity_sync.model import VERSION
from opportunity_sync.store.books.owed_columns import add_owed, owes_anything, remove_owed
from opportunity_sync.store.books.table_sizes import add_to_size, holds_nothing
from opportunity_sync.store.rows.labels import known_labels
from opportunity_sync.store.rows.merging import (
    Writing,
    mark_stale,
    merge_facts,
    merge_public,
    move_accounts,
    of_new_versions,
    settle_owed,
    staged_rows,
)
from opportunity_sync.store.schema.tables import ACCOUNT_ID, public_table
from opportunity_sync.store.schema.types import Identifier
from opportunity_sync.store.statements.bulk import (
    analyze_table,
    append_constants,
    append_rows,
    clear_table,
    postpone_indexes,
    prefer_index,
    staged_table,
    temporary_table,
)
from opportunity_sync.store.statements.counts import Counts
from opportunity_sync.store.upgrade.made_columns import wanted_columns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import pyarrow as pa
    from sqlalchemy import Connection

    from opportunity_sync.model import Entity
    from opportunity_sync.store.statements.change import Change


def write_rows(
    connection: Connection,
    entity: Entity,
    parts: Iterable[pa.Table],
    *,
    change: Change,
    columns: Collection[str],
) -> Counts:
    """Bring staged parts into the entity's tables; counts are of public rows where there are any.

    `parts` have the entity's `staged_columns`, and `account_id` for those that carry one; a key
    occurs once over all of them. They are read one by one and not kept. `columns` are the fields
    that the run planned to read. The others keep what the store has, are null in new rows, and are
    owed by rows whose version is new. A deleted record comes back to life only if its deletion was
    loaded before the run began. One that was deleted since is owed as a whole.
    """
    filled = (part for part in parts if part.num_rows)
    first = next(filled, None)
    if first is None:
        return Counts()
    writing = _make_writing(connection, entity, change=change, columns=columns)
    parts = chain([first], filled)
    is_first = holds_nothing(connection, entity)
    counts = _fill(writing, parts) if is_first else _merge(writing, parts)
    if entity.is_public and counts.inserted:
        add_to_size(connection, entity, counts.inserted, is_first=is_first)
    return counts


def write_account_changes(
    connection: Connection, entity: Entity, changes: pa.Table, *, change: Change
) -> int:
    """Write `account_id` of rows that were not in the parts. Returns how many public rows changed.

    `changes` has the entity's key and `account_id`. Rows whose own sync filter says No stay.
    """
    if not changes.num_rows:
        return 0
    with staged_table(connection, _staged_accounts(entity)) as staged:
        append_rows(connection, staged, changes)
        analyze_table(connection, staged)
        with prefer_index(connection, changes.num_rows):
            return move_accounts(connection, entity, staged, change=change)


def _make_writing(
    connection: Connection, entity: Entity, *, change: Change, columns: Collection[str]
) -> Writing:
    planned = frozenset(columns)
    everything = frozenset(field.column for field in entity.all_fields)
    fields = (field for field in entity.all_fields if field.column in planned)
    names = {column.name for field in fields for column in field.columns}
    return Writing(
        connection=connection,
        entity=entity,
        change=change,
        planned=planned,
        written=frozenset({entity.key_column, VERSION.name, ACCOUNT_ID, *names}),
        missing=wanted_columns(connection, entity) - planned,
        unread=(everything | wanted_columns(connection, entity)) - planned,
        labels=known_labels(connection).get(entity.name, {}),
    )


@cache
def _staged_accounts(entity: Entity) -> Table:
    columns = (Column(entity.key_column, Identifier), Column(ACCOUNT_ID, Identifier))
    return temporary_table(f"account_of_{entity.name}", *columns, searched=[entity.key_column])


def _fill(writing: Writing, parts: Iterable[pa.Table]) -> Counts:
    connection, entity = writing.connection, writing.entity
    tables = [writing.fact, *((public_table(entity),) if entity.is_public else ())]
    counts = Counts()
    with postpone_indexes(connection, tables):
        for each in parts:
            part = writing.writable_columns(each)
            append_rows(connection, tables[0], _select_columns(part, tables[0]))
            inserted = part.num_rows
            if entity.is_public:
                rows = _synced_rows(entity, part) if writing.reads_filter else part
                marked = append_constants(_select_columns(rows, tables[1]), writing.change.stamps)
                append_rows(connection, tables[1], marked)
                inserted = rows.num_rows
            filtered = part.num_rows - inserted
            counts += Counts(
                read=part.num_rows, inserted=inserted, filtered=filtered, facts=part.num_rows
            )
    _note_filled(writing)
    return counts


def _note_filled(writing: Writing) -> None:
    """Every row was read just now: settle what they owed, and note what they lack."""
    ids = select(writing.fact.c[writing.entity.key_column]).where(true())
    if owes_anything(writing.connection, writing.entity):
        remove_owed(writing.connection, writing.entity, ids, unread=writing.unread)
    add_owed(writing.connection, writing.entity, ids, columns=writing.missing)


def _select_columns(part: pa.Table, table: Table) -> pa.Table:
    return part.select([name for name in part.column_names if name in table.c])


def _synced_rows(entity: Entity, part: pa.Table) -> pa.Table:
    return part if entity.sync_filter is None else part.filter(is_synced(part[entity.sync_filter]))


def _merge(writing: Writing, parts: Iterable[pa.Table]) -> Counts:
    connection, entity = writing.connection, writing.entity
    counts, owes = Counts(), owes_anything(connection, entity)
    with staged_table(connection, staged_rows(entity)) as staged:
        for part in parts:
            append_rows(connection, staged, writing.writable_columns(part))
            with prefer_index(connection, part.num_rows):
                if writing.missing:
                    new = of_new_versions(writing, staged)
                    add_owed(connection, entity, new, columns=writing.missing)
                done = merge_facts(writing, staged)
                facts = done.changed
                stale = mark_stale(connection, entity, staged)
                if stale or owes:
                    analyze_table(connection, staged)
                    settle_owed(writing, staged)
                if entity.is_public:
                    done = merge_public(writing, staged, has_stale=stale > 0)
            done += Counts(read=part.num_rows, superseded=stale, facts=facts)
            counts += done + Counts(unchanged=done.unaccounted)
            clear_table(connection, staged)
    return counts
