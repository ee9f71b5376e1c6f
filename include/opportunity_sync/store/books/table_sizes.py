"""How many rows each public table has, deleted ones too: to count a million takes a page too long.

Rows are only ever added to public tables, so whoever adds some says how many. The reconciliation
counts them, should somebody have done otherwise by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, func, select, true

from opportunity_sync.store.schema.tables import fact_table, public_table, table_size
from opportunity_sync.store.statements.upsert import dialect_insert

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from opportunity_sync.model import Entity


def holds_nothing(connection: Connection, entity: Entity) -> bool:
    """Whether no record of the entity was ever seen, which its facts tell."""
    fact = fact_table(entity)
    return not connection.scalar(select(exists(select(fact.c[entity.key_column]))))


def add_to_size(
    connection: Connection, entity: Entity, inserted: int, *, is_first: bool = False
) -> None:
    """So many rows more. The first ones are all there are: the table may have been emptied."""
    statement = dialect_insert(connection)(table_size).values(entity=entity.name, rows=inserted)
    before = 0 if is_first else table_size.c.rows
    more = {"rows": before + statement.excluded.rows}
    connection.execute(statement.on_conflict_do_update(index_elements=["entity"], set_=more))


def count_rows(connection: Connection, entity: Entity) -> None:
    """As many as there are: a scan. Nobody may write meanwhile."""
    counted = select(func.count()).select_from(public_table(entity)).scalar_subquery()
    statement = dialect_insert(connection)(table_size).values(entity=entity.name, rows=counted)
    found = {"rows": statement.excluded.rows}
    connection.execute(statement.on_conflict_do_update(index_elements=["entity"], set_=found))


def live_rows(connection: Connection, entity: Entity) -> int:
    """The rows that are not deleted; these are counted, by an index that has no others."""
    table = public_table(entity)
    size = select(table_size.c.rows).where(table_size.c.entity == entity.name)
    deleted = select(func.count()).select_from(table).where(table.c.is_deleted == true())
    return (connection.scalar(size) or 0) - (connection.scalar(deleted) or 0)
