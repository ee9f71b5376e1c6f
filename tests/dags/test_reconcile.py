"""The daily reconciliation as Airflow runs it: what the schedule can't see is found and mended.

The organisation has no change tracking, so that windows are all the sync goes by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url, text

from dag_runs import connect, run_dag
from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.store import store_engine
from oracle import actual_store, differences, expected_store
from organisations import without_tracking
from store_dumps import dump

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

SYNC = "dynamics_opportunity_sync"
RECONCILE = "dynamics_opportunity_reconcile"

pytestmark = pytest.mark.usefixtures("airflow_database")


@pytest.fixture
def organisation() -> Organisation:
    """Every case of the truth table, some hundred rows a table, no change tracking."""
    return without_tracking(Organisation.generated(seed=7, opportunities=150))


@pytest.fixture
def engine(
    monkeypatch: pytest.MonkeyPatch, organisation: Organisation, sqlite_url: str, tmp_path: Path
) -> Iterator[Engine]:
    """The store after the first sync; both connections are set."""
    made = store_engine(sqlite_url)
    with Sandbox(organisation) as sandbox:
        connect(monkeypatch, sandbox, make_url(sqlite_url), tmp_path / "staging")
        assert run_dag(SYNC) == "success"
        assert differences(expected_store(organisation), actual_store(made)) == []
        yield made
    made.dispose()


def synced_ids(organisation: Organisation, set_name: str) -> list[str]:
    """Keys of the rows that are in the store, merged ones left aside."""
    key = organisation.stores[set_name].table.key
    return [
        row[key]
        for row in organisation.rows(set_name)
        if row.get("new_synctomkto") is not False and not row.get("merged")
    ]


def deleted(engine: Engine, table: str) -> set[str]:
    """Ids of the rows of a public table that are marked as deleted, with the time."""
    query = f"SELECT {table}_id FROM {table} WHERE is_deleted AND deleted_at IS NOT NULL"
    with engine.connect() as connection:
        return set(connection.scalars(text(query)))


def last_error(engine: Engine) -> str | None:
    """Why the last run failed, as `sync_run` has it."""
    query = "SELECT error FROM sync_run WHERE outcome = 'failed' ORDER BY started_at DESC LIMIT 1"
    with engine.connect() as connection:
        error: str | None = connection.scalar(text(query))
        return error


def drift(caplog: pytest.LogCaptureFixture) -> dict[str, str]:
    """What the reconciliation said of each table, by entity set."""
    told = (line.split(": ", 1) for line in caplog.messages if " rows compared; drift: " in line)
    return {name: rest.partition("drift: ")[2] for name, rest in told}


def test_deletions_that_no_window_shows_are_marked(
    engine: Engine, organisation: Organisation, caplog: pytest.LogCaptureFixture
) -> None:
    """The sync changes nothing; the reconciliation reports the drift, marks, and resolves again."""
    chosen = {
        name: synced_ids(organisation, name)[0]
        for name in ("contacts", "accounts", "connections", "opportunities")
    }
    for set_name, row_id in chosen.items():
        organisation.delete(set_name, row_id)

    assert run_dag(SYNC) == "success"
    assert deleted(engine, "contact") | deleted(engine, "opportunity") == set()

    caplog.clear()
    assert run_dag(RECONCILE) == "success"
    assert differences(expected_store(organisation), actual_store(engine)) == []
    assert chosen["contacts"] in deleted(engine, "contact")
    assert chosen["accounts"] in deleted(engine, "account")
    assert chosen["opportunities"] in deleted(engine, "opportunity")
    assert len(drift(caplog)) == 5
    gone = len(deleted(engine, "opportunity"))  # the account's own went with it
    assert drift(caplog)["opportunities"] == f"0 missing, 0 of another version, {gone} not listed"

    before = dump(engine)
    assert run_dag(RECONCILE) == "success"
    assert dump(engine) == before


def test_back_dated_and_hidden_rows_are_mended(
    engine: Engine, organisation: Organisation, caplog: pytest.LogCaptureFixture
) -> None:
    """An import with an old date comes in; a row that can't be read goes, and comes back."""
    contact, hidden = synced_ids(organisation, "contacts")[:2]
    organisation.update(
        "contacts", contact, {"jobtitle": "Back-dated"}, modified_at="2020-01-01T00:00:00Z"
    )
    organisation.hide("contacts", hidden)

    assert run_dag(SYNC) == "success"
    assert actual_store(engine)["contact"][contact,]["job_title"] != "Back-dated"
    assert deleted(engine, "contact") == set()

    caplog.clear()
    assert run_dag(RECONCILE) == "success"
    assert actual_store(engine)["contact"][contact,]["job_title"] == "Back-dated"
    assert deleted(engine, "contact") == {hidden}
    assert drift(caplog)["contacts"] == "0 missing, 1 of another version, 1 not listed"

    organisation.show("contacts", hidden)
    assert run_dag(RECONCILE) == "success"
    assert differences(expected_store(organisation), actual_store(engine)) == []


def test_without_global_read_access_nothing_is_marked(
    engine: Engine, organisation: Organisation, caplog: pytest.LogCaptureFixture
) -> None:
    """Where not every row may be seen no absence counts: the run is red and names the privilege."""
    organisation.delete("opportunities", synced_ids(organisation, "opportunities")[0])
    organisation.read_depth["contact"] = "Local"
    before = dump(engine)

    assert run_dag(RECONCILE) == "failed"

    assert dump(engine) == before
    said = [line for line in caplog.messages if line.startswith("What happened")]
    assert len(said) == 2, "of transform, and of finish"
    assert [line for line in said if "all rows of contacts can be read is denied" not in line] == []
    steps = [line for line in caplog.messages if line.startswith("Next step")]
    assert "prvReadContact" in steps[0]
    error = last_error(engine) or ""
    assert error.startswith("transform: PrivilegeError: ")
    assert "prvReadContact" in error


def test_a_table_is_not_emptied_unless_told_to(engine: Engine, organisation: Organisation) -> None:
    """More than a tenth of the contacts gone is refused; with `accept_deletions` it is believed."""
    gone = synced_ids(organisation, "contacts")[:60]
    for row_id in gone:
        organisation.delete("contacts", row_id)
    before = dump(engine)

    assert run_dag(RECONCILE) == "failed"
    assert dump(engine) == before
    assert "trigger the DAG with accept_deletions" in (last_error(engine) or "")

    assert run_dag(RECONCILE, accept_deletions=True) == "success"
    assert set(gone) <= deleted(engine, "contact")
    assert differences(expected_store(organisation), actual_store(engine)) == []


def test_a_full_sync_is_told_to_accept_deletions_by_the_same_entry(
    engine: Engine, organisation: Organisation
) -> None:
    """A full sync reads every row as well, so it has the same guard."""
    for row_id in synced_ids(organisation, "contacts")[:60]:
        organisation.delete("contacts", row_id)

    assert run_dag(SYNC, mode="full") == "failed"
    assert deleted(engine, "contact") == set()

    assert run_dag(SYNC, mode="full", accept_deletions=True) == "success"
    assert differences(expected_store(organisation), actual_store(engine)) == []
