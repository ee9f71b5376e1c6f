"""Rows of the entities into facts and public tables: newer wins, equal writes nothing.

A run may bring what the store already has, or something older (a slow backfill, a repeated
window). So facts are written first, under the guard of the version, and a public row only from
a staged row that then is the current one: same version as the fact, not deleted, not excluded.
`account_id` is derived and not under that guard; it is written whenever it differs. Tables that
are empty need no comparison and are filled straight.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Boolean, Column, and_, exists, false, or_, select, true, update

from opportunity_sync.entities import VERSION
from opportunity_sync.store.bulk import (
    append,
    clear,
    described,
    indexes_made_after,
    looked_up_by_index,
    staged_table,
    stamped,
    temporary,
)
from opportunity_sync.store.counts import Counts
from opportunity_sync.store.tables import (
    ACCOUNT_ID,
    WITH_ACCOUNT,
    fact_table,
    public_table,
    stored,
)
from opportunity_sync.store.types import Identifier
from opportunity_sync.store.upsert import Upsert, upsert

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection, Table

    from opportunity_sync.entities import Entity

SYNC_FILTER = "sync_filter"
_IS_STALE = "is_stale"


def write_rows(
    connection: Connection,
    entity: Entity,
    parts: Iterable[pa.Table],
    *,
    moment: datetime,
    read_at: datetime,
) -> Counts:
    """Bring staged parts into the entity's tables; counts are of public rows where there are any.

    `parts` have the entity's `staged_columns`, and `account_id` for those that carry one; a key
    occurs once over all of them. They are taken one by one and not kept. `moment` becomes
    `synced_at`; `read_at` is when reading from Dynamics began: only a later read than the one
    that noticed a deletion brings a record back to life.
    """
    filled = (part for part in parts if part.num_rows)
    first = next(filled, None)
    if first is None:
        return Counts()
    parts = chain([first], filled)
    if _is_empty(connection, entity):
        return _fill(connection, entity, parts, moment=moment)
    return _merge(connection, entity, parts, moment=moment, read_at=read_at)


def write_account_changes(
    connection: Connection, entity: Entity, changes: pa.Table, *, moment: datetime
) -> int:
    """Write `account_id` of rows that were not in the parts; return how many public rows changed.

    `changes` has the entity's key and `account_id`. Rows whose own sync filter says No stay.
    """
    if not changes.num_rows:
        return 0
    with staged_table(connection, _staged_accounts(entity)) as staged:
        append(connection, staged, changes)
        described(connection, staged)
        with looked_up_by_index(connection, changes.num_rows):
            return _move_accounts(connection, entity, staged, moment=moment)


@cache
def _staged_rows(entity: Entity) -> Table:
    columns = [stored(entity, column) for column in entity.staged_columns]
    if entity in WITH_ACCOUNT:
        columns.append(Column(ACCOUNT_ID, Identifier))
    columns.append(Column(_IS_STALE, Boolean, nullable=False, server_default=false()))
    return temporary(f"staged_{entity.name}", *columns)


@cache
def _staged_accounts(entity: Entity) -> Table:
    key = Column(entity.key_column, Identifier)
    return temporary(f"account_of_{entity.name}", key, Column(ACCOUNT_ID, Identifier))


def _is_empty(connection: Connection, entity: Entity) -> bool:
    """Whether nothing of the entity was ever seen: every public row has its fact."""
    fact = fact_table(entity)
    return not connection.scalar(select(exists(select(fact.c[entity.key_column]))))


def _fill(
    connection: Connection, entity: Entity, parts: Iterable[pa.Table], *, moment: datetime
) -> Counts:
    tables = [fact_table(entity), *((public_table(entity),) if entity.is_public else ())]
    counts = Counts()
    with indexes_made_after(connection, tables):
        for part in parts:
            append(connection, tables[0], _only(part, tables[0]))
            inserted = part.num_rows
            if entity.is_public:
                rows = part.filter(_is_synced())
                append(connection, tables[1], stamped(_only(rows, tables[1]), "synced_at", moment))
                inserted = rows.num_rows
            counts += Counts(read=part.num_rows, inserted=inserted, facts=part.num_rows)
    return counts


def _only(part: pa.Table, table: Table) -> pa.Table:
    return part.select([name for name in part.column_names if name in table.c])


def _is_synced() -> pc.Expression:
    wanted = pc.field(SYNC_FILTER).cast(pa.bool_())
    return wanted.is_null() | wanted


def _merge(
    connection: Connection,
    entity: Entity,
    parts: Iterable[pa.Table],
    *,
    moment: datetime,
    read_at: datetime,
) -> Counts:
    counts = Counts()
    with staged_table(connection, _staged_rows(entity)) as staged:
        for part in parts:
            append(connection, staged, part)
            with looked_up_by_index(connection, part.num_rows):
                done = _merge_facts(connection, entity, staged, read_at=read_at)
                counts += Counts(read=part.num_rows, facts=done.changed)
                if entity.is_public:
                    done = _merge_public(connection, entity, staged, moment=moment)
            counts += done
            clear(connection, staged)
    return counts


def _merge_facts(
    connection: Connection, entity: Entity, staged: Table, *, read_at: datetime
) -> Counts:
    fact = fact_table(entity)
    own = [VERSION.name, *(column.name for column in entity.fact_columns)]
    revived = and_(fact.c.is_deleted, fact.c.deleted_noticed_at < read_at)
    return upsert(
        connection,
        Upsert(
            table=fact,
            rows=select(*(staged.c[name] for name in [entity.key_column, *own])).where(true()),
            compared=own,
            fixed={"is_deleted": False, "deleted_noticed_at": None},
            guard=lambda given, differs: and_(
                given[VERSION.name] >= fact.c[VERSION.name],
                or_(and_(~fact.c.is_deleted, differs), revived),
            ),
        ),
        counted=not entity.is_public,
    )


def _merge_public(
    connection: Connection, entity: Entity, staged: Table, *, moment: datetime
) -> Counts:
    public, key = public_table(entity), entity.key_column
    moved = 0
    if _mark_stale(connection, entity, staged) and entity in WITH_ACCOUNT:
        moved = _move_accounts(connection, entity, staged, moment=moment)
    own = [column.name for column in public.c if column.name in staged.c and column.name != key]
    current = and_(~staged.c[_IS_STALE], staged.c[SYNC_FILTER].is_not(false()))
    counts = upsert(
        connection,
        Upsert(
            table=public,
            rows=select(*(staged.c[name] for name in [key, *own])).where(current),
            compared=own,
            fixed={"is_deleted": False, "deleted_at": None},
            stamps={"synced_at": moment},
            guard=lambda given, differs: and_(
                given[VERSION.name] >= public.c[VERSION.name], or_(public.c.is_deleted, differs)
            ),
        ),
    )
    return counts + Counts(updated=moved)


def _mark_stale(connection: Connection, entity: Entity, staged: Table) -> int:
    """Mark staged rows that are not what the store, facts being written, knows last of a record."""
    fact, key = fact_table(entity), entity.key_column
    is_older = fact.c[VERSION.name] != staged.c[VERSION.name]
    statement = (
        update(staged)
        .values({_IS_STALE: True})
        .where(fact.c[key] == staged.c[key], or_(is_older, fact.c.is_deleted))
    )
    return connection.execute(statement).rowcount


def _move_accounts(
    connection: Connection, entity: Entity, staged: Table, *, moment: datetime
) -> int:
    """Write derived accounts that differ, whatever the version; not on excluded or deleted rows."""
    public, fact, key = public_table(entity), fact_table(entity), entity.key_column
    statement = (
        update(public)
        .values({ACCOUNT_ID: staged.c[ACCOUNT_ID], "synced_at": moment})
        .where(
            public.c[key] == staged.c[key],
            fact.c[key] == staged.c[key],
            fact.c[SYNC_FILTER].is_not(false()),
            ~fact.c.is_deleted,
            public.c[ACCOUNT_ID].is_distinct_from(staged.c[ACCOUNT_ID]),
            staged.c[_IS_STALE] if _IS_STALE in staged.c else true(),
        )
    )
    return connection.execute(statement).rowcount
