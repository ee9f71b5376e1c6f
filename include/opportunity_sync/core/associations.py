"""Which account and which contact roles belong to an opportunity: the contract's truth table.

One function per rule, named as in `docs/associations.md`. Each takes the opportunities that it
is about and the known records, and returns the accounts, the roles and what could not be
resolved, with the reason. Nothing vanishes: `resolve` parts the opportunities over the three
customer rules, and every reference ends as an account, a role, both, or an unresolved row.

What is odd about the data: `customerid` holds one value, a contact or an account, whatever the
form showed. A connection is stored as two mirrored rows of which one can be missing, so each row
counts by itself. Role N describes the party in record N.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from opportunity_sync.core.frames import FLAG, TEXT, empty_frame, with_constants
from opportunity_sync.core.matching import attach
from opportunity_sync.core.references import ACCOUNT_REASONS, CONTACT_REASONS, Directory
from opportunity_sync.entities import ACCOUNT, CONTACT
from opportunity_sync.errors import ConfigError

POTENTIAL_CUSTOMER = "Potential Customer"
STAKEHOLDER_CATEGORY = 1000
ACTIVE = 0

ACCOUNT_COLUMNS = {"opportunity_id": TEXT, "account_id": TEXT}
ROLE_KEY = ["opportunity_id", "contact_id", "role"]
ROLE_COLUMNS = dict.fromkeys(ROLE_KEY, TEXT) | {"is_primary": FLAG, "source": TEXT}
UNRESOLVED_KEY = ["opportunity_id", "kind", "reference_id"]
UNRESOLVED_COLUMNS = dict.fromkeys(UNRESOLVED_KEY, TEXT) | {"reason": TEXT}


@dataclass(frozen=True)
class Facts:
    """What is known of the records that the rules read; one row per key, deleted rows left out.

    `opportunities` are those to resolve (opportunity_id, customer_id, customer_type); the other
    frames have the key and fact columns of their entity and hold at least every record that the
    opportunities can reach: customers, stakeholders, parents, and all masters of their merges.
    """

    opportunities: pd.DataFrame
    contacts: pd.DataFrame
    accounts: pd.DataFrame
    connections: pd.DataFrame
    roles: pd.DataFrame


@dataclass(frozen=True)
class Associations:
    """The outcome: one account (or null) per opportunity, roles, and unresolved references."""

    accounts: pd.DataFrame
    roles: pd.DataFrame
    unresolved: pd.DataFrame


def resolve(facts: Facts) -> Associations:
    """Apply all rules to `facts.opportunities`.

    Returns one account row per opportunity in their order, roles unique by (opportunity_id,
    contact_id, role), unresolved rows unique by (opportunity_id, kind, reference_id).
    Raises `ConfigError` for a customer that is neither account nor contact.
    """
    contacts = Directory(CONTACT, facts.contacts, CONTACT_REASONS)
    accounts = Directory(ACCOUNT, facts.accounts, ACCOUNT_REASONS)
    by_type = _by_customer_type(facts.opportunities)
    outcomes = [
        customer_is_contact(by_type["contact"], facts, contacts=contacts, accounts=accounts),
        customer_is_account(by_type["account"], accounts),
        no_customer(by_type["none"]),
        stakeholder(facts, contacts),
    ]
    return Associations(
        accounts=_one_account_each(facts.opportunities, [outcome.accounts for outcome in outcomes]),
        roles=_customer_wins(pd.concat([outcome.roles for outcome in outcomes], ignore_index=True)),
        unresolved=pd.concat(
            [outcome.unresolved for outcome in outcomes], ignore_index=True
        ).drop_duplicates(UNRESOLVED_KEY, ignore_index=True),
    )


def customer_is_contact(
    opportunities: pd.DataFrame, facts: Facts, *, contacts: Directory, accounts: Directory
) -> Associations:
    """Rules 1 to 3, 9: the contact gets the role, the contact's own account is the account."""
    customers = _looked_up(opportunities, "customer_id", contacts)
    people = customers.rename(columns={"survivor_id": "contact_id"})
    roles = with_constants(
        people.loc[people["reason"].isna(), ["opportunity_id", "contact_id"]],
        {"role": POTENTIAL_CUSTOMER, "is_primary": True, "source": "customer"},
    )
    parents = attach(
        people.loc[people["contact_id"].notna(), ["opportunity_id", "contact_id"]],
        facts.contacts,
        on="contact_id",
        columns=["parent_id", "parent_type"],
    )
    employers = _looked_up(_with_account_parent(parents), "parent_id", accounts)
    return Associations(
        accounts=_usable(employers, "opportunity_id"),
        roles=roles[list(ROLE_COLUMNS)],
        unresolved=pd.concat(
            [_unresolved(customers, "customer_contact"), _unresolved(employers, "contact_account")],
            ignore_index=True,
        ),
    )


