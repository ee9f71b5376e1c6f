"""The rules against their published truth table, and what must hold for any input at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opportunity_sync.core.associations import (
    ACCOUNT_COLUMNS,
    ROLE_COLUMNS,
    ROLE_KEY,
    UNRESOLVED_KEY,
    Facts,
    contact_accounts,
    resolve,
    stakeholder_links,
)
from opportunity_sync.core.ids import IdSet
from opportunity_sync.core.references import ACCOUNT_REASONS, Directory
from opportunity_sync.model import ACCOUNT, CONNECTION, CONNECTION_ROLE, CONTACT, OPPORTUNITY
from rule_cases import Case, facts_of, frame_of, published_cases, roles_of, unresolved_of

if TYPE_CHECKING:
    from collections.abc import Mapping

CASES = published_cases()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_row_of_the_published_truth_table_holds(case: Case) -> None:
    """Account, roles and unresolved references are just those that the table gives."""
    outcome = resolve(facts_of(case))
    account = outcome.accounts["account_id"].iloc[0]

    assert (None if pd.isna(account) else account) == case.account
    assert roles_of(outcome) == case.roles
    assert unresolved_of(outcome) == case.unresolved


def test_the_truth_table_covers_the_contracts_rows() -> None:
    """Rows 1 to 11 all have cases, and 17 of erased contacts; 12 to 16 are histories."""
    assert {case.number for case in CASES} == {str(number) for number in (*range(1, 12), 17)}


def test_nothing_in_the_facts_is_written_to() -> None:
    """The rules are pure: their input is afterwards what it was."""
    facts = facts_of(CASES[0])
    frames = {name: frame for name, frame in vars(facts).items() if isinstance(frame, pd.DataFrame)}
    before = {name: frame.copy(deep=True) for name, frame in frames.items()}

    resolve(facts)

    assert len(before) == 5
    for name, frame in before.items():
        pd.testing.assert_frame_equal(frame, frames[name])


def test_a_contacts_own_account_follows_merges_and_the_filter() -> None:
    """`contact.account_id` uses rules 8, 10 and 11; a parent that is a contact gives none."""
    accounts = frame_of(
        ACCOUNT,
        [
            {"account_id": "a1", "is_merged": True, "master_id": "a2"},
            {"account_id": "a2"},
            {"account_id": "a3", "sync_filter": False},
        ],
    )
    people = frame_of(
        CONTACT,
        [
            {"contact_id": "c1", "parent_id": "a1", "parent_type": "account"},
            {"contact_id": "c2", "parent_id": "a3", "parent_type": "account"},
            {"contact_id": "c3", "parent_id": "c1", "parent_type": "contact"},
            {"contact_id": "c4", "parent_id": "a9", "parent_type": "account"},
            {"contact_id": "c5"},
        ],
    )
    directory = Directory(ACCOUNT, accounts, ACCOUNT_REASONS, refused=IdSet.of(), erased=IdSet.of())
    employers = contact_accounts(people, directory)

    found = employers.accounts
    assert employers.missing.to_list() == ["a9"]
    assert dict(zip(found["contact_id"], found["account_id"].fillna(""), strict=True)) == {
        "c1": "a2",
        "c2": "",
        "c3": "",
        "c4": "",
        "c5": "",
    }


def a_connection(connection_id: str = "k1", **sides: Any) -> dict[str, Any]:
    """A connection by which the contact c1 is a stakeholder of o1, unless said otherwise."""
    return {
        "connection_id": connection_id,
        "record1_id": "o1",
        "record1_type": "opportunity",
        "record2_id": "c1",
        "record2_type": "contact",
        "record2_role_id": "r1",
        "state": 0,
    } | sides


def links_of(*connections: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Opportunity, contact and role of each link."""
    links = stakeholder_links(frame_of(CONNECTION, [*connections]))
    return list(links.itertuples(index=False, name=None))


def test_a_connection_is_turned_so_that_the_opportunity_comes_first() -> None:
    """The role is the one on the contact's side, whichever side that is."""
    turned = a_connection(
        record1_id="c2",
        record1_type="contact",
        record1_role_id="r2",
        record2_id="o1",
        record2_type="opportunity",
        record2_role_id="r9",
    )

    assert links_of(a_connection(record1_role_id="r9")) == [("o1", "c1", "r1")]
    assert links_of(turned) == [("o1", "c2", "r2")]


