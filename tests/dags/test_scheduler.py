"""Airflow for real: `make ui`'s services run the sync, and one extract is killed on the way.

`dag.test()` runs tasks one after another in one process, so it can show neither that the four
extracts overlap nor that a task whose process dies comes back and goes on where it was.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil  # type: ignore[import-untyped]
import pytest
import requests

from dag_runs import store_connection
from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.store import store_engine
from oracle import actual_store, differences, expected_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

Found = TypeVar("Found")

UI = Path(__file__).parents[2] / "scripts" / "ui.py"
DAG = "dynamics_opportunity_sync"
SETS = ("opportunities", "connections", "contacts", "accounts")
KILLED = "extract_contacts"


@dataclass(frozen=True)
class RunningAirflow:
    """The services that `make ui` started, and the login to ask them things."""

    origin: str
    token: str

    def tasks(self) -> dict[str, dict[str, Any]]:
        """The task instances of the DAG's first run, by task; empty before there is one."""
        runs = self.ask(f"/api/v2/dags/{DAG}/dagRuns?order_by=run_after&limit=1")["dag_runs"]
        if not runs:
            return {}
        run_id = runs[0]["dag_run_id"]
        found = self.ask(f"/api/v2/dags/{DAG}/dagRuns/{run_id}/taskInstances")
        return {task["task_id"]: task for task in found["task_instances"]}

    def ask(self, path: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.get(f"{self.origin}{path}", headers=headers, timeout=30)
        answer.raise_for_status()
        said: dict[str, Any] = answer.json()
        return said


def until(ask: Callable[[], Found | None], *, seconds: float, what: str) -> Found:
    """Ask again and again until the answer is one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := ask():
            return found
        time.sleep(0.3)
    raise AssertionError(f"not within {seconds} s: {what}")


@pytest.fixture
def organisation() -> Organisation:
    """Ten pages of contacts at the page size below."""
    return Organisation.generated(seed=11, opportunities=600)


@pytest.fixture
def sandbox(organisation: Organisation) -> Iterator[Sandbox]:
    """Each table's first page takes a while, and the fourth page of contacts even longer."""
    with Sandbox(organisation) as running:
        for name in SETS:
            running.faults.add("stall", name, seconds=8)
        running.faults.add("stall", "contacts", nth=4, seconds=30)
        yield running


@pytest.fixture
def engine(sqlite_url: str) -> Iterator[Engine]:
    """The store's engine, on the test's side."""
    made = store_engine(sqlite_url)
    yield made
    made.dispose()


@pytest.fixture
def airflow(sandbox: Sandbox, engine: Engine, tmp_path: Path) -> Iterator[RunningAirflow]:
    """`make ui` on the sandbox and an empty store; all its processes are gone afterwards."""
    environment = os.environ | {
        "AIRFLOW_CONN_DYNAMICS_DEFAULT": json.dumps(sandbox.connection()),
        "AIRFLOW_CONN_MARKETO_STORE": json.dumps(store_connection(engine.url)),
        "OPPORTUNITY_SYNC_STAGING_URL": str(tmp_path / "staging"),
        "OPPORTUNITY_SYNC_PAGE_SIZE": "100",
        "UI_FOLDER": str(tmp_path / "ui"),
    }
    with started(environment) as process:
        lines = iter(process.stdout or [])
        origin = next((line.split()[-1] for line in lines if "Airflow is ready" in line), "")
        assert origin, "Airflow did not start"
        password = next(line.split()[-1] for line in lines if "Login" in line)
        yield RunningAirflow(origin, log_in(origin, password))


@contextmanager
def started(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The program, ended as Ctrl-C would end it."""
    process = subprocess.Popen(
        [sys.executable, str(UI)], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=40)
        _, alive = psutil.wait_procs(family, timeout=5)
        for left in alive:
            left.kill()
    assert alive == []


def log_in(origin: str, password: str) -> str:
    """A token for the printed login."""
    credentials = {"username": "admin", "password": password}
    answer = requests.post(f"{origin}/auth/token", json=credentials, timeout=30)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


@pytest.mark.timeout(300)
def test_the_scheduler_runs_the_extracts_at_once_and_heals_a_killed_one(
    airflow: RunningAirflow, sandbox: Sandbox, organisation: Organisation, engine: Engine
) -> None:
    """Four extracts overlap; one dies by SIGKILL, is retried, goes on, and the store is right."""
    until(lambda: len(sandbox.requests.all("contacts")) >= 3, seconds=90, what="three pages")
    task = airflow.tasks()[KILLED]
    os.kill(task["pid"], signal.SIGKILL)
    killed_at = time.monotonic()

    def ended() -> dict[str, dict[str, Any]] | None:
        tasks = airflow.tasks()
        return tasks if tasks["finish"]["state"] in {"success", "failed"} else None

    tasks = until(ended, seconds=150, what="the end of the run")

    assert {name: task["state"] for name, task in tasks.items()} == dict.fromkeys(tasks, "success")
    assert tasks[KILLED]["try_number"] == 2
    spans = [sandbox.requests.all(f"/{name}") for name in SETS]
    assert max(span[0].started for span in spans) < min(span[-1].ended for span in spans)
    pages = sandbox.requests.all("/contacts")
    after = [page for page in pages if page.started > killed_at]
    assert all("skiptoken" in request.query for request in after), "it goes on, not from the start"
    assert differences(expected_store(organisation), actual_store(engine)) == []
