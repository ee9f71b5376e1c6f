"""Which account and which contact roles belong to an opportunity: the association rules.

There is one function per rule, named as in `docs/associations.md`. It takes the opportunities that
the rule is about and the known records. It returns accounts, roles, and what could not be resolved,
with the reason. Nothing vanishes: `resolve` divides the opportunities among the three customer
rules, and every reference ends as an account, a role, both, or an unresolved row.

What is odd about the data: `customerid` holds one value, a contact or an account, whatever the
form showed. A connection is stored as two mirrored rows of which one can be missing, so each row
counts by itself. Role N describes the party in record N.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from opportunity_sync.core.frames import FLAG, TEXT, empty_frame, select_rows
from opportunity_sync.core.ids import IdSet
from opportunity_sync.core.matching import attach_columns
from opportunity_sync.core.references import ACCOUNT_REASONS, CONTACT_REASONS, Directory
from opportunity_sync.model import ACCOUNT, CONNECTION_ROLE, CONTACT

if TYPE_CHECKING:
    from collections.abc import Mapping


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

    `opportunities` are those to resolve (opportunity_id, customer_id, customer_type). The other
    frames have the key and fact columns of their entity, and at least every record that the
    opportunities can reach: customers, stakeholders, parents, and the masters of their merges.
    `refused`: ids of records that are in Dynamics and can't be taken, by entity name. `erased`: ids
    of contacts that nothing may be associated with any more.
    """

    opportunities: pd.DataFrame
    contacts: pd.DataFrame
    accounts: pd.DataFrame
    connections: pd.DataFrame
    roles: pd.DataFrame
    refused: Mapping[str, IdSet] = field(default_factory=dict)
    erased: IdSet = field(default_factory=IdSet.of)

    @cached_property
    def contact_directory(self) -> Directory:
        """The contacts, to look references up in."""
        refused = self.refused_ids(CONTACT.name)
        return Directory(
            CONTACT, self.contacts, CONTACT_REASONS, refused=refused, erased=self.erased
        )

    @cached_property
    def account_directory(self) -> Directory:
        """The accounts, to look references up in."""
        refused = self.refused_ids(ACCOUNT.name)
        return Directory(
            ACCOUNT, self.accounts, ACCOUNT_REASONS, refused=refused, erased=IdSet.of()
        )

    @cached_property
    def links(self) -> pd.DataFrame:
        """The `stakeholder_links` of the opportunities to resolve."""
        links = stakeholder_links(self.connections)
        return links[links["opportunity_id"].isin(self.opportunities["opportunity_id"])]

    def refused_ids(self, entity_name: str) -> IdSet:
        """The ids of an entity's records that can't be taken."""
        return self.refused.get(entity_name, IdSet.of())


@dataclass(frozen=True)
class Associations:
    """The outcome: one account (or null) per opportunity, roles, and unresolved references.

    `missing`: ids of records that something refers to and that nobody knows, by entity name.
    """

    accounts: pd.DataFrame
    roles: pd.DataFrame
    unresolved: pd.DataFrame
    missing: Mapping[str, IdSet] = field(default_factory=dict)


@dataclass(frozen=True)
class ContactAccounts:
    """`contact_id` and `account_id` (or null) of each contact, and ids of accounts nobody knows."""

    accounts: pd.DataFrame
    missing: IdSet


def resolve(facts: Facts) -> Associations:
    """Apply all rules to `facts.opportunities`.

    Returns one account row per opportunity in their order, roles unique by (opportunity_id,
    contact_id, role), unresolved rows unique by (opportunity_id, kind, reference_id). A customer
    is an account or a contact: the decoder refuses a row with any other.
    """
    customers = _by_customer_type(facts.opportunities)
    outcomes = [
        customer_is_contact(customers["contact"], facts),
        customer_is_account(customers["account"], facts),
        no_customer(customers["none"]),
        stakeholder(facts),
    ]
    return Associations(
        accounts=_one_account_each(facts.opportunities, [outcome.accounts for outcome in outcomes]),
        roles=_customer_wins(pd.concat([outcome.roles for outcome in outcomes], ignore_index=True)),
        unresolved=pd.concat(
            [outcome.unresolved for outcome in outcomes], ignore_index=True
        ).drop_duplicates(UNRESOLVED_KEY, ignore_index=True),
        missing=_merge_missing([outcome.missing for outcome in outcomes]),
    )