def test_both_rows_of_a_connection_make_one_link() -> None:
    """One of them can be missing, and two connections can join the same pair."""
    mirrored = a_connection(
        "k2",
        record1_id="c1",
        record1_type="contact",
        record1_role_id="r1",
        record2_id="o1",
        record2_type="opportunity",
        record2_role_id=None,
    )

    assert links_of(a_connection(), mirrored, a_connection("k3")) == [("o1", "c1", "r1")]


@pytest.mark.parametrize(
    "sides",
    [
        {"state": 1},
        {"state": None},
        {"record2_role_id": None, "record1_role_id": "r1"},
        {"record2_type": "account"},
        {"record2_type": None},
        {"record1_type": "contact"},
        {"record2_type": "opportunity"},
    ],
    ids=str,
)
def test_what_is_no_active_link_between_an_opportunity_and_a_contact_is_left_out(
    sides: dict[str, Any],
) -> None:
    """Nor is one without a role on the contact's side; an unknown state is not active."""
    assert links_of(a_connection(**sides)) == []


def facts_with(**records: list[dict[str, Any]]) -> Facts:
    """One opportunity, o1, without a customer unless another is given, and what else is known."""
    known = {"opportunities": [{"opportunity_id": "o1"}]} | records
    return Facts(
        opportunities=frame_of(OPPORTUNITY, known["opportunities"]),
        contacts=frame_of(CONTACT, known.get("contacts", [])),
        accounts=frame_of(ACCOUNT, known.get("accounts", [])),
        connections=frame_of(CONNECTION, known.get("connections", [])),
        roles=frame_of(CONNECTION_ROLE, known.get("roles", [])),
    )


def test_contacts_that_were_merged_into_one_share_its_role() -> None:
    """Two stakeholders of one role name become one row, and two roles of one name as well."""
    outcome = resolve(
        facts_with(
            contacts=[
                {"contact_id": "c1", "is_merged": True, "master_id": "c3"},
                {"contact_id": "c2", "is_merged": True, "master_id": "c3"},
                {"contact_id": "c3"},
            ],
            connections=[
                a_connection("k1"),
                a_connection("k2", record2_id="c2"),
                a_connection("k3", record2_id="c3", record2_role_id="r2"),
            ],
            roles=[
                {"connectionrole_id": "r1", "name": "Champion", "category": 1000},
                {"connectionrole_id": "r2", "name": "Champion", "category": 1000},
            ],
        )
    )

    assert roles_of(outcome) == {"c3 Champion (stakeholder)"}
    assert len(outcome.roles) == 1


def test_a_missing_contact_is_listed_once_over_all_its_roles() -> None:
    """The list is of references, and a customer's is another than a stakeholder's."""
    customer = {"opportunity_id": "o1", "customer_id": "c1", "customer_type": "contact"}
    outcome = resolve(
        facts_with(
            opportunities=[customer],
            connections=[a_connection("k1"), a_connection("k2", record2_role_id="r2")],
            roles=[
                {"connectionrole_id": "r1", "name": "Champion", "category": 1000},
                {"connectionrole_id": "r2", "name": "Buyer", "category": 1000},
            ],
        )
    )

    assert unresolved_of(outcome) == {
        "customer_contact c1 contact_not_found",
        "stakeholder_contact c1 contact_not_found",
    }
    assert len(outcome.unresolved) == 2


def test_connections_of_opportunities_that_are_not_asked_for_give_nothing() -> None:
    """The neighbourhood of a change holds connections to opportunities beyond it."""
    outcome = resolve(
        facts_with(
            connections=[a_connection(record1_id="o2")],
            contacts=[{"contact_id": "c1"}],
            roles=[{"connectionrole_id": "r1", "name": "Champion", "category": 1000}],
        )
    )

    assert roles_of(outcome) == frozenset()
    assert unresolved_of(outcome) == frozenset()


