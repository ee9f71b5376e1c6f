"""A person's wish: what the store has of a contact is emptied, and never comes back.

The store keeps the key, the version and the fact that the contact was erased. Its deletion has a
number that is higher than any change's, so every run counts as begun before it, and what such a run
brings of the contact is set aside like anything of a record that was deleted since. Opportunities
that refer to the contact are owed as a whole: the next run resolves them without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, literal, select, true, union, update

from opportunity_sync.core.versions import ERASED
from opportunity_sync.model import CONTACT, OPPORTUNITY, VERSION
from opportunity_sync.store.books.owed_columns import WHOLE_RECORD, add_owed, remove_owed
from opportunity_sync.store.rows.purging import empty_rows
from opportunity_sync.store.schema.tables import (
    fact_table,
    history,
    opportunity_contact_role,
    public_table,
    refused_row,
    sync_error,
)
from opportunity_sync.store.statements.upsert import dialect_insert

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from opportunity_sync.model import Entity
    from opportunity_sync.store.statements.change import Change


def erase_contact(connection: Connection, contact_id: str, *, change: Change) -> bool:
    """Erase a contact, also one that was never seen; returns whether the store had it.

    `contact_id` is lower case. Again is no error.
    """
    fact, public, role = fact_table(CONTACT), public_table(CONTACT), opportunity_contact_role
    key = select(literal(contact_id, fact.c.contact_id.type).label("contact_id")).where(true())
    _owe_opportunities(connection, contact_id)
    insert = dialect_insert(connection)
    erased = {"is_deleted": True, "deleted_revision": ERASED, "is_erased": True}
    statement = insert(fact).values({"contact_id": contact_id, VERSION.name: 0} | erased)
    connection.execute(statement.on_conflict_do_update(index_elements=["contact_id"], set_=erased))
    empty_rows(connection, CONTACT, key, stamps=change.stamps)
    marks = {"is_deleted": True, "deleted_at": change.moment, **change.stamps}
    found = 0
    for table in (public, role):
        is_live = table.c.contact_id == contact_id, ~table.c.is_deleted
        found += connection.execute(update(table).values(marks).where(*is_live)).rowcount
    _forget_history(connection, contact_id)
    remove_owed(connection, CONTACT, key)
    for listed in (refused_row, sync_error):
        is_its = listed.c.entity == CONTACT.name, listed.c.record_id == contact_id
        connection.execute(delete(listed).where(*is_its))
    return found > 0


def _forget_history(connection: Connection, contact_id: str) -> None:
    """Remove the lines that name the contact: they are of opportunities that it had a role in."""
    role = opportunity_contact_role
    related = select(role.c.opportunity_id).where(role.c.contact_id == contact_id)
    names_it = history.c.changes.contains(contact_id)
    connection.execute(delete(history).where(history.c.opportunity_id.in_(related), names_it))


def erased_ids(connection: Connection, entity: Entity) -> frozenset[str]:
    """Keys of the records that were erased; it reads all facts."""
    fact = fact_table(entity)
    return frozenset(connection.scalars(select(fact.c[entity.key_column]).where(fact.c.is_erased)))


def _owe_opportunities(connection: Connection, contact_id: str) -> None:
    fact, role = fact_table(OPPORTUNITY), opportunity_contact_role
    is_role = (role.c.contact_id == contact_id) & ~role.c.is_deleted
    ids = union(
        select(fact.c.opportunity_id).where(fact.c.customer_id == contact_id, ~fact.c.is_deleted),
        select(role.c.opportunity_id).where(is_role),
    ).subquery()
    add_owed(
        connection, OPPORTUNITY, select(ids.c.opportunity_id).where(true()), columns={WHOLE_RECORD}
    )