def customer_is_account(opportunities: pd.DataFrame, accounts: Directory) -> Associations:
    """Rules 4 and 5: the account is the account; no role comes from the customer."""
    customers = _looked_up(opportunities, "customer_id", accounts)
    return Associations(
        accounts=_usable(customers, "opportunity_id"),
        roles=empty_frame(ROLE_COLUMNS),
        unresolved=_unresolved(customers, "customer_account"),
    )


def no_customer(opportunities: pd.DataFrame) -> Associations:
    """Rule 6: neither account nor role."""
    return Associations(
        accounts=with_constants(opportunities[["opportunity_id"]], {"account_id": None}),
        roles=empty_frame(ROLE_COLUMNS),
        unresolved=empty_frame(UNRESOLVED_COLUMNS),
    )


def stakeholder(facts: Facts, contacts: Directory) -> Associations:
    """Rule 7: a role for each contact joined by an active connection with a Stakeholder role.

    A role that is not known withholds the association and is listed; the contact is looked up
    only once the role is known to be a stakeholder's.
    """
    links = stakeholder_links(facts.connections)
    links = links[links["opportunity_id"].isin(facts.opportunities["opportunity_id"])]
    roles = facts.roles.rename(columns={"name": "role"})
    links = attach(links, roles, on="connectionrole_id", columns=["role", "category"])
    is_known = links["connectionrole_id"].isin(roles["connectionrole_id"])
    unknown = with_constants(
        links[~is_known].rename(columns={"connectionrole_id": "reference_id"}),
        {"kind": "stakeholder_role", "reason": "role_not_found"},
    )
    is_stakeholder = is_known & links["category"].eq(STAKEHOLDER_CATEGORY).fillna(value=False)
    people = _looked_up(links[is_stakeholder], "contact_id", contacts)
    found = people.loc[people["reason"].isna(), ["opportunity_id", "survivor_id", "role"]]
    return Associations(
        accounts=empty_frame(ACCOUNT_COLUMNS),
        roles=with_constants(
            found.rename(columns={"survivor_id": "contact_id"}),
            {"is_primary": False, "source": "stakeholder"},
        )[list(ROLE_COLUMNS)],
        unresolved=pd.concat(
            [unknown[list(UNRESOLVED_COLUMNS)], _unresolved(people, "stakeholder_contact")],
            ignore_index=True,
        ),
    )


def stakeholder_links(connections: pd.DataFrame) -> pd.DataFrame:
    """Turn active connections so that the opportunity comes first, whichever side it is stored on.

    Returns `opportunity_id`, `contact_id`, `connectionrole_id` (the contact's side), distinct;
    connections of other parties and those without a role on the contact's side are left out.
    """
    active = connections[connections["state"].eq(ACTIVE).fillna(value=False)]
    sides = [_side(active, opportunity="record1", contact="record2")]
    sides.append(_side(active, opportunity="record2", contact="record1"))
    return pd.concat(sides, ignore_index=True).drop_duplicates(ignore_index=True)


