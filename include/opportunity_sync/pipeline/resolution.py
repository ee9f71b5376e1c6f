"""From the rows that a run brought to every association that follows from them.

An opportunity's result depends on rows that change without it: its contact moves, an account
is merged, a role is renamed. So first the *reach* of the changes is found, against the store's
indexes, then the whole neighbourhood of the opportunities in reach is gathered, and only then
do the pure rules run. The work is in proportion to what changed and what it affects.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from opportunity_sync.core.associations import (
    STAKEHOLDER_CATEGORY,
    Facts,
    contact_accounts,
    resolve,
    stakeholder_links,
)
from opportunity_sync.core.merges import is_loser
from opportunity_sync.entities import ACCOUNT, CONNECTION, CONNECTION_ROLE, CONTACT, OPPORTUNITY
from opportunity_sync.pipeline.known_facts import KnownFacts, distinct


@dataclass(frozen=True)
class Resolution:
    """The desired associations of everything in reach.

    `affected`: opportunity_id and is_synced (false: its own filter says No; it stays as it is,
    only its unresolved rows go). `accounts`: opportunity_id, account_id of the synced ones.
    `contact_accounts`: contact_id, account_id. `roles`, `unresolved`: as the store has them.
    """

    affected: pd.DataFrame
    accounts: pd.DataFrame
    contact_accounts: pd.DataFrame
    roles: pd.DataFrame
    unresolved: pd.DataFrame
    missing: dict[str, pd.Series]  # ids that are referred to and not known, by entity name


@dataclass(frozen=True)
class Reach:
    """Ids of the opportunities to resolve and of the contacts whose own account to find."""

    opportunities: pd.Series
    contacts: pd.Series


def resolve_changes(known: KnownFacts) -> Resolution:
    """Resolve every opportunity and contact that this run's rows bring or affect."""
    reach = _reach(known)
    opportunities = known.by_key(OPPORTUNITY, reach.opportunities)
    is_synced = opportunities["sync_filter"].fillna(value=True).astype(bool)
    facts = _neighbourhood(known, opportunities[is_synced], reach.contacts)
    people = facts.contacts[facts.contacts["contact_id"].isin(reach.contacts)]
    associations = resolve(facts)
    return Resolution(
        affected=opportunities[["opportunity_id"]].assign(is_synced=is_synced),
        accounts=associations.accounts,
        contact_accounts=contact_accounts(people, facts.accounts),
        roles=associations.roles,
        unresolved=associations.unresolved,
        missing=missing_references(facts),
    )


def missing_references(facts: Facts) -> dict[str, pd.Series]:
    """Contacts, accounts and roles that the rules ask for and nobody knows, by entity name."""
    opportunities, contacts = facts.opportunities, facts.contacts
    links = stakeholder_links(facts.connections)
    links = links[links["opportunity_id"].isin(opportunities["opportunity_id"])]
    is_other = facts.roles["category"].ne(STAKEHOLDER_CATEGORY).fillna(value=True)
    others = facts.roles.loc[is_other, "connectionrole_id"]
    people = links.loc[~links["connectionrole_id"].isin(others), "contact_id"]
    wanted = {
        CONTACT.name: distinct(
            _of_type(opportunities, "customer", "contact"), people, _masters(contacts)
        ),
        ACCOUNT.name: distinct(
            _of_type(opportunities, "customer", "account"),
            _of_type(contacts, "parent", "account"),
            _masters(facts.accounts),
        ),
        CONNECTION_ROLE.name: distinct(links["connectionrole_id"]),
    }
    known = {
        CONTACT.name: contacts["contact_id"],
        ACCOUNT.name: facts.accounts["account_id"],
        CONNECTION_ROLE.name: facts.roles["connectionrole_id"],
    }
    return {name: ids[~ids.isin(known[name])] for name, ids in wanted.items()}


def _of_type(records: pd.DataFrame, reference: str, kind: str) -> pd.Series:
    is_kind = records[f"{reference}_type"].eq(kind).fillna(value=False)
    return records[f"{reference}_id"][is_kind]


def _masters(records: pd.DataFrame) -> pd.Series:
    return records["master_id"][is_loser(records)]


def _reach(known: KnownFacts) -> Reach:
    opportunities = known.arrivals[OPPORTUNITY.name].ids
    people = known.arrivals[CONTACT.name].ids
    if known.is_all_new:
        return Reach(opportunities, people)
    accounts = known.with_losers(ACCOUNT, known.changed_ids(ACCOUNT))
    moved = known.where(CONTACT, "parent_id", accounts)["contact_id"]
    contacts = known.with_losers(CONTACT, distinct(known.changed_ids(CONTACT), moved))
    customers = known.where(OPPORTUNITY, "customer_id", distinct(contacts, accounts))
    return Reach(
        opportunities=distinct(
            opportunities,
            customers["opportunity_id"],
            _opportunity_ends(_touched_connections(known, contacts)),
        ),
        contacts=distinct(people, moved),
    )


def _touched_connections(known: KnownFacts, contacts: pd.Series) -> pd.DataFrame:
    """Connections that changed (as they are and as they were), or whose contact or role did."""
    arrivals = known.arrivals[CONNECTION.name]
    roles = known.changed_ids(CONNECTION_ROLE)
    return pd.concat(
        [
            arrivals.before,
            known.by_key(CONNECTION, arrivals.changed_ids),
            known.where(CONNECTION, "record1_id", contacts),
            known.where(CONNECTION, "record2_id", contacts),
            known.where(CONNECTION, "record1_role_id", roles),
            known.where(CONNECTION, "record2_role_id", roles),
        ],
        ignore_index=True,
    )


def _opportunity_ends(connections: pd.DataFrame) -> pd.Series:
    return distinct(
        *(
            connections.loc[
                connections[f"{side}_type"].eq("opportunity").fillna(value=False), f"{side}_id"
            ]
            for side in ("record1", "record2")
        )
    )


def _neighbourhood(known: KnownFacts, opportunities: pd.DataFrame, contacts: pd.Series) -> Facts:
    """Everything that the rules can ask about these opportunities and contacts."""
    if known.is_all_new:
        return Facts(
            opportunities=opportunities,
            contacts=known.current(CONTACT),
            accounts=known.current(ACCOUNT),
            connections=known.current(CONNECTION),
            roles=known.current(CONNECTION_ROLE),
        )
    ids = opportunities["opportunity_id"]
    connections = pd.concat(
        [known.where(CONNECTION, f"{side}_id", ids) for side in ("record1", "record2")],
        ignore_index=True,
    ).drop_duplicates("connection_id", ignore_index=True)
    parties = distinct(
        opportunities["customer_id"], connections["record1_id"], connections["record2_id"]
    )
    people = known.with_masters(CONTACT, distinct(parties, contacts)).drop_duplicates("contact_id")
    employers = distinct(opportunities["customer_id"], people["parent_id"])
    roles = distinct(connections["record1_role_id"], connections["record2_role_id"])
    return Facts(
        opportunities=opportunities,
        contacts=people,
        accounts=known.with_masters(ACCOUNT, employers).drop_duplicates("account_id"),
        connections=connections,
        roles=known.by_key(CONNECTION_ROLE, roles),
    )
