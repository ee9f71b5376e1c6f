"""The steps by which one staged part is merged into the store, each a statement or two.

Staged rows are marked as stale if they turn out older than the store's, or if their record was
deleted since their run began. Stale rows take no further part. `owed_column` is brought up to date:
the columns that a row was written without are added, those that it brought are removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Table,
    and_,
    exists,
    false,
    func,
    or_,
    select,
    true,
    update,
)

from opportunity_sync.core.versions import is_current_sql, is_deleted_since_sql, may_revive_sql
from opportunity_sync.model import VERSION, Entity
from opportunity_sync.store.books.owed_columns import WHOLE_RECORD, add_owed, remove_owed
from opportunity_sync.store.journal.lags import add_lags
from opportunity_sync.store.rows.history import note_moved_accounts, note_written_rows
from opportunity_sync.store.rows.labels import KnownLabels, add_labels
from opportunity_sync.store.schema.tables import (
    ACCOUNT_ID,
    fact_table,
    is_excluded,
    is_synced,
    public_table,
    stored_column,
)
from opportunity_sync.store.schema.types import Identifier
from opportunity_sync.store.statements.bulk import temporary_table
from opportunity_sync.store.statements.counts import Counts
from opportunity_sync.store.statements.upsert import Upsert, upsert

if TYPE_CHECKING:
    import pyarrow as pa

    from opportunity_sync.store.books.owed_columns import Ids
    from opportunity_sync.store.statements.change import Change

MODIFIED_AT = "modified_at"
_IS_STALE = "_is_stale"  # no selected column begins with an underscore


@dataclass(frozen=True)
class Writing:
    """What the steps of one call share.

    `planned`: names of the fields that the run reads; `written`: the store's columns of those
    fields. `unread`: all fields that the run does not read; `missing`: the wanted ones among them,
    which new versions owe.
    """

    connection: Connection
    entity: Entity
    change: Change
    planned: frozenset[str]
    written: frozenset[str]
    missing: frozenset[str]
    unread: frozenset[str]
    labels: KnownLabels

    @property
    def fact(self) -> Table:
        """The entity's facts."""
        return fact_table(self.entity)

    @property
    def may_revive(self) -> ColumnElement[bool]:
        """Which deleted records this change brings back."""
        known: ColumnElement[bool] = may_revive_sql(
            self.fact.c.is_deleted, self.fact.c.deleted_revision, begun=self.change.begun
        )
        return known

    @property
    def reads_filter(self) -> bool:
        """Whether the rows say themselves if they are excluded."""
        return self.entity.sync_filter in {None, *self.planned}

    def writable_columns(self, part: pa.Table) -> pa.Table:
        """The columns of a part that may be written, with every label that is known."""
        names = [name for name in part.column_names if name in self.written]
        return add_labels(part.select(names), self.labels)


@cache
def staged_rows(entity: Entity) -> Table:
    """The temporary table of an entity's staged rows."""
    columns = [stored_column(column) for column in entity.staged_columns]
    if entity.carries_account:
        columns.append(Column(ACCOUNT_ID, Identifier))
    columns.append(Column(_IS_STALE, Boolean, nullable=False, server_default=false()))
    return temporary_table(f"staged_{entity.name}", *columns, searched=[entity.key_column])


def settle_owed(writing: Writing, staged: Table) -> None:
    """Current rows owe nothing that was read. Rows deleted since the run began are owed whole.

    Erased records owe nothing: whatever comes of them is never written.
    """
    connection, entity, read = (
        writing.connection,
        writing.entity,
        staged.c[writing.entity.key_column],
    )
    current = select(read).where(~staged.c[_IS_STALE])
    remove_owed(connection, entity, current, unread=writing.unread)
    fact = writing.fact
    erased = select(read).where(
        staged.c[_IS_STALE], exists().where(fact.c[entity.key_column] == read, fact.c.is_erased)
    )
    remove_owed(connection, entity, erased)
    add_owed(connection, entity, _keys_deleted_since(writing, staged), columns={WHOLE_RECORD})


def of_new_versions(writing: Writing, staged: Table) -> Ids:
    """Keys of staged rows whose version the store lacks. Call it before `merge_facts`.

    They include deleted records that come back, and records that were excluded until now.
    """
    entity, fact, key = writing.entity, writing.fact, writing.entity.key_column
    version, stored_version = staged.c[VERSION.name], fact.c[VERSION.name]
    is_revived = and_(writing.may_revive, stored_version == version)
    is_known = [fact.c[key] == staged.c[key], is_current_sql(stored_version, version), ~is_revived]
    if entity.is_public:
        public = public_table(entity)
        is_there = exists().where(public.c[key] == fact.c[key])
        is_known.append(or_(is_excluded(entity, fact), is_there))
    is_erased = exists().where(fact.c[key] == staged.c[key], fact.c.is_erased)
    return select(staged.c[key]).where(~exists().where(*is_known), ~is_erased)


