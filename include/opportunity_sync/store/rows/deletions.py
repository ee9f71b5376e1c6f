"""Marks records that are gone in Dynamics. They are never removed, and remembered if never seen.

A deletion is kept with the number of the change that brought it. Only a run that began after that
change brings the record back to life, so a slow run can't revive it. For the same reason a deletion
is kept as a fact even if the store never held the record.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    Table,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    true,
    update,
)

from opportunity_sync.model import VERSION
from opportunity_sync.store.books.owed_columns import WHOLE_RECORD, add_owed, remove_owed
from opportunity_sync.store.books.refused_records import remove_refused
from opportunity_sync.store.schema.tables import (
    fact_table,
    opportunity_contact_role,
    public_table,
    unresolved_association,
)
from opportunity_sync.store.statements.counts import Counts
from opportunity_sync.store.statements.keys import staged_keys

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import Connection

    from opportunity_sync.model import Entity
    from opportunity_sync.store.statements.change import Change


def write_deleted(
    connection: Connection,
    entity: Entity,
    gone: Iterable[pa.Table],
    *,
    change: Change,
    recheck: bool,
) -> tuple[Counts, int]:
    """Mark records as deleted. Returns the counts of live rows marked, and how many roles were.

    Parts of `gone` have the entity's key. The roles of an opportunity or contact are marked with
    it. An opportunity's unresolved references are removed, and so is whatever was refused or owed
    of the record. With `recheck` the record is owed as a whole, because another run may have read
    it later; the next run then asks for it. Where a record is deleted already, its deletion counts
    from this change on.
    """
    fact, key = fact_table(entity), entity.key_column
    roles, parts = 0, (part for part in gone if part.num_rows)
    first = next(parts, None)
    if first is None:
        return Counts(), 0
    with staged_keys(connection, entity, chain([first], parts)) as staged:
        keys = select(staged.c[key])
        marked, facts = _mark_facts(connection, fact, staged, key=key, revision=change.revision)
        if entity.is_public:
            marked = _mark(connection, public_table(entity), staged, key=key, change=change)
        if entity.has_roles:
            roles = _mark(connection, opportunity_contact_role, staged, key=key, change=change)
        if entity.has_unresolved:
            of_gone = unresolved_association.c[key].in_(keys)
            connection.execute(delete(unresolved_association).where(of_gone))
        remove_refused(connection, entity, keys)
        remove_owed(connection, entity, keys)
        if recheck:
            add_owed(connection, entity, keys, columns={WHOLE_RECORD})
    return Counts(deleted=marked, facts=facts), roles


def live_versions(
    connection: Connection, entity: Entity, keys: Collection[str] | None = None
) -> dict[str, int]:
    """Version by key of the records that the store believes to be alive: all, or some of `keys`."""
    fact, key = fact_table(entity), entity.key_column
    query = select(fact.c[key], fact.c[VERSION.name]).where(~fact.c.is_deleted)
    if keys is None:
        return {row[0]: row[1] for row in connection.execute(query)}
    if not keys:
        return {}
    wanted = pa.table({key: pa.array(sorted(keys), pa.string())})
    with staged_keys(connection, entity, [wanted]) as staged:
        # No join: SQLite would begin it with the large table.
        query = query.where(fact.c[key].in_(select(staged.c[key])))
        return {row[0]: row[1] for row in connection.execute(query)}


def holds_all(connection: Connection, entity: Entity, keys: Iterable[pa.Table]) -> bool:
    """Whether the store knows every one of the keys, as a live or deleted record."""
    fact, key = fact_table(entity), entity.key_column
    with staged_keys(connection, entity, keys) as staged:
        unknown = select(staged).where(~exists().where(fact.c[key] == staged.c[key]))
        return not connection.scalar(select(exists(unknown)))


def count_live(connection: Connection, entity: Entity) -> int:
    """How many records of the entity the store believes to be alive."""
    fact = fact_table(entity)
    query = select(func.count()).select_from(fact).where(~fact.c.is_deleted)
    return connection.scalar(query) or 0


def _mark_facts(
    connection: Connection, fact: Table, staged: Table, *, key: str, revision: int
) -> tuple[int, int]:
    """How many live facts were marked, and how many facts were written in all."""
    is_gone = fact.c[key].in_(select(staged.c[key]))
    again = update(fact).values(deleted_revision=revision).where(is_gone, fact.c.is_deleted)
    again = again.where(~fact.c.is_erased)  # that has no end
    repeated = connection.execute(again).rowcount
    marks = update(fact).values(is_deleted=True, deleted_revision=revision)
    marked = connection.execute(marks.where(is_gone, ~fact.c.is_deleted)).rowcount
    unseen = ~exists().where(fact.c[key] == staged.c[key])
    tombstones = select(
        staged.c[key], literal(0, BigInteger), true(), literal(revision, BigInteger)
    )
    columns = [key, VERSION.name, "is_deleted", "deleted_revision"]
    statement = insert(fact).from_select(columns, tombstones.distinct().where(unseen))
    remembered = connection.execute(
        statement, execution_options={"preserve_rowcount": True}
    ).rowcount
    return marked, repeated + marked + remembered


def _mark(connection: Connection, table: Table, staged: Table, *, key: str, change: Change) -> int:
    marks = {"is_deleted": True, "deleted_at": change.moment, **change.stamps}
    statement = update(table).values(marks)
    is_live = and_(table.c[key].in_(select(staged.c[key])), ~table.c.is_deleted)
    return connection.execute(statement.where(is_live)).rowcount
