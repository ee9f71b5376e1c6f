"""Two runs at once, in any order: the slower one never puts back what the faster one brought.

The overlap of windows is off and the sandbox's clock stands still where it matters, so that no
second look can hide a mistake.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from dynamics_sandbox import Organisation, Sandbox
from dynamics_sandbox.schema.custom_columns import SYNC_FILTER
from opportunity_sync.store import read_state
from oracle import actual_store, differences, expected_store
from sync_runs import SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from opportunity_sync.pipeline.run import Mode

MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)


@pytest.fixture
def small() -> Organisation:
    """An account, its contact, and an opportunity of the contact."""
    organisation = Organisation.empty()
    organisation.now = MORNING
    for name in ("accounts", "contacts", "opportunities"):
        organisation.add_column(name, SYNC_FILTER)
    account = organisation.create("accounts", {"name": "Contoso"})
    contact = organisation.create(
        "contacts", {"lastname": "Byron", "_parentcustomerid_value": account}
    )
    organisation.create("opportunities", {"name": "Pump", "_customerid_value": contact})
    return organisation


@pytest.fixture
def overlapping(small: Organisation, engine: Engine, tmp_path: Path) -> Iterator[SyncRuns]:
    """Runs without overlap of windows, into each kind of store."""
    with Sandbox(small) as sandbox:
        yield SyncRuns(sandbox, engine, settings_for_tests(tmp_path, overlap_minutes=0))


def later(organisation: Organisation) -> None:
    """Five minutes pass."""
    organisation.now = organisation.now + timedelta(minutes=5)


def drift(runs: SyncRuns) -> list[str]:
    """How the store differs from the organisation as it is."""
    return differences(expected_store(runs.sandbox.organisation), actual_store(runs.engine))


@pytest.mark.parametrize("stale_at", ["extract", "transform"])
def test_a_stale_run_takes_no_account_away(
    overlapping: SyncRuns, small: Organisation, stale_at: str
) -> None:
    """Its rows are older than the store's; what is derived of them comes from the newer ones."""
    overlapping.run()
    slow = overlapping.begin("full")
    overlapping.extract(slow)
    if stale_at == "transform":
        overlapping.transform(slow)
    later(small)
    [opportunity], [contact] = small.rows("opportunities"), small.rows("contacts")
    small.update("opportunities", opportunity["opportunityid"], {"name": "Renamed"})
    small.update("contacts", contact["contactid"], {"jobtitle": "Owner"})
    overlapping.run()
    if stale_at == "extract":
        overlapping.transform(slow)
    overlapping.load(slow)

    assert drift(overlapping) == []


def test_a_filter_flip_that_writes_no_public_row_is_seen_by_the_slower_run(
    overlapping: SyncRuns, small: Organisation
) -> None:
    """The contact is excluded between the other run's transform and load: no role comes back."""
    [contact] = small.rows("contacts")
    slow = overlapping.begin("full")
    overlapping.extract(slow)
    overlapping.transform(slow)
    [opportunity] = small.rows("opportunities")
    small.hide("opportunities", opportunity["opportunityid"])
    later(small)
    small.update("contacts", contact["contactid"], {"new_synctomkto": False})
    overlapping.run("range", MORNING, MORNING + timedelta(hours=1))
    small.show("opportunities", opportunity["opportunityid"])
    overlapping.load(slow)

    roles = actual_store(overlapping.engine)["opportunity_contact_role"]
    reasons = actual_store(overlapping.engine)["unresolved_association"].values()
    assert roles == {}
    assert [row["reason"] for row in reasons] == ["contact_excluded"]


def test_a_store_that_knows_only_excluded_rows_is_not_empty(
    overlapping: SyncRuns, small: Organisation
) -> None:
    """An opportunity that arrives later finds its excluded contact among the facts."""
    [opportunity], [contact] = small.rows("opportunities"), small.rows("contacts")
    [account] = small.rows("accounts")
    small.delete("opportunities", opportunity["opportunityid"])
    small.update("contacts", contact["contactid"], {"new_synctomkto": False})
    small.update("accounts", account["accountid"], {"new_synctomkto": False})
    overlapping.run()
    later(small)
    customer = {"name": "New", "_customerid_value": contact["contactid"]}
    small.create("opportunities", customer)
    overlapping.run()

    assert drift(overlapping) == []