def customer_is_contact(opportunities: pd.DataFrame, facts: Facts) -> Associations:
    """Rules 1 to 3 and 9: the contact gets the role, and its own account is the account."""
    customers = _look_up_references(
        opportunities, "customer_id", facts.contact_directory, "parent_id", "parent_type"
    )
    employers = _employers(customers, "opportunity_id", facts.account_directory)
    return Associations(
        accounts=_usable_accounts(employers, "opportunity_id"),
        roles=select_rows(
            customers,
            customers["reason"].isna(),
            {"opportunity_id": "opportunity_id", "contact_id": "survivor_id"},
            role=POTENTIAL_CUSTOMER,
            is_primary=True,
            source="customer",
        ),
        unresolved=pd.concat(
            [
                _unresolved_rows(customers, "customer_contact"),
                _unresolved_rows(employers, "contact_account"),
            ],
            ignore_index=True,
        ),
        missing={CONTACT.name: _missing_ids(customers), ACCOUNT.name: _missing_ids(employers)},
    )


def customer_is_account(opportunities: pd.DataFrame, facts: Facts) -> Associations:
    """Rules 4 and 5: the account is the account; no role comes from the customer."""
    customers = _look_up_references(opportunities, "customer_id", facts.account_directory)
    return Associations(
        accounts=_usable_accounts(customers, "opportunity_id"),
        roles=empty_frame(ROLE_COLUMNS),
        unresolved=_unresolved_rows(customers, "customer_account"),
        missing={ACCOUNT.name: _missing_ids(customers)},
    )


def no_customer(opportunities: pd.DataFrame) -> Associations:
    """Rule 6: neither account nor role."""
    is_none = opportunities["customer_id"].isna()
    key = {"opportunity_id": "opportunity_id"}
    return Associations(
        accounts=select_rows(opportunities, is_none, key, account_id=None),
        roles=empty_frame(ROLE_COLUMNS),
        unresolved=empty_frame(UNRESOLVED_COLUMNS),
    )


def stakeholder(facts: Facts) -> Associations:
    """Rule 7: a role for each contact joined by an active connection with a Stakeholder role.

    Where the role is not known, the association is withheld and listed. The contact is looked up
    only where the role is known to be a stakeholder's.
    """
    links = attach_columns(
        facts.links, facts.roles, on="connectionrole_id", columns=["name", "category"]
    )
    is_known = links["connectionrole_id"].isin(facts.roles["connectionrole_id"])
    is_stakeholder = is_known & links["category"].eq(STAKEHOLDER_CATEGORY).fillna(value=False)
    people = _look_up_references(links[is_stakeholder], "contact_id", facts.contact_directory)
    refused = facts.refused_ids(CONNECTION_ROLE.name)
    unknown = _unknown_roles(links[~is_known], refused)
    return Associations(
        accounts=empty_frame(ACCOUNT_COLUMNS),
        roles=select_rows(
            people,
            people["reason"].isna(),
            {"opportunity_id": "opportunity_id", "contact_id": "survivor_id", "role": "name"},
            is_primary=False,
            source="stakeholder",
        ),
        unresolved=pd.concat(
            [unknown, _unresolved_rows(people, "stakeholder_contact")], ignore_index=True
        ),
        missing={
            CONTACT.name: _missing_ids(people),
            CONNECTION_ROLE.name: _ids(unknown["reference_id"]) - refused,
        },
    )


def _unknown_roles(links: pd.DataFrame, refused: IdSet) -> pd.DataFrame:
    """Links whose role is not known, as `unresolved_association` lists them."""
    ids = pa.array(links["connectionrole_id"].array, pa.string())
    is_refused = refused.holds(ids).to_numpy(zero_copy_only=False)
    columns = {"opportunity_id": "opportunity_id", "reference_id": "connectionrole_id"}
    listed = [
        select_rows(links, rows, columns, kind="stakeholder_role", reason=reason)
        for rows, reason in ((is_refused, "role_refused"), (~is_refused, "role_not_found"))
    ]
    return pd.concat(listed, ignore_index=True)


def stakeholder_links(connections: pd.DataFrame) -> pd.DataFrame:
    """The opportunity, contact and role of each active connection, whichever side is stored first.

    Returns `opportunity_id`, `contact_id`, `connectionrole_id` (the contact's side), distinct;
    connections of other parties and those without a role on the contact's side are left out.
    """
    is_active = connections["state"].eq(ACTIVE).fillna(value=False)
    sides = [
        _side(connections, is_active, opportunity="record1", contact="record2"),
        _side(connections, is_active, opportunity="record2", contact="record1"),
    ]
    return pd.concat(sides, ignore_index=True).drop_duplicates(ignore_index=True)


