"""A first sync brings everything, a second one nothing, and a third just what was changed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import text

from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.errors import WrongOrganizationError
from oracle import actual_store, differences, expected_store
from store_dumps import dump
from sync_runs import SyncRuns


def test_a_first_sync_makes_the_store_equal_to_the_organisation(
    runs: SyncRuns, organisation: Organisation
) -> None:
    """Every column, role and unresolved reference is what the oracle says."""
    runs.run()

    assert differences(expected_store(organisation), actual_store(runs.engine)) == []


def test_a_second_run_without_changes_changes_no_row(runs: SyncRuns) -> None:
    """Not even a time stamp moves, whether it continues or reads everything again."""
    runs.run()
    before = dump(runs.engine)

    assert runs.run()["changed"] == 0
    assert runs.run("full")["changed"] == 0
    assert dump(runs.engine) == before


def test_a_run_after_a_mutation_writes_just_what_changed(
    runs: SyncRuns, organisation: Organisation
) -> None:
    """One renamed opportunity, one other amount: two rows differ and have a line of history."""
    runs.run()
    before = dump(runs.engine)
    live = [
        row["opportunityid"]
        for row in organisation.rows("opportunities")
        if row.get("new_synctomkto") is not False
    ]
    organisation.update("opportunities", live[0], {"name": 'Renamed; it\'s "new"\n'})
    organisation.update("opportunities", live[1], {"estimatedvalue": Decimal("12345678.9012")})

    loaded = runs.run()
    after = dump(runs.engine)
    changed = {
        (table, key)
        for table, rows in after.items()
        for key, row in rows.items()
        if before[table].get(key) != row
    }

    assert loaded["changed"] == 2
    written = {
        (table, (identifier,))
        for table in ("opportunity", "fact_opportunity")
        for identifier in live[:2]
    }
    lines = {("history", (identifier, 2)) for identifier in live[:2]}
    assert changed == written | lines
    assert differences(expected_store(organisation), actual_store(runs.engine)) == []


def test_a_retried_load_tells_what_the_try_before_has_committed(runs: SyncRuns) -> None:
    """A worker that dies after the commit leaves the assets of each table their events."""
    begun = runs.begin()
    runs.extract(begun)
    runs.transform(begun)

    loaded, again = runs.load(begun), runs.load(begun)

    unresolved = loaded["tables"].pop("unresolved")
    assert again["tables"] == loaded["tables"]
    assert again["changed"] == loaded["changed"] - unresolved["inserted"]


def test_a_cleared_field_becomes_null(runs: SyncRuns, organisation: Organisation) -> None:
    """What was emptied in Dynamics is empty in the store."""
    runs.run()
    [contact, *_] = [
        row["contactid"]
        for row in organisation.rows("contacts")
        if row.get("emailaddress1") and row.get("new_synctomkto") is not False
    ]
    organisation.update("contacts", contact, {"emailaddress1": None})
    runs.run()

    assert actual_store(runs.engine)["contact"][contact,]["email"] is None


def test_a_store_refuses_the_rows_of_another_organisation(sqlite_runs: SyncRuns) -> None:
    """The error says so before anything is read or written."""
    sqlite_runs.run()
    other = Organisation.generated(seed=8, opportunities=50)
    with Sandbox(other) as sandbox, pytest.raises(WrongOrganizationError):
        SyncRuns(sandbox, sqlite_runs.engine, sqlite_runs.settings).begin()


def test_what_a_run_did_is_on_record(sqlite_runs: SyncRuns, organisation: Organisation) -> None:
    """`sync_run` tells rows read and inserted per entity, requests, and how it ended."""
    sqlite_runs.run()
    with sqlite_runs.engine.connect() as connection:
        [run] = connection.execute(text("SELECT * FROM sync_run")).mappings().all()
        rows = connection.execute(text("SELECT * FROM sync_run_entity")).mappings().all()
    counts = {row["entity"]: row for row in rows}

    contacts = organisation.rows("contacts")
    synced = [row for row in contacts if row.get("new_synctomkto") is not False]
    assert run["outcome"] == "succeeded"
    assert counts["contact"]["read"] == len(contacts)
    assert counts["contact"]["inserted"] == len(synced)
    assert counts["contact"]["filtered"] == len(contacts) - len(synced)
    assert run["requests"] > 5
    assert run["replaced_characters"] >= 2
