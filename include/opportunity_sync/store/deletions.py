"""Records that are gone in Dynamics: marked, never removed, and remembered even when never seen.

A deletion is kept with the time at which it was noticed: only a read begun after that brings the
record back to life, so that a slow run cannot raise the dead. A tombstone of a record that the
store never held is kept as a fact by itself, for the same reason.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa
from sqlalchemy import (
    Column,
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

from opportunity_sync.entities import CONTACT, OPPORTUNITY, VERSION
from opportunity_sync.store.bulk import (
    append,
    described,
    looked_up_by_index,
    staged_table,
    temporary,
)
from opportunity_sync.store.counts import Counts
from opportunity_sync.store.tables import (
    fact_table,
    opportunity_contact_role,
    public_table,
    unresolved_association,
)
from opportunity_sync.store.types import Identifier, Instant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from sqlalchemy import Connection

    from opportunity_sync.entities import Entity


def write_deleted(
    connection: Connection,
    entity: Entity,
    gone: Iterable[pa.Table],
    *,
    noticed_at: datetime,
    moment: datetime,
) -> Counts:
    """Mark records as deleted that were found to be gone at `noticed_at`; counts live rows marked.

    Parts of `gone` have the entity's key. An opportunity's and a contact's roles are marked with
    it, an opportunity's unresolved references go.
    """
    fact, key = fact_table(entity), entity.key_column
    with _staged(connection, entity, gone) as staged:
        is_gone = fact.c[key].in_(select(staged.c[key]))
        marked = facts = connection.execute(
            update(fact)
            .values(is_deleted=True, deleted_noticed_at=noticed_at)
            .where(is_gone, ~fact.c.is_deleted)
        ).rowcount
        connection.execute(
            update(fact)
            .values(deleted_noticed_at=noticed_at)
            .where(is_gone, fact.c.deleted_noticed_at < noticed_at)
        )
        _remember_unseen(connection, fact, staged, key=key, noticed_at=noticed_at)
        if entity.is_public:
            marked = _mark(connection, public_table(entity), staged, key=key, moment=moment)
        if entity in {OPPORTUNITY, CONTACT}:
            _mark(connection, opportunity_contact_role, staged, key=key, moment=moment)
        if entity == OPPORTUNITY:
            of_gone = unresolved_association.c.opportunity_id.in_(select(staged.c[key]))
            connection.execute(delete(unresolved_association).where(of_gone))
    return Counts(deleted=marked, facts=facts)


def live_versions(
    connection: Connection, entity: Entity, keys: Collection[str] | None = None
) -> dict[str, int]:
    """Version by key of the records that the store believes to be alive; of all, or of `keys`."""
    fact, key = fact_table(entity), entity.key_column
    query = select(fact.c[key], fact.c[VERSION.name]).where(~fact.c.is_deleted)
    if keys is None:
        return {row[0]: row[1] for row in connection.execute(query)}
    if not keys:
        return {}
    wanted = pa.table({key: pa.array(sorted(keys), pa.string())})
    with _staged(connection, entity, [wanted]) as staged:
        query = query.join(staged, staged.c[key] == fact.c[key])
        return {row[0]: row[1] for row in connection.execute(query)}


def holds_all(connection: Connection, entity: Entity, keys: Iterable[pa.Table]) -> bool:
    """Whether the store has ever heard of every one of the keys, be they alive or deleted."""
    fact, key = fact_table(entity), entity.key_column
    with _staged(connection, entity, keys) as staged:
        unknown = select(staged).where(~exists().where(fact.c[key] == staged.c[key]))
        return not connection.scalar(select(exists(unknown)))


def count_live(connection: Connection, entity: Entity) -> int:
    """How many records of the entity the store believes to be alive."""
    fact = fact_table(entity)
    query = select(func.count()).select_from(fact).where(~fact.c.is_deleted)
    return connection.scalar(query) or 0


@contextmanager
def _staged(connection: Connection, entity: Entity, keys: Iterable[pa.Table]) -> Iterator[Table]:
    """The keys in a temporary table, and look-ups of them by index where they are few."""
    with staged_table(connection, _staged_keys(entity)) as staged:
        rows = 0
        for part in keys:
            append(connection, staged, part)
            rows += part.num_rows
        described(connection, staged)
        with looked_up_by_index(connection, rows):
            yield staged


@cache
def _staged_keys(entity: Entity) -> Table:
    return temporary(f"keys_of_{entity.name}", Column(entity.key_column, Identifier))


def _remember_unseen(
    connection: Connection, fact: Table, staged: Table, *, key: str, noticed_at: datetime
) -> None:
    unseen = ~exists().where(fact.c[key] == staged.c[key])
    rows = (
        select(staged.c[key], literal(0), true(), literal(noticed_at, Instant()))
        .distinct()
        .where(unseen)
    )
    columns = [key, VERSION.name, "is_deleted", "deleted_noticed_at"]
    connection.execute(insert(fact).from_select(columns, rows))


def _mark(
    connection: Connection, table: Table, staged: Table, *, key: str, moment: datetime
) -> int:
    statement = update(table).values(is_deleted=True, deleted_at=moment, synced_at=moment)
    is_live = and_(table.c[key].in_(select(staged.c[key])), ~table.c.is_deleted)
    return connection.execute(statement.where(is_live)).rowcount
