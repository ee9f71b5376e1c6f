"""What happens over time: rows 12 to 15 of `docs/associations.md`, and other second-hand changes.

Each history starts from a synced store, changes the organisation, runs once more by window, and
must give what a full sync of the organisation would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oracle import LOOKUP_TYPE, Store, actual_store, differences, expected_store
from store_dumps import dump
from store_reader import Reader, public_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from dynamics_sandbox import Organisation
    from sync_runs import SyncRuns


def is_synced(row: dict[str, Any]) -> bool:
    """Whether the row's own filter lets it through."""
    return row.get("new_synctomkto") is not False


def contact_customers(organisation: Organisation) -> list[tuple[str, str]]:
    """(opportunity, contact) of synced opportunities whose customer resolves to that contact."""
    people = {row["contactid"]: row for row in organisation.rows("contacts")}
    return [
        (row["opportunityid"], row["_customerid_value"])
        for row in organisation.rows("opportunities")
        if is_synced(row)
        and row["_customerid_value"] in people
        and is_synced(people[row["_customerid_value"]])
        and not people[row["_customerid_value"]]["merged"]
    ]


def some_account(organisation: Organisation, *, other_than: str | None = None) -> str:
    """A synced account that was not merged."""
    accounts = (
        str(row["accountid"])
        for row in organisation.rows("accounts")
        if is_synced(row) and not row["merged"]
    )
    return next(account for account in accounts if account != other_than)


def stakeholder_rows(organisation: Organisation) -> list[dict[str, Any]]:
    """Active connection rows that give a stakeholder's role, contact on side 2."""
    roles = {
        row["connectionroleid"]
        for row in organisation.rows("connectionroles")
        if row["category"] == 1000
    }
    return [
        row
        for row in organisation.rows("connections")
        if row["statecode"] == 0
        and row.get("_record1id_value" + LOOKUP_TYPE) == "opportunity"
        and row.get("_record2id_value" + LOOKUP_TYPE) == "contact"
        and row.get("_record2roleid_value") in roles
    ]


def contact_is_deactivated(organisation: Organisation) -> None:
    """12: an inactive contact is used as if active."""
    organisation.deactivate("contacts", contact_customers(organisation)[0][1])


def account_is_deactivated(organisation: Organisation) -> None:
    """12: an inactive account is used as if active."""
    organisation.deactivate("accounts", some_account(organisation))


def customer_changes(organisation: Organisation) -> None:
    """13: another contact becomes the customer."""
    (opportunity, _), (_, contact) = contact_customers(organisation)[:2]
    organisation.update("opportunities", opportunity, {"_customerid_value": contact})


def customer_is_cleared(organisation: Organisation) -> None:
    """13: the customer is taken off."""
    opportunity, _ = contact_customers(organisation)[0]
    organisation.update("opportunities", opportunity, {"_customerid_value": None})


def customer_changes_kind(organisation: Organisation) -> None:
    """13: an account takes the contact's place."""
    opportunity, _ = contact_customers(organisation)[0]
    organisation.update(
        "opportunities", opportunity, {"_customerid_value": some_account(organisation)}
    )


def connection_is_deactivated(organisation: Organisation) -> None:
    """14: both mirrored rows become inactive."""
    row = stakeholder_rows(organisation)[0]
    organisation.deactivate("connections", row["connectionid"])
    if row.get("_relatedconnectionid_value"):
        organisation.deactivate("connections", row["_relatedconnectionid_value"])


def one_mirrored_row_is_deactivated(organisation: Organisation) -> None:
    """14: the other row still gives the role."""
    organisation.deactivate("connections", stakeholder_rows(organisation)[0]["connectionid"])


def role_of_a_connection_changes(organisation: Organisation) -> None:
    """14: another role stands on the contact's side."""
    row = stakeholder_rows(organisation)[0]
    other = next(
        role["connectionroleid"]
        for role in organisation.rows("connectionroles")
        if role["category"] == 1000 and role["connectionroleid"] != row["_record2roleid_value"]
    )
    organisation.update("connections", row["connectionid"], {"_record2roleid_value": other})


def connection_moves_to_another_contact(organisation: Organisation) -> None:
    """14: the party of one row is another contact; the old one keeps what the mirror gives."""
    row = stakeholder_rows(organisation)[0]
    _, contact = contact_customers(organisation)[3]
    organisation.update("connections", row["connectionid"], {"_record2id_value": contact})


