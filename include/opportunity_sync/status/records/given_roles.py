"""Which connections give an opportunity its stakeholder roles, by the rule `stakeholder`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import false, or_, select

from opportunity_sync.core.associations import ACTIVE, STAKEHOLDER_CATEGORY
from opportunity_sync.model import CONNECTION, CONNECTION_ROLE, CONTACT, OPPORTUNITY
from opportunity_sync.status.records.merged_records import survivor_of
from opportunity_sync.store.schema.tables import fact_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

_SIDES = (("record1", "record2"), ("record2", "record1"))


def connections_of_roles(
    connection: Connection, opportunity_id: str
) -> dict[tuple[str, str], list[str]]:
    """Ids of the connections that give each role, by surviving contact and role name."""
    facts = fact_table(CONNECTION).c
    is_active = (facts.is_deleted == false(), facts.state == ACTIVE)
    is_joined = or_(facts.record1_id == opportunity_id, facts.record2_id == opportunity_id)
    query = select(fact_table(CONNECTION)).where(is_joined, *is_active)
    names = _stakeholder_roles(connection)
    given: dict[tuple[str, str], set[str]] = {}
    for row in connection.execute(query.order_by(facts.connection_id)).mappings():
        for contact_id, role_id in _contact_sides(dict(row), opportunity_id):
            survivor = survivor_of(connection, CONTACT, contact_id) if role_id in names else None
            if survivor is not None:
                given.setdefault((survivor, names[role_id]), set()).add(row["connection_id"])
    return {role: sorted(ids) for role, ids in given.items()}


def _stakeholder_roles(connection: Connection) -> dict[str, str]:
    """The names of the roles that make a stakeholder, by id; there is a handful."""
    facts = fact_table(CONNECTION_ROLE).c
    query = select(facts.connectionrole_id, facts.name).where(
        facts.category == STAKEHOLDER_CATEGORY, facts.is_deleted == false()
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _contact_sides(row: dict[str, Any], opportunity_id: str) -> Iterator[tuple[str, str]]:
    """The contact and its role, of each side that is one opposite to the opportunity."""
    for opportunity, contact in _SIDES:
        is_opportunity = row[f"{opportunity}_type"] == OPPORTUNITY.name
        is_contact = row[f"{contact}_type"] == CONTACT.name and row[f"{contact}_role_id"]
        if row[f"{opportunity}_id"] == opportunity_id and is_opportunity and is_contact:
            yield row[f"{contact}_id"], row[f"{contact}_role_id"]
