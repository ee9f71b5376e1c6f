"""From the rows that a run brought to every association that follows from them.

An opportunity's associations depend on rows that change without it: its contact moves, an account
is merged, a role is renamed. So this goes in three steps. First the *reach* of the changes is found
through the store's indexes. Then the whole neighbourhood of the opportunities in reach is gathered.
Only then do the pure rules run. The work is in proportion to what changed and what it affects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from opportunity_sync.core.associations import (
    ACCOUNT_COLUMNS,
    ROLE_COLUMNS,
    UNRESOLVED_COLUMNS,
    Facts,
    contact_accounts,
    resolve,
)
from opportunity_sync.core.frames import FLAG, TEXT, empty_frame, keep_rows, to_frame, to_table
from opportunity_sync.core.ids import IdSet
from opportunity_sync.core.sync_filter import is_synced
from opportunity_sync.model import ACCOUNT, CONNECTION, CONNECTION_ROLE, CONTACT, OPPORTUNITY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opportunity_sync.core.frames import Values
    from opportunity_sync.pipeline.resolving.known_facts import KnownFacts


@dataclass(frozen=True)
class Resolution:
    """The desired associations of everything in reach.

    `affected`: opportunity_id and is_synced. Where is_synced is false, the opportunity's own filter
    says No: it stays as it is, and only its unresolved rows go. `accounts`: key and account_id, by
    the name of each entity that carries an account; of opportunities only the synced ones.
    `roles`, `unresolved`: with the columns of the store's tables. `missing`: ids that something
    refers to and that nobody knows, by entity name.
    """

    affected: pa.Table
    accounts: Mapping[str, pa.Table]
    roles: pa.Table
    unresolved: pa.Table
    missing: Mapping[str, IdSet]

    @property
    def with_account(self) -> int:
        """How many opportunities have an account."""
        return int(pc.count(self.accounts[OPPORTUNITY.name]["account_id"]).as_py())


@dataclass(frozen=True)
class Reach:
    """Ids of the opportunities to resolve and of the contacts whose own account to find."""

    opportunities: IdSet
    contacts: IdSet

    @property
    def is_empty(self) -> bool:
        """Whether nothing that changed can move any association, as in most runs."""
        return not len(self.opportunities) and not len(self.contacts)


def resolve_changes(known: KnownFacts) -> Resolution:
    """Resolve every opportunity and contact that this run's rows bring or affect."""
    reach = _reach(known)
    if reach.is_empty:
        return _no_resolution()
    opportunities = known.by_key(OPPORTUNITY, reach.opportunities)
    is_kept = is_synced(opportunities["sync_filter"])
    gathered = _neighbourhood(known, keep_rows(opportunities, is_kept), reach.contacts)
    facts = Facts(
        **{name: to_frame(table) for name, table in gathered.items()},
        refused={
            each.name: known.refused_ids(each) for each in (CONTACT, ACCOUNT, CONNECTION_ROLE)
        },
        erased=known.erased[CONTACT.name],
    )
    is_asked = reach.contacts.holds(gathered["contacts"]["contact_id"]).to_numpy()
    employers = contact_accounts(facts.contacts[is_asked], facts.account_directory)
    associations = resolve(facts)
    missing = dict(associations.missing)
    missing[ACCOUNT.name] |= employers.missing
    return Resolution(
        affected=opportunities.select(["opportunity_id"]).append_column("is_synced", is_kept),
        accounts={
            OPPORTUNITY.name: to_table(associations.accounts),
            CONTACT.name: to_table(employers.accounts),
        },
        roles=to_table(associations.roles),
        unresolved=to_table(associations.unresolved),
        missing=missing,
    )


def _no_resolution() -> Resolution:
    """What the rules say of nothing."""
    return Resolution(
        affected=to_table(empty_frame({"opportunity_id": TEXT, "is_synced": FLAG})),
        accounts={
            OPPORTUNITY.name: to_table(empty_frame(ACCOUNT_COLUMNS)),
            CONTACT.name: to_table(empty_frame({"contact_id": TEXT, "account_id": TEXT})),
        },
        roles=to_table(empty_frame(ROLE_COLUMNS)),
        unresolved=to_table(empty_frame(UNRESOLVED_COLUMNS)),
        missing={},
    )


def _of_type(records: pa.Table, reference: str, kind: str) -> Values:
    return records[f"{reference}_id"].filter(pc.equal(records[f"{reference}_type"], kind))


def _reach(known: KnownFacts) -> Reach:
    opportunities = known.arrivals[OPPORTUNITY.name].ids
    people = known.arrivals[CONTACT.name].ids
    if known.is_all_new:
        return Reach(opportunities, people)
    accounts = known.with_losers(ACCOUNT, known.changed_ids(ACCOUNT))
    moved = IdSet.of(known.where(CONTACT, "parent_id", accounts)["contact_id"])
    contacts = known.with_losers(CONTACT, known.changed_ids(CONTACT) | moved)
    customers = known.where(OPPORTUNITY, "customer_id", contacts | accounts)
    connected = _opportunity_ends(known, contacts)
    return Reach(
        opportunities=opportunities | IdSet.of(customers["opportunity_id"], *connected),
        contacts=people | moved,
    )


def _opportunity_ends(known: KnownFacts, contacts: IdSet) -> list[Values]:
    """Opportunities of connections that changed, as they were and are, or whose ends changed."""
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
    known: KnownFacts, opportunities: pa.Table, contacts: IdSet
) -> dict[str, pa.Table]:
    """Everything that the rules can ask about these opportunities and contacts, as `Facts`."""
    if known.is_all_new:
        return {
            "opportunities": opportunities,
            "contacts": known.current_facts(CONTACT),
            "accounts": known.current_facts(ACCOUNT),
            "connections": known.current_facts(CONNECTION),
            "roles": known.current_facts(CONNECTION_ROLE),
        }
    ids = IdSet.of(opportunities["opportunity_id"])
    first = known.where(CONNECTION, "record1_id", ids)
    second = known.where(CONNECTION, "record2_id", ids)
    joins_two = IdSet.of(first["connection_id"]).holds(second["connection_id"])
    connections = pa.concat_tables([first, second.filter(pc.invert(joins_two))])
    customers = opportunities["customer_id"]
    parties = IdSet.of(customers, connections["record1_id"], connections["record2_id"])
    people = known.with_masters(CONTACT, parties | contacts)
    roles = IdSet.of(connections["record1_role_id"], connections["record2_role_id"])
    return {
        "opportunities": opportunities,
        "contacts": people,
        "accounts": known.with_masters(ACCOUNT, IdSet.of(customers, people["parent_id"])),
        "connections": connections,
        "roles": known.by_key(CONNECTION_ROLE, roles),
    }