def role_is_renamed(organisation: Organisation) -> None:
    """14: only the connection role's own row changes."""
    role = stakeholder_rows(organisation)[0]["_record2roleid_value"]
    organisation.update("connectionroles", role, {"name": "Renamed in Dynamics"})


def role_category_changes(organisation: Organisation) -> None:
    """14: the role is no stakeholder's any more."""
    role = stakeholder_rows(organisation)[0]["_record2roleid_value"]
    organisation.update("connectionroles", role, {"category": 1001})


def contact_moves_to_another_account(organisation: Organisation) -> None:
    """15: the opportunity's account follows, though its own row did not change."""
    _, contact = contact_customers(organisation)[0]
    old = organisation.row("contacts", contact).get("_parentcustomerid_value")
    account = some_account(organisation, other_than=old)
    organisation.update("contacts", contact, {"_parentcustomerid_value": account})


def contact_loses_its_account(organisation: Organisation) -> None:
    """15: the opportunity's account goes."""
    people = {row["contactid"]: row for row in organisation.rows("contacts")}
    contact = next(
        contact
        for _, contact in contact_customers(organisation)
        if people[contact].get("_parentcustomerid_value" + LOOKUP_TYPE) == "account"
    )
    organisation.update("contacts", contact, {"_parentcustomerid_value": None})


def contacts_merge(organisation: Organisation) -> None:
    """11: the loser is the customer of an opportunity and stakeholder of others."""
    (_, loser), (_, winner) = contact_customers(organisation)[:2]
    organisation.merge("contacts", loser, winner)


def accounts_merge(organisation: Organisation) -> None:
    """11: contacts and opportunities of the loser get the survivor."""
    loser = some_account(organisation)
    organisation.merge("accounts", loser, some_account(organisation, other_than=loser))


def contact_is_excluded(organisation: Organisation) -> None:
    """9: its roles are withheld at once everywhere; its own row goes stale."""
    organisation.update(
        "contacts", contact_customers(organisation)[0][1], {"new_synctomkto": False}
    )


def account_is_excluded(organisation: Organisation) -> None:
    """10: opportunities and contacts lose it at once."""
    organisation.update("accounts", some_account(organisation), {"new_synctomkto": False})


def excluded_records_come_back(organisation: Organisation) -> None:
    """No to Yes: synced at once, whatever their children do."""
    for set_name, key in (
        ("contacts", "contactid"),
        ("accounts", "accountid"),
        ("opportunities", "opportunityid"),
    ):
        for row in organisation.rows(set_name):
            if not is_synced(row):
                organisation.update(set_name, row[key], {"new_synctomkto": True})


def opportunity_is_excluded(organisation: Organisation) -> None:
    """Yes to No: the row is left aside, its unresolved references go."""
    opportunity, _ = contact_customers(organisation)[0]
    organisation.update("opportunities", opportunity, {"new_synctomkto": False})


def missing_contact_appears(organisation: Organisation) -> None:
    """8: what was unresolved resolves by itself."""
    known = {row["contactid"] for row in organisation.rows("contacts")}
    missing = next(
        row["_customerid_value"]
        for row in organisation.rows("opportunities")
        if row.get("_customerid_value" + LOOKUP_TYPE) == "contact"
        and row["_customerid_value"] not in known
    )
    organisation.create("contacts", {"contactid": missing, "lastname": "Late"})


def new_connection(organisation: Organisation) -> None:
    """7: a stakeholder is added."""
    opportunity, contact = contact_customers(organisation)[0]
    role = stakeholder_rows(organisation)[0]["_record2roleid_value"]
    organisation.connect(opportunity, contact, role)


HISTORIES = [
    contact_is_deactivated,
    account_is_deactivated,
    customer_changes,
    customer_is_cleared,
    customer_changes_kind,
    connection_is_deactivated,
    one_mirrored_row_is_deactivated,
    role_of_a_connection_changes,
    connection_moves_to_another_contact,
    role_is_renamed,
    role_category_changes,
    contact_moves_to_another_account,
    contact_loses_its_account,
    contacts_merge,
    accounts_merge,
    contact_is_excluded,
    account_is_excluded,
    excluded_records_come_back,
    opportunity_is_excluded,
    missing_contact_appears,
    new_connection,
]