def contact_accounts(contacts_to_resolve: pd.DataFrame, accounts: Directory) -> ContactAccounts:
    """`contact.account_id`: each contact's own parent account, through rules 8, 10 and 11.

    Takes contact facts and the known accounts; there is a row for each contact, in their order.
    """
    employers = _employers(contacts_to_resolve, "contact_id", accounts)
    usable = _usable_accounts(employers, "contact_id")
    people = contacts_to_resolve[["contact_id"]]
    return ContactAccounts(
        accounts=attach_columns(people, usable, on="contact_id", columns=["account_id"]),
        missing=_missing_ids(employers),
    )


def _by_customer_type(opportunities: pd.DataFrame) -> dict[str, pd.DataFrame]:
    is_none = opportunities["customer_id"].isna()
    kinds = {
        kind: ~is_none & opportunities["customer_type"].eq(kind).fillna(value=False)
        for kind in ("contact", "account")
    }
    columns = {"opportunity_id": "opportunity_id", "customer_id": "customer_id"}
    return {
        kind: select_rows(opportunities, belongs, columns)
        for kind, belongs in (kinds | {"none": is_none}).items()
    }


def _look_up_references(
    frame: pd.DataFrame, reference: str, directory: Directory, *columns: str
) -> pd.DataFrame:
    """`frame` with `reference_id`, the answer of `look_up`, and columns of the survivor."""
    kept = {name: frame[name].array for name in frame.columns if name != reference}
    found = directory.look_up(frame[reference], *columns)
    return pd.DataFrame({**kept, "reference_id": frame[reference].array, **found}, copy=False)


def _employers(people: pd.DataFrame, key: str, accounts: Directory) -> pd.DataFrame:
    """The accounts that are somebody's parent, looked up, with the `key` of that person's row."""
    has_account = people["parent_id"].notna() & people["parent_type"].eq("account").fillna(
        value=False
    )
    parents = select_rows(people, has_account, {key: key, "parent_id": "parent_id"})
    return _look_up_references(parents, "parent_id", accounts)


def _side(
    connections: pd.DataFrame, rows: pd.Series, *, opportunity: str, contact: str
) -> pd.DataFrame:
    fits = (
        rows
        & connections[f"{opportunity}_type"].eq("opportunity").fillna(value=False)
        & connections[f"{contact}_type"].eq("contact").fillna(value=False)
        & connections[f"{contact}_role_id"].notna()
    )
    columns = {
        "opportunity_id": f"{opportunity}_id",
        "contact_id": f"{contact}_id",
        "connectionrole_id": f"{contact}_role_id",
    }
    return select_rows(connections, fits, columns)


def _usable_accounts(looked_up: pd.DataFrame, key: str) -> pd.DataFrame:
    """`key` and the account that was found for it."""
    return select_rows(
        looked_up, looked_up["reason"].isna(), {key: key, "account_id": "survivor_id"}
    )


def _unresolved_rows(looked_up: pd.DataFrame, kind: str) -> pd.DataFrame:
    """What could not be resolved, as `unresolved_association` lists it."""
    kept = ("opportunity_id", "reference_id", "reason")
    return select_rows(
        looked_up, looked_up["reason"].notna(), dict(zip(kept, kept, strict=True)), kind=kind
    )


def _missing_ids(looked_up: pd.DataFrame) -> IdSet:
    """The records that nobody knows."""
    return _ids(looked_up["missing_id"])


def _ids(values: pd.Series) -> IdSet:
    return IdSet.of(pa.array(values.array, pa.string()))


def _merge_missing(outcomes: list[Mapping[str, IdSet]]) -> dict[str, IdSet]:
    names = dict.fromkeys(name for missing in outcomes for name in missing)
    return {
        name: IdSet.of(*(missing[name].array for missing in outcomes if name in missing))
        for name in names
    }


def _one_account_each(opportunities: pd.DataFrame, found: list[pd.DataFrame]) -> pd.DataFrame:
    accounts = pd.concat(found, ignore_index=True)
    return attach_columns(
        opportunities[["opportunity_id"]], accounts, on="opportunity_id", columns=["account_id"]
    )


def _customer_wins(roles: pd.DataFrame) -> pd.DataFrame:
    """One row per key: the customer's row comes first and stays (rule 7, last sentence)."""
    return roles.drop_duplicates(ROLE_KEY, keep="first", ignore_index=True)
