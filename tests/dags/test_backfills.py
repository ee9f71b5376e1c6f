"""Backfills for real: daily windows, four at once, while the sync goes on.

The organisation has no change tracking, and its history is imported with old dates after the
first sync. So the sync's windows show none of it, and only the backfill can bring it.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_services import ENDED, RunningAirflow, running_airflow, wait_until
from dynamics_sandbox import Organisation, Sandbox
from oracle import actual_store, differences, expected_store
from organisations import without_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

SYNC = "dynamics_opportunity_sync"
BACKFILL = "dynamics_opportunity_backfill"
# Each window is eight processes of Airflow; BACKFILL_WINDOWS=6 shows most of it sooner.
WINDOWS = int(os.environ.get("BACKFILL_WINDOWS", "30"))
FIRST_DAY = datetime(2025, 3, 1, tzinfo=UTC)
LAST_DAY = FIRST_DAY + timedelta(days=WINDOWS - 1)


@pytest.fixture
def organisation() -> Organisation:
    """Every case of the truth table, without change tracking."""
    return without_tracking(Organisation.generated(seed=7, opportunities=150))


@pytest.fixture
def airflow(
    organisation: Organisation, sqlite_engine: Engine, tmp_path: Path, postgres: str
) -> Iterator[RunningAirflow]:
    """Airflow on the organisation and an empty store, its metadata in PostgreSQL.

    On SQLite, Airflow's API server can wait for itself when runs are triggered while tasks write.
    """
    with (
        Sandbox(organisation) as sandbox,
        running_airflow(sandbox, sqlite_engine.url, tmp_path, database=postgres) as running,
    ):
        wait_until(lambda: knows(running, BACKFILL), what="the backfill DAG")
        yield running


def knows(airflow: RunningAirflow, dag_id: str) -> bool:
    """Whether the DAG file has been parsed."""
    dags = airflow.ask("/api/v2/dags")["dags"]
    return dag_id in {dag["dag_id"] for dag in dags}


def change(organisation: Organisation, number: int, moment: datetime | None = None) -> None:
    """One change of each kind that a window can show, at a moment (None: now)."""
    with organisation.lock:
        organisation.now = moment
        opportunity, other = pick(organisation, "opportunities", number, number + 60)
        contact, stakeholder = pick(organisation, "contacts", number, number + 90)
        [account] = pick(organisation, "accounts", number)
        [connection] = pick(organisation, "connections", number * 2)
        organisation.update("opportunities", opportunity, {"name": f"Renamed {number}"})
        organisation.update("opportunities", other, {"_customerid_value": contact})
        organisation.update("contacts", contact, {"_parentcustomerid_value": account})
        organisation.create("opportunities", {"name": "New", "_customerid_value": contact})
        organisation.connect(opportunity, stakeholder, stakeholders_role(organisation))
        organisation.deactivate("connections", connection)
        organisation.now = None


def pick(organisation: Organisation, set_name: str, *places: int) -> list[str]:
    """Keys of rows at these places, counted in key order and round and round."""
    key, rows = organisation.stores[set_name].table.key, organisation.rows(set_name)
    return [rows[place % len(rows)][key] for place in places]


def stakeholders_role(organisation: Organisation) -> str:
    """A connection role of category 1000."""
    roles = organisation.rows("connectionroles")
    return next(str(row["connectionroleid"]) for row in roles if row["category"] == 1000)


def import_history(organisation: Organisation) -> None:
    """Changes on each of the days, from its first second to its last."""
    last_second = timedelta(days=1) - timedelta(seconds=1)
    for number in range(WINDOWS):
        day = FIRST_DAY + timedelta(days=number)
        change(organisation, number, day + last_second * (number % 3) / 2)


def drift(organisation: Organisation, engine: Engine) -> list[str]:
    """How the store differs from the organisation as it is."""
    return differences(expected_store(organisation), actual_store(engine))


def backfilled(airflow: RunningAirflow) -> list[dict[str, Any]]:
    """The backfill's runs, in the order of their windows."""
    return [run for run in airflow.runs(BACKFILL) if run["run_type"] == "backfill"]


def most_at_once(runs: list[dict[str, Any]]) -> int:
    """How many of the runs overlapped at most."""
    counts = [
        sum(other["start_date"] <= run["start_date"] < other["end_date"] for other in runs)
        for run in runs
    ]
    return int(max(counts))


@pytest.mark.timeout(3600)
def test_daily_windows_four_at_once_beside_the_schedule(
    airflow: RunningAirflow, organisation: Organisation, sqlite_engine: Engine
) -> None:
    """The sync alone misses what was imported; with the backfill the store is the oracle's."""
    airflow.first_run(SYNC)
    assert drift(organisation, sqlite_engine) == []
    import_history(organisation)
    assert airflow.run(SYNC)["state"] == "success"
    assert drift(organisation, sqlite_engine) != []

    airflow.ask(
        "/api/v2/backfills",
        "POST",
        dag_id=BACKFILL,
        from_date=FIRST_DAY.isoformat(),
        to_date=LAST_DAY.isoformat(),
        max_active_runs=4,
    )
    # Not before: with SQLite under Airflow, the scheduler would start runs half created.
    airflow.ask(f"/api/v2/dags/{BACKFILL}", "PATCH", is_paused=False)
    syncs = 0
    while {run["state"] for run in backfilled(airflow)} - ENDED:
        change(organisation, WINDOWS + syncs)
        assert airflow.run(SYNC)["state"] == "success"
        syncs += 1
        time.sleep(40)
    assert airflow.run(SYNC)["state"] == "success"

    runs = backfilled(airflow)
    assert [run["state"] for run in runs] == ["success"] * WINDOWS
    assert most_at_once(runs) == 4
    assert syncs >= min(2, WINDOWS // 6)
    assert drift(organisation, sqlite_engine) == []
