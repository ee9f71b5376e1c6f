"""From the rows that a run brought to every association that follows from them.

An opportunity's result depends on rows that change without it: its contact moves, an account
is merged, a role is renamed. So first the *reach* of the changes is found, against the store's
indexes, then the whole neighbourhood of the opportunities in reach is gathered, and only then
do the pure rules run. The work is in proportion to what changed and what it affects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from opportunity_sync.core.associations import (
    STAKEHOLDER_CATEGORY,
    Facts,
    contact_accounts,
    resolve,
)
from opportunity_sync.core.frames import kept, to_frame, to_table
from opportunity_sync.core.sync_filter import is_synced
from opportunity_sync.model import ACCOUNT, CONNECTION, CONNECTION_ROLE, CONTACT, OPPORTUNITY
from opportunity_sync.pipeline.known_facts import KnownFacts, distinct, masters_of, without

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from opportunity_sync.core.frames import Ids, Mask


@dataclass(frozen=True)
class Resolution:
    """The desired associations of everything in reach.

    `affected`: opportunity_id and is_synced (false: its own filter says No; it stays as it is,
    only its unresolved rows go). `accounts`: opportunity_id, account_id of the synced ones.
    `contact_accounts`: contact_id, account_id. `roles`, `unresolved`: as the store has them.
    """

    affected: pa.Table
    accounts: pa.Table
    contact_accounts: pa.Table
    roles: pa.Table
    unresolved: pa.Table
    missing: dict[str, Ids]  # ids that are referred to and not known, by entity name


@dataclass(frozen=True)
class Reach:
    """Ids of the opportunities to resolve and of the contacts whose own account to find."""

    opportunities: Ids
    contacts: Ids


def resolve_changes(known: KnownFacts) -> Resolution:
    """Resolve every opportunity and contact that this run's rows bring or affect."""
    reach = _reach(known)
    opportunities = known.by_key(OPPORTUNITY, reach.opportunities)
    is_kept = is_synced(opportunities["sync_filter"])
    gathered = _neighbourhood(known, kept(opportunities, is_kept), reach.contacts)
    facts = Facts(
        **{name: to_frame(table) for name, table in gathered.items()},
        refused={each.name: known.refused(each) for each in (CONTACT, ACCOUNT, CONNECTION_ROLE)},
    )
    is_asked = _among(gathered["contacts"]["contact_id"], reach.contacts).to_numpy()
    people = facts.contacts[is_asked]
    associations = resolve(facts)
    return Resolution(
        affected=opportunities.select(["opportunity_id"]).append_column("is_synced", is_kept),
        accounts=to_table(associations.accounts),
        contact_accounts=to_table(contact_accounts(people, facts.account_directory)),
        roles=to_table(associations.roles),
        unresolved=to_table(associations.unresolved),
        missing=_missing_references(known, gathered, facts.links),
    )


def _missing_references(
    known: KnownFacts, gathered: Mapping[str, pa.Table], links: pd.DataFrame
) -> dict[str, Ids]:
    """Contacts, accounts and roles that the rules ask for and nobody knows, by entity name.

    Of records that can't be taken it is known that they are there.
    """
    opportunities, contacts = gathered["opportunities"], gathered["contacts"]
    accounts, roles = gathered["accounts"], gathered["roles"]
    is_stakeholder = pc.equal(roles["category"], STAKEHOLDER_CATEGORY)
    others = roles["connectionrole_id"].filter(
        pc.invert(pc.fill_null(is_stakeholder, fill_value=False))
    )
    parties = to_table(links)
    people = parties.filter(pc.invert(_among(parties["connectionrole_id"], others)))["contact_id"]
    customers, parents = (opportunities, "customer"), (contacts, "parent")
    wanted_contacts = distinct(_of_type(*customers, "contact"), people, masters_of(contacts))
    wanted_accounts = distinct(
        _of_type(*customers, "account"), _of_type(*parents, "account"), masters_of(accounts)
    )
    wanted_roles = distinct(parties["connectionrole_id"])
    wanted = {
        CONTACT: without(wanted_contacts, contacts["contact_id"]),
        ACCOUNT: without(wanted_accounts, accounts["account_id"]),
        CONNECTION_ROLE: without(wanted_roles, roles["connectionrole_id"]),
    }
    return {entity.name: without(ids, known.refused(entity)) for entity, ids in wanted.items()}


def _among(ids: Ids, wanted: Ids) -> Mask:
    return pc.is_in(ids, value_set=wanted)


def _of_type(records: pa.Table, reference: str, kind: str) -> Ids:
    return records[f"{reference}_id"].filter(pc.equal(records[f"{reference}_type"], kind))


def _reach(known: KnownFacts) -> Reach:
    opportunities = known.arrivals[OPPORTUNITY.name].ids
    people = known.arrivals[CONTACT.name].ids
    if known.is_all_new:
        return Reach(distinct(opportunities), distinct(people))
    accounts = known.with_losers(ACCOUNT, known.changed_ids(ACCOUNT))
    moved = known.where(CONTACT, "parent_id", accounts)["contact_id"]
    contacts = known.with_losers(CONTACT, distinct(known.changed_ids(CONTACT), moved))
    customers = known.where(OPPORTUNITY, "customer_id", distinct(contacts, accounts))
    return Reach(
        opportunities=distinct(
            opportunities, customers["opportunity_id"], *_opportunity_ends(known, contacts)
        ),
        contacts=distinct(people, moved),
    )


def _opportunity_ends(known: KnownFacts, contacts: Ids) -> list[Ids]:
    """Opportunities of connections that changed, as they are and were, or whose ends changed."""
    arrivals = known.arrivals[CONNECTION.name]
    roles = known.changed_ids(CONNECTION_ROLE)
    touched = [
        arrivals.before,
        known.by_key(CONNECTION, arrivals.changed_ids),
        known.where(CONNECTION, "record1_id", contacts),
        known.where(CONNECTION, "record2_id", contacts),
        known.where(CONNECTION, "record1_role_id", roles),
        known.where(CONNECTION, "record2_role_id", roles),
    ]
    return [
        _of_type(connections, side, "opportunity")
        for connections in touched
        for side in ("record1", "record2")
    ]


def _neighbourhood(
    known: KnownFacts, opportunities: pa.Table, contacts: Ids
) -> dict[str, pa.Table]:
    """Everything that the rules can ask about these opportunities and contacts, as `Facts`."""
    if known.is_all_new:
        return {
            "opportunities": opportunities,
            "contacts": known.current(CONTACT),
            "accounts": known.current(ACCOUNT),
            "connections": known.current(CONNECTION),
            "roles": known.current(CONNECTION_ROLE),
        }
    ids = distinct(opportunities["opportunity_id"])
    first = known.where(CONNECTION, "record1_id", ids)
    second = known.where(CONNECTION, "record2_id", ids)
    joins_two = _among(second["connection_id"], first["connection_id"])
    connections = pa.concat_tables([first, second.filter(pc.invert(joins_two))])
    customers = opportunities["customer_id"]
    parties = distinct(customers, connections["record1_id"], connections["record2_id"])
    people = known.with_masters(CONTACT, distinct(parties, contacts))
    roles = distinct(connections["record1_role_id"], connections["record2_role_id"])
    return {
        "opportunities": opportunities,
        "contacts": people,
        "accounts": known.with_masters(ACCOUNT, distinct(customers, people["parent_id"])),
        "connections": connections,
        "roles": known.by_key(CONNECTION_ROLE, roles),
    }
