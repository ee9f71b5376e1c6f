"""Who a record is after all merges, by the stored facts, one look-up for each merge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from opportunity_sync.store.schema.tables import fact_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from opportunity_sync.model import Entity

_LONGEST_CHAIN = 1_000


def survivor_of(connection: Connection, entity: Entity, record_id: str) -> str | None:
    """The surviving record; None where the merges run in a circle or end at an unknown record."""
    facts = fact_table(entity).c
    master = select(facts.is_merged, facts.master_id, facts.is_deleted)
    seen: set[str] = set()
    while record_id not in seen and len(seen) < _LONGEST_CHAIN:
        seen.add(record_id)
        is_it = facts[entity.key_column] == record_id
        known = connection.execute(master.where(is_it)).one_or_none()
        if known is None or known.is_deleted:
            return None
        if not (known.is_merged and known.master_id):
            return record_id
        record_id = known.master_id
    return None