# A merge re-points the loser's children without moving their `modifiedon`: the associations
# follow at once, but the children's own lookups show in no window, only in a full pass.
SYSTEM_MADE = (contacts_merge, accounts_merge)
WINDOWED = [change for change in HISTORIES if change not in SYSTEM_MADE]


@pytest.mark.parametrize("change", WINDOWED, ids=lambda change: change.__name__)
def test_a_window_gives_what_a_full_sync_would(
    sqlite_runs: SyncRuns, organisation: Organisation, change: Callable[[Organisation], None]
) -> None:
    """Every opportunity that the change affects is resolved again, and nothing else is touched."""
    sqlite_runs.run()
    change(organisation)
    sqlite_runs.run()

    found = _without_excluded(sqlite_runs, organisation)
    assert differences(expected_store(organisation), found) == []


@pytest.mark.parametrize("change", SYSTEM_MADE, ids=lambda change: change.__name__)
def test_the_associations_follow_a_merge_at_once(
    sqlite_runs: SyncRuns, organisation: Organisation, change: Callable[[Organisation], None]
) -> None:
    """The window brings only the loser's row; accounts and roles are the survivor's everywhere."""
    sqlite_runs.run()
    change(organisation)
    expected = expected_store(organisation)
    sqlite_runs.run()
    found = _without_excluded(sqlite_runs, organisation)

    for table in ("opportunity", "contact"):
        assert {key: row["account_id"] for key, row in found[table].items()} == {
            key: row["account_id"] for key, row in expected[table].items()
        }
    assert found["opportunity_contact_role"] == expected["opportunity_contact_role"]
    sqlite_runs.run("full")
    assert differences(expected, _without_excluded(sqlite_runs, organisation)) == []


def test_all_histories_one_after_another_on_both_databases(
    runs: SyncRuns, organisation: Organisation
) -> None:
    """Changes on top of changes: the store follows each, a reader the store, and both rest."""
    runs.run()
    reader = Reader(runs.engine)
    for change in HISTORIES:
        change(organisation)
        runs.run("full" if change in SYSTEM_MADE else "continue")

        found = _without_excluded(runs, organisation)
        assert differences(expected_store(organisation), found) == [], change.__name__
        reader.come()
        assert reader.copy == public_rows(runs.engine), change.__name__
    rested, read = dump(runs.engine), reader.read

    assert runs.run("full")["changed"] == 0
    assert dump(runs.engine) == rested
    reader.come()
    assert reader.read == read


def test_a_reader_follows_an_epoch_though_nothing_else_has_changed(
    runs: SyncRuns, organisation: Organisation
) -> None:
    """Rows that the run does not bring change as well: versions of before count as 0."""
    runs.run()
    organisation.delete("contacts", contact_customers(organisation)[0][1])
    runs.run("reconcile")
    reader = Reader(runs.engine)
    reader.come()
    seen = reader.seen
    runs.run("full", new_epoch=True)
    reader.come()

    assert reader.seen > seen
    assert reader.copy == public_rows(runs.engine)


def test_a_role_that_no_longer_follows_is_kept_and_marked(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """13: the old customer's role has `is_deleted` and `deleted_at`; nothing is removed."""
    sqlite_runs.run()
    opportunity, contact = contact_customers(organisation)[0]
    organisation.update("opportunities", opportunity, {"_customerid_value": None})
    sqlite_runs.run()
    role = dump(sqlite_runs.engine)["opportunity_contact_role"][
        opportunity, contact, "Potential Customer"
    ]

    assert role["is_deleted"] == 1
    assert role["deleted_at"] is not None


def _without_excluded(runs: SyncRuns, organisation: Organisation) -> Store:
    """The store without the rows whose own filter says No: those are stale by contract."""
    stale = {
        set_name: {row[key] for row in organisation.rows(set_name) if not is_synced(row)}
        for set_name, key in (
            ("opportunities", "opportunityid"),
            ("contacts", "contactid"),
            ("accounts", "accountid"),
        )
    }
    store = actual_store(runs.engine)
    for table, set_name in (
        ("opportunity", "opportunities"),
        ("contact", "contacts"),
        ("account", "accounts"),
        ("opportunity_contact_role", "opportunities"),
    ):
        store[table] = {
            key: row for key, row in store[table].items() if key[0] not in stale[set_name]
        }
    return store