def test_no_opportunities_have_no_associations() -> None:
    """A quiet run resolves nothing, and the columns have their types all the same."""
    outcome = resolve(facts_with(opportunities=[]))

    assert (len(outcome.accounts), len(outcome.roles), len(outcome.unresolved)) == (0, 0, 0)
    assert outcome.roles.dtypes.to_dict() == ROLE_COLUMNS
    assert outcome.accounts.dtypes.to_dict() == ACCOUNT_COLUMNS


IDS = {prefix: [f"{prefix}{number}" for number in range(4)] for prefix in "ocark"}


def _reference(*prefixes: str) -> st.SearchStrategy[str | None]:
    return st.sampled_from([None, *(name for prefix in prefixes for name in IDS[prefix])])


def _some(
    prefix: str, key: str, columns: Mapping[str, st.SearchStrategy[object]]
) -> st.SearchStrategy[list[dict[str, Any]]]:
    rows = st.fixed_dictionaries({key: st.sampled_from(IDS[prefix]), **columns})
    return st.lists(rows, unique_by=lambda row: row[key], max_size=4)


FLAGS = st.sampled_from([None, True, False])
TYPES = {"o": "opportunity", "c": "contact", "a": "account"}


@settings(max_examples=60, deadline=None)
@given(
    opportunities=_some("o", "opportunity_id", {"customer_id": _reference("c", "a")}),
    contacts=_some(
        "c",
        "contact_id",
        {
            "parent_id": _reference("a", "c"),
            "is_merged": FLAGS,
            "master_id": _reference("c"),
            "sync_filter": FLAGS,
        },
    ),
    accounts=_some(
        "a", "account_id", {"is_merged": FLAGS, "master_id": _reference("a"), "sync_filter": FLAGS}
    ),
    connections=_some(
        "k",
        "connection_id",
        {
            "record1_id": _reference("o", "c", "a"),
            "record1_role_id": _reference("r"),
            "record2_id": _reference("o", "c", "a"),
            "record2_role_id": _reference("r"),
            "state": st.sampled_from([0, 1]),
        },
    ),
    roles=_some(
        "r",
        "connectionrole_id",
        {
            "name": st.sampled_from(["Champion", "Potential Customer"]),
            "category": st.sampled_from([1000, 1001]),
        },
    ),
)
def test_resolved_and_unresolved_add_up_to_the_input(
    opportunities: list[dict[str, Any]],
    contacts: list[dict[str, Any]],
    accounts: list[dict[str, Any]],
    connections: list[dict[str, Any]],
    roles: list[dict[str, Any]],
) -> None:
    """Each opportunity has one account row; each customer is a role, an account or unresolved."""
    _type(opportunities, "customer")
    _type(contacts, "parent")
    for side in ("record1", "record2"):
        _type(connections, side)
    facts = Facts(
        frame_of(OPPORTUNITY, opportunities),
        frame_of(CONTACT, contacts),
        frame_of(ACCOUNT, accounts),
        frame_of(CONNECTION, connections),
        frame_of(CONNECTION_ROLE, roles),
    )
    outcome = resolve(facts)

    assert list(outcome.accounts["opportunity_id"]) == [
        row["opportunity_id"] for row in opportunities
    ]
    assert not outcome.roles.duplicated(ROLE_KEY).any()
    assert not outcome.unresolved.duplicated(UNRESOLVED_KEY).any()
    assert outcome.unresolved["reason"].notna().all()
    primary = set(outcome.roles.loc[outcome.roles["source"].eq("customer"), "opportunity_id"])
    failed = set(
        outcome.unresolved.loc[outcome.unresolved["kind"].eq("customer_contact"), "opportunity_id"]
    )
    has_contact = {
        row["opportunity_id"] for row in opportunities if row["customer_type"] == "contact"
    }
    assert not primary & failed
    assert primary | failed == has_contact
    with_account = set(outcome.accounts.dropna()["opportunity_id"])
    failed = set(
        outcome.unresolved.loc[outcome.unresolved["kind"].eq("customer_account"), "opportunity_id"]
    )
    has_account = {
        row["opportunity_id"] for row in opportunities if row["customer_type"] == "account"
    }
    assert with_account & has_account | failed == has_account


def _type(rows: list[dict[str, Any]], reference: str) -> None:
    for row in rows:
        identifier = row[f"{reference}_id"]
        row[f"{reference}_type"] = None if identifier is None else TYPES[identifier[0]]
