"""What time windows cannot see: deletions, restores, cascades, back-dated rows, lost access.

With change tracking a scheduled run sees them; without it, reconciliation does. A deletion is
believed only when Dynamics does not have the record by its id either.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from dynamics_sandbox import FaultKind, Organisation, Sandbox
from opportunity_sync.errors import ConfigError, PrivilegeError
from oracle import actual_store, differences, expected_store
from organisations import without_tracking
from store_dumps import dump
from sync_runs import SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture
def windowed(
    organisation: Organisation, sqlite_engine: Engine, tmp_path: Path
) -> Iterator[SyncRuns]:
    """Runs of an organisation whose changes show in windows only."""
    with Sandbox(without_tracking(organisation)) as sandbox:
        yield SyncRuns(sandbox, sqlite_engine, settings_for_tests(tmp_path))


def drift(runs: SyncRuns) -> list[str]:
    """How the store differs from the organisation as it is."""
    return differences(expected_store(runs.sandbox.organisation), actual_store(runs.engine))


def first(organisation: Organisation, set_name: str, **wanted: Any) -> dict[str, Any]:
    """The first synced, unmerged row with these values."""
    return next(
        row
        for row in organisation.rows(set_name)
        if row.get("new_synctomkto") is not False
        and not row.get("merged")
        and all(row.get(name) == value for name, value in wanted.items())
    )


def delete_one_of_each(organisation: Organisation) -> None:
    """A contact and an account with what hangs on them, a connection row, an opportunity."""
    organisation.delete("contacts", first(organisation, "contacts")["contactid"])
    organisation.delete("accounts", first(organisation, "accounts")["accountid"])
    organisation.delete("connections", first(organisation, "connections")["connectionid"])
    organisation.delete("opportunities", first(organisation, "opportunities")["opportunityid"])


def test_a_tracked_deletion_is_in_the_store_after_one_scheduled_run(
    runs: SyncRuns, organisation: Organisation
) -> None:
    """Rows stay, marked, with their roles; everything that hung on them is resolved again."""
    runs.run()
    before = actual_store(runs.engine)
    delete_one_of_each(organisation)
    runs.run()

    assert drift(runs) == []
    with runs.engine.connect() as connection:
        query = "SELECT count(*) FROM {} WHERE is_deleted AND deleted_at IS NOT NULL"
        marked = {
            table: connection.scalar(text(query.format(table)))
            for table in ("opportunity", "contact", "account")
        }
        total = connection.scalar(text("SELECT count(*) FROM opportunity"))
    assert all(marked.values())
    assert total == len(before["opportunity"])


def test_a_restored_record_comes_back_to_life(runs: SyncRuns, organisation: Organisation) -> None:
    """With its roles, in the next scheduled run."""
    runs.run()
    contact = first(organisation, "contacts")["contactid"]
    organisation.now = datetime.now(UTC)
    organisation.delete("contacts", contact)
    runs.run()
    organisation.now = organisation.now + timedelta(minutes=1)
    organisation.restore("contacts", contact)
    runs.run()

    assert contact in {key for (key,) in actual_store(runs.engine)["contact"]}
    assert drift(runs) == []


def test_a_slow_run_cannot_raise_the_dead(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """Its rows were read before the deletion was noticed."""
    sqlite_runs.run()
    opportunity = first(organisation, "opportunities")["opportunityid"]
    slow = sqlite_runs.begin("range", datetime(2000, 1, 1, tzinfo=UTC), datetime.now(UTC))
    sqlite_runs.extract(slow)
    organisation.delete("opportunities", opportunity)
    sqlite_runs.run()
    sqlite_runs.transform(slow)
    sqlite_runs.load(slow)

    assert drift(sqlite_runs) == []


def test_an_expired_delta_token_falls_back_to_a_full_pass(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """Deletions that happened meanwhile are found by comparing ids."""
    sqlite_runs.run()
    delete_one_of_each(organisation)
    organisation.expire_delta_tokens()
    sqlite_runs.run()

    assert drift(sqlite_runs) == []
    assert sqlite_runs.run()["changed"] == 0


def test_a_last_page_without_a_delta_link_is_an_error(sqlite_runs: SyncRuns) -> None:
    """It would be the end of tracking, or of rows: the run fails and tries again."""
    sqlite_runs.run()
    sqlite_runs.sandbox.faults.add(FaultKind.LOSE_DELTA_LINK, "contacts", times=1000)
    run = sqlite_runs.begin()

    with pytest.raises(Exception, match="nor one for later changes"):
        sqlite_runs.extract(run, "extract_contacts")


def test_reconciliation_mends_what_windows_cannot_see(windowed: SyncRuns) -> None:
    """Deleted, back-dated, changed without `modifiedon`, hidden: none of it shows in a window."""
    windowed.run()
    organisation = windowed.sandbox.organisation
    delete_one_of_each(organisation)
    contact = first(organisation, "contacts")["contactid"]
    organisation.update(
        "contacts", contact, {"jobtitle": "Back-dated"}, modified_at="2020-01-01T00:00:00Z"
    )
    account = first(organisation, "accounts")["accountid"]
    organisation.update("accounts", account, {"name": "By the system"}, touch="version")
    windowed.run()
    assert drift(windowed) != []

    windowed.run("reconcile")
    assert drift(windowed) == []
    before = dump(windowed.engine)
    assert windowed.run("reconcile")["changed"] == 0
    assert dump(windowed.engine) == before


def test_rows_whose_read_access_was_lost_are_not_deleted_by_a_window_or_a_full_pass(
    windowed: SyncRuns,
) -> None:
    """Without global read access absence proves nothing; a reconciliation refuses to judge."""
    windowed.run()
    organisation = windowed.sandbox.organisation
    contact = first(organisation, "contacts")["contactid"]
    organisation.hide("contacts", contact)
    organisation.read_depth["contact"] = "Local"
    windowed.run("full")

    assert contact in {key for (key,) in actual_store(windowed.engine)["contact"]}
    run = windowed.begin("reconcile")
    windowed.extract(run)
    with pytest.raises(PrivilegeError, match="prvReadContact"):
        windowed.transform(run)


def test_the_guard_refuses_to_empty_a_table(windowed: SyncRuns) -> None:
    """More than the share is an error that says what to do; told to, the run marks them."""
    windowed.settings = windowed.settings.model_copy(update={"max_deleted_share": 0.1})
    windowed.run()
    organisation = windowed.sandbox.organisation
    for row in organisation.rows("contacts")[:60]:
        organisation.delete("contacts", row["contactid"])
    run = windowed.begin("reconcile")
    windowed.extract(run)
    before = dump(windowed.engine)

    with pytest.raises(ConfigError, match="accept_deletions"):
        windowed.transform(run)
    assert dump(windowed.engine) == before
    windowed.run("reconcile", accept_deletions=True)
    assert drift(windowed) == []


def test_references_that_nobody_knows_are_asked_for_by_id(windowed: SyncRuns) -> None:
    """A first incremental run without history resolves what its opportunities refer to."""
    organisation = windowed.sandbox.organisation
    account = first(organisation, "accounts")["accountid"]
    contact = organisation.create(
        "contacts", {"lastname": "Known by id", "_parentcustomerid_value": account}
    )
    customer = {"name": "New", "_customerid_value": contact}
    opportunity = organisation.create("opportunities", customer)
    organisation.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    organisation.update("opportunities", opportunity, {"description": "touched"})
    windowed.run("range", datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
    [stored] = actual_store(windowed.engine)["opportunity"].values()
    [role] = actual_store(windowed.engine)["opportunity_contact_role"].values()

    assert stored["account_id"] == account
    assert role["contact_id"] == contact


def test_an_organisation_restored_from_a_backup_is_noticed_and_mended(
    windowed: SyncRuns,
) -> None:
    """Lower versions stop a reconciliation; a new epoch lets them win, and old runs lose."""
    organisation = windowed.sandbox.organisation
    organisation.now = datetime.now(UTC)
    version = organisation.version
    windowed.run()
    contact = first(organisation, "contacts")["contactid"]
    old = organisation.row("contacts", contact)
    organisation.update("contacts", contact, {"jobtitle": "Lost in the restore"})
    windowed.run()
    slow = windowed.begin("full")
    windowed.extract(slow)
    organisation.restore_version_counter(version - 1)
    organisation.update("contacts", contact, {"jobtitle": old["jobtitle"]})
    run = windowed.begin("reconcile")
    windowed.extract(run)

    with pytest.raises(ConfigError, match="restored from a backup"):
        windowed.transform(run)
    windowed.run("full", new_epoch=True)
    assert drift(windowed) == []
    windowed.transform(slow)
    with pytest.raises(ConfigError, match="epoch"):
        windowed.load(slow)


def test_a_refused_row_is_not_a_deleted_one(windowed: SyncRuns) -> None:
    """A role without a name is listed as refused; it is there all the same, and stays."""
    windowed.run()
    organisation = windowed.sandbox.organisation
    role = first(organisation, "connectionroles", category=1000)["connectionroleid"]
    organisation.update("connectionroles", role, {"name": None})
    windowed.run()

    with windowed.engine.connect() as connection:
        query = "SELECT is_deleted FROM fact_connectionrole WHERE connectionrole_id = :role"
        assert not connection.scalar(text(query), {"role": role})
        refused = connection.scalars(text("SELECT record_id FROM sync_error")).all()
    assert refused == [role]