def _keys_deleted_since(writing: Writing, staged: Table) -> Ids:
    """Keys of staged rows that are stale because they were deleted since the run began."""
    fact, key = writing.fact, writing.entity.key_column
    deleted_since = exists().where(
        fact.c[key] == staged.c[key],
        is_deleted_since_sql(
            fact.c.is_deleted, fact.c.deleted_revision, begun=writing.change.begun
        ),
        is_current_sql(staged.c[VERSION.name], fact.c[VERSION.name]),
        ~fact.c.is_erased,
    )
    return select(staged.c[key]).where(staged.c[_IS_STALE], deleted_since)


def merge_facts(writing: Writing, staged: Table) -> Counts:
    """Write facts that are newer, or of an equal version and different; revive what may revive."""
    entity, fact = writing.entity, writing.fact
    facts = [column.name for column in entity.fact_columns if column.name in writing.written]
    own = [VERSION.name, *facts]
    return upsert(
        writing.connection,
        Upsert(
            table=fact,
            rows=select(*(staged.c[name] for name in [entity.key_column, *own])).where(true()),
            compared=own,
            fixed={"is_deleted": False, "deleted_revision": None},
            guard=lambda given, differs: and_(
                is_current_sql(given[VERSION.name], fact.c[VERSION.name]),
                or_(and_(~fact.c.is_deleted, differs), writing.may_revive),
            ),
        ),
        counted=not entity.is_public,
    )


def merge_public(writing: Writing, staged: Table, *, has_stale: bool) -> Counts:
    """Write public rows of staged rows that are current and not excluded; counts are of those."""
    connection, entity, change = writing.connection, writing.entity, writing.change
    public, key = public_table(entity), entity.key_column
    moved = 0
    if has_stale and entity.carries_account:
        moved = move_accounts(connection, entity, staged, change=change)
    if not writing.reads_filter:
        _recall_filter(writing, staged)
    names = [column.name for column in public.c if column.name in staged.c and column.name != key]
    own = [name for name in names if name in writing.written]
    is_wanted = is_synced(entity, staged)
    is_taken = (~staged.c[_IS_STALE], is_wanted)
    if MODIFIED_AT in own:
        is_new = ~exists().where(_holds_version(entity, staged))
        modified_at = staged.c[MODIFIED_AT]
        add_lags(connection, entity.name, modified_at, is_new, *is_taken, change=change)
    is_changed = note_written_rows(
        connection, entity, staged, *is_taken, columns=own, change=change
    )
    counts = upsert(
        connection,
        Upsert(
            table=public,
            rows=select(*(staged.c[name] for name in [key, *own])).where(*is_taken, is_changed),
            compared=own,
            fixed={"is_deleted": False, "deleted_at": None},
            stamps=change.stamps,
            guard=lambda given, differs: and_(
                is_current_sql(given[VERSION.name], public.c[VERSION.name]),
                or_(public.c.is_deleted, differs),
            ),
        ),
    )
    filtered = select(func.count()).where(~staged.c[_IS_STALE], ~is_wanted)
    return counts + Counts(rewritten=moved, filtered=connection.scalar(filtered) or 0)


def _holds_version(entity: Entity, staged: Table) -> ColumnElement[bool]:
    """Whether the public table has a staged row's version, or a newer one, alive."""
    public, key = public_table(entity), entity.key_column
    return and_(
        public.c[key] == staged.c[key],
        is_current_sql(public.c[VERSION.name], staged.c[VERSION.name]),
        ~public.c.is_deleted,
    )


def _recall_filter(writing: Writing, staged: Table) -> None:
    """Set the filter of staged rows that came without it to what the store knows."""
    fact, key = writing.fact, writing.entity.key_column
    statement = update(staged).values({str(writing.entity.sync_filter): False})
    is_filtered = and_(fact.c[key] == staged.c[key], is_excluded(writing.entity, fact))
    writing.connection.execute(statement.where(is_filtered))


def mark_stale(connection: Connection, entity: Entity, staged: Table) -> int:
    """Mark staged rows that are not what is newest of their record.

    Facts are merged first, so a version that differs can only be an older one.
    """
    fact, key = fact_table(entity), entity.key_column
    is_older = fact.c[VERSION.name] != staged.c[VERSION.name]
    statement = (
        update(staged)
        .values({_IS_STALE: True})
        .where(fact.c[key] == staged.c[key], or_(is_older, fact.c.is_deleted))
    )
    return connection.execute(statement).rowcount


def move_accounts(connection: Connection, entity: Entity, staged: Table, *, change: Change) -> int:
    """Write derived accounts that differ, whatever the version, unless excluded or deleted."""
    public, fact, key = public_table(entity), fact_table(entity), entity.key_column
    moves = (
        public.c[key] == staged.c[key],
        fact.c[key] == staged.c[key],
        is_synced(entity, fact),
        ~fact.c.is_deleted,
        public.c[ACCOUNT_ID].is_distinct_from(staged.c[ACCOUNT_ID]),
        staged.c[_IS_STALE] if _IS_STALE in staged.c else true(),
    )
    note_moved_accounts(connection, entity, staged, *moves, change=change)
    statement = update(public).values({ACCOUNT_ID: staged.c[ACCOUNT_ID], **change.stamps})
    statement = statement.where(*moves)
    return connection.execute(statement).rowcount
