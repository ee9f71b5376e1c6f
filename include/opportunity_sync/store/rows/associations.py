"""Brings roles and unresolved associations to what the rules say now.

The rules say which opportunities they looked at (`affected`), and all roles and unresolved
associations of those. Whatever else the store holds of an affected opportunity follows from nothing
any more. Such a role is marked as deleted, and comes back to life if it follows again. Such an
unresolved association is removed. Other opportunities are not touched, nor are equal rows.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import Column, Table, and_, delete, exists, or_, select, true, update

from opportunity_sync.store.schema.tables import opportunity_contact_role, unresolved_association
from opportunity_sync.store.schema.types import Identifier
from opportunity_sync.store.statements.bulk import (
    analyze_table,
    append_rows,
    prefer_index,
    staged_table,
    temporary_table,
)
from opportunity_sync.store.statements.counts import Counts
from opportunity_sync.store.statements.upsert import Upsert, upsert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    import pyarrow as pa
    from sqlalchemy import ColumnElement, Connection

    from opportunity_sync.store.statements.change import Change

_ROLE = ("opportunity_id", "contact_id", "role", "is_primary", "source")
_UNRESOLVED = ("opportunity_id", "kind", "reference_id", "reason")


def write_roles(
    connection: Connection,
    *,
    affected: Iterable[pa.Table],
    roles: Iterable[pa.Table],
    change: Change,
) -> Counts:
    """Make `roles` the living roles of the `affected` opportunities.

    Parts of `affected` hold `opportunity_id`, those of `roles` the table's key, `is_primary` and
    `source`; keys are unique over all parts. New roles are inserted, changed and returning ones are
    updated, and those that no longer follow are marked as deleted.
    """
    stored = opportunity_contact_role
    with _stage_rows(connection, stored, _ROLE, affected=affected, wanted=roles) as (
        touched,
        desired,
        read,
    ):
        gone = and_(~stored.c.is_deleted, _is_no_longer_desired(stored, touched, desired))
        deletion = {"is_deleted": True, "deleted_at": change.moment, **change.stamps}
        deleted = connection.execute(update(stored).values(deletion).where(gone)).rowcount
        counts = upsert(
            connection,
            Upsert(
                table=stored,
                rows=select(desired).where(true()),
                compared=("is_primary", "source"),
                fixed={"is_deleted": False, "deleted_at": None},
                stamps=change.stamps,
                guard=lambda _given, differs: or_(stored.c.is_deleted, differs),
            ),
        )
    return counts + Counts(read=read, deleted=deleted, unchanged=read - counts.changed)


def write_unresolved(
    connection: Connection,
    *,
    affected: Iterable[pa.Table],
    unresolved: Iterable[pa.Table],
    moment: datetime,
) -> Counts:
    """Make `unresolved` the only unresolved associations of the `affected` opportunities.

    Parts of `affected` hold `opportunity_id`, those of `unresolved` the table's key and `reason`.
    A row that stays keeps its `first_seen_at`, even if its reason changes.
    """
    stored = unresolved_association
    with _stage_rows(connection, stored, _UNRESOLVED, affected=affected, wanted=unresolved) as (
        touched,
        desired,
        read,
    ):
        gone = _is_no_longer_desired(stored, touched, desired)
        deleted = connection.execute(delete(stored).where(gone)).rowcount
        counts = upsert(
            connection,
            Upsert(
                table=stored,
                rows=select(desired).where(true()),
                compared=("reason",),
                inserted={"first_seen_at": moment},
                guard=lambda _given, differs: differs,
            ),
        )
    return counts + Counts(read=read, deleted=deleted, unchanged=read - counts.changed)


@contextmanager
def _stage_rows(
    connection: Connection,
    stored: Table,
    names: Sequence[str],
    *,
    affected: Iterable[pa.Table],
    wanted: Iterable[pa.Table],
) -> Iterator[tuple[Table, Table, int]]:
    """The affected opportunities, the rows desired for them, and how many of those there are."""
    with (
        staged_table(connection, _affected_table(stored)) as touched,
        staged_table(connection, _desired_table(stored, names)) as desired,
    ):
        opportunities = _fill(connection, touched, affected)
        rows = _fill(connection, desired, wanted)
        with prefer_index(connection, max(opportunities, rows)):
            yield touched, desired, rows


@cache
def _affected_table(stored: Table) -> Table:
    columns = [Column("opportunity_id", Identifier)]
    return temporary_table(f"affected_{stored.name}", *columns, searched=["opportunity_id"])


@cache
def _desired_table(stored: Table, names: Sequence[str]) -> Table:
    columns = [Column(name, stored.c[name].type) for name in names]
    key = [column.name for column in stored.primary_key]
    return temporary_table(f"desired_{stored.name}", *columns, searched=key)


def _fill(connection: Connection, staged: Table, parts: Iterable[pa.Table]) -> int:
    names = [column.name for column in staged.c]
    rows = 0
    for part in parts:
        append_rows(connection, staged, part.select(names))
        rows += part.num_rows
    analyze_table(connection, staged)
    return rows


def _is_no_longer_desired(stored: Table, touched: Table, desired: Table) -> ColumnElement[bool]:
    """Stored rows of an affected opportunity that are not among those desired for it."""
    same = and_(*(desired.c[key.name] == key for key in stored.primary_key))
    is_affected = stored.c.opportunity_id.in_(select(touched.c.opportunity_id))
    return and_(is_affected, ~exists().where(same))
