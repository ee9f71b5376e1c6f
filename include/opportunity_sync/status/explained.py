"""One opportunity, explained: what Dynamics says, which rule applied, and what came of it.

This is what support is asked: why has it this account, why is that contact missing, since when.
The answer follows the rules' own way over the stored facts: the customer through its merges, and
each role back to the connections that give it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from opportunity_sync.core.associations import customer_is_account, customer_is_contact, no_customer
from opportunity_sync.model import ACCOUNT, CONTACT, OPPORTUNITY
from opportunity_sync.status.records.given_roles import connections_of_roles
from opportunity_sync.status.records.merged_records import survivor_of
from opportunity_sync.status.records.record_links import record_url
from opportunity_sync.status.records.record_names import record_names
from opportunity_sync.store.schema.tables import (
    history,
    opportunity_contact_role,
    public_table,
    unresolved_association,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from opportunity_sync.model import Entity

_RULES = {
    "contact": customer_is_contact.__name__,
    "account": customer_is_account.__name__,
    None: no_customer.__name__,
}
_CUSTOMERS = {"contact": CONTACT, "account": ACCOUNT}
# Columns that are there whatever is selected.
_STANDING = (
    "customer_id",
    "customer_type",
    "account_id",
    "is_deleted",
    "modified_at",
    "synced_at",
)
_CHANGES_SHOWN = 1_000  # the newest; nobody looks through more


def explain_opportunity(
    connection: Connection, opportunity_id: str, *, organization_url: str | None = None
) -> dict[str, Any] | None:
    """Everything about an opportunity; None where the store has no such row.

    `opportunity_id` is in lower case.
    """
    row = _public_row(connection, opportunity_id)
    if row is None:
        return None
    names = record_names(connection, OPPORTUNITY, [opportunity_id])
    return {
        "opportunity_id": opportunity_id,
        "name": names.get(opportunity_id),
        "is_deleted": row["is_deleted"],
        "modified_at": row["modified_at"],
        "synced_at": row["synced_at"],
        "record_url": record_url(organization_url, OPPORTUNITY.name, opportunity_id),
        "rule": _RULES[row["customer_type"] if row["customer_id"] else None],
        "customer": _customer(connection, row),
        "account": _account(connection, row["account_id"]),
        "roles": _roles(connection, opportunity_id),
        "unresolved": _unresolved_associations(connection, opportunity_id),
        "history": _history(connection, opportunity_id),
    }


def _public_row(connection: Connection, opportunity_id: str) -> dict[str, Any] | None:
    stored = public_table(OPPORTUNITY).c
    query = select(*(stored[name] for name in _STANDING)).where(
        stored[OPPORTUNITY.key_column] == opportunity_id
    )
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def _customer(connection: Connection, row: dict[str, Any]) -> dict[str, Any] | None:
    """The customer as Dynamics has it, and who it is after all merges; None without one."""
    customer_id, kind = row["customer_id"], row["customer_type"]
    if customer_id is None:
        return None
    entity: Entity = _CUSTOMERS[kind]
    survivor = survivor_of(connection, entity, customer_id)
    names = record_names(connection, entity, [customer_id, survivor])
    return {
        "id": customer_id,
        "type": kind,
        "name": names.get(customer_id) or names.get(survivor or ""),
        "survivor_id": survivor,
        "survivor_name": names.get(survivor or ""),
    }


def _account(connection: Connection, account_id: str | None) -> dict[str, Any] | None:
    if account_id is None:
        return None
    names = record_names(connection, ACCOUNT, [account_id])
    return {"id": account_id, "name": names.get(account_id)}


def _roles(connection: Connection, opportunity_id: str) -> list[dict[str, Any]]:
    """The roles as they are stored, deleted ones too, and the connections that give each."""
    role = opportunity_contact_role
    query = select(role).where(role.c.opportunity_id == opportunity_id).order_by(*role.primary_key)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    names = record_names(connection, CONTACT, [row["contact_id"] for row in rows])
    given = connections_of_roles(connection, opportunity_id)
    return [
        row
        | {
            "contact_name": names.get(row["contact_id"]),
            "connections": given.get((row["contact_id"], row["role"]), []),
        }
        for row in rows
    ]


def _unresolved_associations(connection: Connection, opportunity_id: str) -> list[dict[str, Any]]:
    unresolved = unresolved_association
    query = select(unresolved).where(unresolved.c.opportunity_id == opportunity_id)
    rows = connection.execute(query.order_by(*unresolved.primary_key))
    return [dict(row) for row in rows.mappings()]


def _history(connection: Connection, opportunity_id: str) -> list[dict[str, Any]]:
    """What changed of it, the newest change first."""
    query = select(history).where(history.c.opportunity_id == opportunity_id)
    rows = connection.execute(query.order_by(history.c.revision.desc()).limit(_CHANGES_SHOWN))
    return [
        {
            "dag_id": row.dag_id,
            "run_id": row.run_id,
            "at": row.at,
            "revision": row.revision,
            "changes": json.loads(row.changes),
        }
        for row in rows
    ]