def test_a_cleared_load_that_succeeds_is_recorded_as_a_success(overlapping: SyncRuns) -> None:
    """The run had failed before; its record tells what the store last got from it."""
    run = overlapping.begin()
    overlapping.extract(run)
    overlapping.transform(run)
    overlapping.finish(run, succeeded=False)
    overlapping.load(run)

    with overlapping.engine.connect() as connection:
        query = text(
            "SELECT outcome, inserted FROM sync_run JOIN sync_run_entity USING (dag_id, run_id) "
            "WHERE entity = 'contact'"
        )
        assert connection.execute(query).all() == [("succeeded", 1)]


def test_a_load_that_died_after_its_commit_tells_its_retry_what_changed(
    overlapping: SyncRuns,
) -> None:
    """Whoever waits for the store to change hears of it, though the first try could not say so."""
    run = overlapping.begin()
    overlapping.extract(run)
    overlapping.transform(run)
    first = overlapping.load(run)

    assert overlapping.load(run)["changed"] == first["changed"] > 0


def test_two_loads_at_once_wait_for_each_other(overlapping: SyncRuns, small: Organisation) -> None:
    """Neither fails, nothing deadlocks, and the store is what one full sync would give."""
    staged = [overlapping.begin("full") for _ in range(3)]
    for run in staged:
        overlapping.extract(run)
        overlapping.transform(run)
    failures: list[BaseException] = []

    def load(run: dict[str, object]) -> None:
        try:
            overlapping.load(run)
        except BaseException as error:  # noqa: BLE001  a thread's failure must reach the test
            failures.append(error)

    threads = [Thread(target=load, args=(run,)) for run in staged]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert failures == []
    assert drift(overlapping) == []
    assert len(small.rows("contacts")) == 1


@pytest.mark.parametrize("slow_mode", ["continue", "full", "range"])
def test_a_row_that_was_deleted_while_two_runs_read_the_table_does_not_stay_alive(
    overlapping: SyncRuns, small: Organisation, slow_mode: Mode
) -> None:
    """The faster run never saw it, so its delta link lies behind the deletion and won't tell."""
    window = (MORNING - timedelta(days=1), MORNING + timedelta(days=1))
    slow = overlapping.begin(slow_mode, *(window if slow_mode == "range" else ()))
    overlapping.extract(slow)
    later(small)
    small.delete("opportunities", small.rows("opportunities")[0]["opportunityid"])
    overlapping.run()
    overlapping.transform(slow)
    overlapping.load(slow)

    later(small)
    overlapping.run()

    assert drift(overlapping) == []


def test_a_slow_run_that_brings_nothing_new_leaves_the_delta_link_alone(
    overlapping: SyncRuns, engine: Engine
) -> None:
    """A full pass costs minutes, so it is asked for only where something may have been missed."""
    slow = overlapping.begin("full")
    overlapping.extract(slow)
    overlapping.run()
    with engine.connect() as connection:
        before = read_state(connection).delta_links
    overlapping.transform(slow)
    overlapping.load(slow)

    with engine.connect() as connection:
        assert before == read_state(connection).delta_links
    assert before


def test_a_slow_run_that_brings_new_rows_beside_read_changes_leaves_the_delta_link_alone(
    overlapping: SyncRuns, small: Organisation, engine: Engine
) -> None:
    """Deletions are among the changes then, so a reconciliation costs no full pass beside."""
    overlapping.run()
    slow = overlapping.begin("reconcile")
    overlapping.run()
    with engine.connect() as connection:
        before = read_state(connection).delta_links
    small.create("contacts", {"lastname": "Newcomer"})
    overlapping.extract(slow)
    overlapping.transform(slow)
    overlapping.load(slow)

    with engine.connect() as connection:
        assert before == read_state(connection).delta_links
    assert drift(overlapping) == []