def contact_accounts(contacts_to_resolve: pd.DataFrame, accounts: pd.DataFrame) -> pd.DataFrame:
    """`contact.account_id`: each contact's own parent account, through rules 8, 10 and 11.

    Takes contact facts and account facts; returns `contact_id`, `account_id` (or null) for each
    contact, in their order.
    """
    directory = Directory(ACCOUNT, accounts, ACCOUNT_REASONS)
    people = contacts_to_resolve[["contact_id", "parent_id", "parent_type"]]
    employers = _looked_up(_with_account_parent(people), "parent_id", directory)
    employers = _usable(employers, "contact_id")
    return attach(people[["contact_id"]], employers, on="contact_id", columns=["account_id"])


def _by_customer_type(opportunities: pd.DataFrame) -> dict[str, pd.DataFrame]:
    is_none = opportunities["customer_id"].isna()
    kinds = {
        kind: ~is_none & opportunities["customer_type"].eq(kind).fillna(value=False)
        for kind in ("contact", "account")
    }
    stray = opportunities[~(is_none | kinds["contact"] | kinds["account"])]
    if len(stray):
        first = stray.iloc[0]
        raise ConfigError(
            f"opportunity {first['opportunity_id']}: its customerid points to a "
            f"{first['customer_type']!r}, and {len(stray)} opportunities in all do so; "
            "only account and contact can be a customer.",
            next_step="look at the record in Dynamics; report it with the version of Dynamics.",
        )
    return {"none": opportunities[is_none]} | {
        kind: opportunities[belongs] for kind, belongs in kinds.items()
    }


def _looked_up(frame: pd.DataFrame, reference: str, directory: Directory) -> pd.DataFrame:
    """`frame` with `reference_id`, `survivor_id` and `reason` of its reference."""
    found = directory.look_up(frame[reference])
    return frame.rename(columns={reference: "reference_id"}).assign(
        survivor_id=found["survivor_id"], reason=found["reason"]
    )


def _with_account_parent(people: pd.DataFrame) -> pd.DataFrame:
    has_account = people["parent_id"].notna() & people["parent_type"].eq("account").fillna(
        value=False
    )
    return people[has_account]


def _side(connections: pd.DataFrame, *, opportunity: str, contact: str) -> pd.DataFrame:
    fits = (
        connections[f"{opportunity}_type"].eq("opportunity").fillna(value=False)
        & connections[f"{contact}_type"].eq("contact").fillna(value=False)
        & connections[f"{contact}_role_id"].notna()
    )
    columns = {
        f"{opportunity}_id": "opportunity_id",
        f"{contact}_id": "contact_id",
        f"{contact}_role_id": "connectionrole_id",
    }
    return connections.loc[fits, list(columns)].rename(columns=columns)


def _usable(looked_up: pd.DataFrame, key: str) -> pd.DataFrame:
    """`key` and the account that was found for it."""
    found = looked_up.loc[looked_up["reason"].isna(), [key, "survivor_id"]]
    return found.rename(columns={"survivor_id": "account_id"})


def _unresolved(looked_up: pd.DataFrame, kind: str) -> pd.DataFrame:
    failed = looked_up[looked_up["reason"].notna()]
    return with_constants(failed, {"kind": kind})[list(UNRESOLVED_COLUMNS)]


def _one_account_each(opportunities: pd.DataFrame, found: list[pd.DataFrame]) -> pd.DataFrame:
    accounts = pd.concat(found, ignore_index=True)
    return attach(
        opportunities[["opportunity_id"]], accounts, on="opportunity_id", columns=["account_id"]
    )


def _customer_wins(roles: pd.DataFrame) -> pd.DataFrame:
    """One row per key: the customer's row comes first and stays (rule 7, last sentence)."""
    return roles.drop_duplicates(ROLE_KEY, keep="first", ignore_index=True)
