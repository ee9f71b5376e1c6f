"""Airflow for real: `make ui`'s services run the sync, and one extract is killed on the way.

`dag.test()` runs tasks one after another in one process, so it can show neither that the four
extracts overlap nor that a task whose process dies comes back and goes on where it was.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from airflow_services import RunningAirflow, running_airflow, wait_until
from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.store.schema.tables import sync_run_progress
from oracle import actual_store, differences, expected_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

DAG = "dynamics_opportunity_sync"
SETS = ("opportunities", "connections", "contacts", "accounts")
KILLED = "extract_contacts"


@pytest.fixture
def organisation() -> Organisation:
    """Ten pages of contacts at the page size below."""
    return Organisation.generated(seed=11, opportunities=600)


@pytest.fixture
def sandbox(organisation: Organisation) -> Iterator[Sandbox]:
    """Each table's first page takes a while; the fourth of contacts longer than anyone waits.

    One after that takes long enough for the read to tell how far it is.
    """
    with Sandbox(organisation) as running:
        for name in SETS:
            running.faults.add("stall", name, seconds=20)
        running.faults.add("stall", "contacts", nth=4, seconds=250)
        running.faults.add("stall", "contacts", nth=6, seconds=15)
        yield running


@pytest.fixture
def airflow(sandbox: Sandbox, sqlite_engine: Engine, tmp_path: Path) -> Iterator[RunningAirflow]:
    """Airflow on the sandbox and an empty store."""
    with running_airflow(sandbox, sqlite_engine.url, tmp_path) as running:
        yield running


@pytest.mark.timeout(1800)
def test_the_scheduler_runs_the_extracts_at_once_and_heals_a_killed_one(
    airflow: RunningAirflow, sandbox: Sandbox, organisation: Organisation, sqlite_engine: Engine
) -> None:
    """Four extracts overlap; one dies by SIGKILL, is retried, goes on, and the store is right."""
    wait_until(lambda: len(sandbox.requests.all("contacts")) >= 3, what="three pages")
    run_id = airflow.runs(DAG)[0]["dag_run_id"]
    task = airflow.tasks(DAG, run_id)[KILLED]
    os.kill(task["pid"], signal.SIGKILL)
    killed_at = time.monotonic()

    def ended() -> dict[str, dict[str, Any]] | None:
        tasks = airflow.tasks(DAG, run_id)
        return tasks if tasks["finish"]["state"] in {"success", "failed"} else None

    tasks = wait_until(ended, what="the end of the run")

    assert {name: task["state"] for name, task in tasks.items()} == dict.fromkeys(tasks, "success")
    assert tasks[KILLED]["try_number"] == 2
    spans = [sandbox.requests.all(f"/{name}") for name in SETS]
    assert max(span[0].started for span in spans) < min(span[-1].ended for span in spans)
    pages = sandbox.requests.all("/contacts")
    after = [page for page in pages if page.started > killed_at]
    assert all("skiptoken" in request.query for request in after), "it goes on, not from the start"
    assert differences(expected_store(organisation), actual_store(sqlite_engine)) == []
    note = wait_until(lambda: airflow.runs(DAG)[0]["note"], what="the run's note")
    assert note.startswith("First sync: ")
    with sqlite_engine.connect() as connection:
        told = sync_run_progress.c
        query = select(told.is_whole).where(told.run_id == run_id, told.entity == "contact")
        assert connection.scalar(query), "a read that took long told how far it was, to its end"
