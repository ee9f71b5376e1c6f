"""The rules against their published truth table, and what must hold for any input at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opportunity_sync.core.associations import (
    ROLE_KEY,
    UNRESOLVED_KEY,
    Facts,
    contact_accounts,
    resolve,
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
    """Rows 1 to 11 all have cases; 12 to 16 are histories."""
    assert {case.number for case in CASES} == {str(number) for number in range(1, 12)}


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
    directory = Directory(ACCOUNT, accounts, ACCOUNT_REASONS, refused=IdSet.of())
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
