"""Airflow's own services for a test: `make ui` on the test's sandbox and store, asked over its API.

`dag.test()` runs tasks one after another in one process; what the scheduler makes of several
runs and tasks at once can only be seen with the scheduler running.
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

import psutil
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from dag_runs import store_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL

    from dynamics_sandbox import Sandbox

Found = TypeVar("Found")

# Airflow on SQLite answers so where another of its processes writes at the same moment.
BUSY = (500, 503)

ENDED = {"success", "failed"}

# Seconds; what takes a few of them on a free machine can take minutes on a busy one.
PATIENCE = 600

UI = Path(__file__).parents[2] / "scripts" / "ui.py"


@dataclass(frozen=True)
class RunningAirflow:
    """The services that `make ui` started, and the login to ask them things."""

    origin: str
    token: str

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """All runs of a DAG, the first one first."""
        path = f"/api/v2/dags/{dag_id}/dagRuns?order_by=run_after&limit=100"
        found: list[dict[str, Any]] = self.ask(path)["dag_runs"]
        return found

    @property
    def page(self) -> str:
        """The address of the page "Dynamics sync"."""
        return f"{self.origin}/dynamics-sync/"

    def run(self, dag_id: str) -> dict[str, Any]:
        """One more run, as the schedule would start it, once it has ended."""
        path = f"/api/v2/dags/{dag_id}/dagRuns"
        run_id = self.ask(path, "POST", logical_date=None)["dag_run_id"]
        return self.end_of(dag_id, run_id)

    def first_run(self, dag_id: str) -> dict[str, Any]:
        """The first run, which began by itself, once it has ended."""
        runs = wait_until(lambda: self.runs(dag_id), what=f"the first run of {dag_id}")
        return self.end_of(dag_id, runs[0]["dag_run_id"])

    def end_of(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """A run, once it has come to its end."""

        def ended_run() -> dict[str, Any] | None:
            run = self.ask(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")
            return run if run["state"] in ENDED else None

        return wait_until(ended_run, what=f"the end of {run_id}")

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """The task instances of a run, by task."""
        found = self.ask(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return {task["task_id"]: task for task in found["task_instances"]}

    def ask(self, path: str, method: str = "GET", **body: Any) -> dict[str, Any]:
        """One request to Airflow's public API, again while it is busy; returns its answer."""
        with patient_session(self.origin) as session:
            session.headers["Authorization"] = f"Bearer {self.token}"
            answer = session.request(method, f"{self.origin}{path}", json=body or None, timeout=60)
        answer.raise_for_status()
        said: dict[str, Any] = answer.json()
        return said


def patient_session(origin: str) -> requests.Session:
    """A session that asks again while Airflow is busy."""
    again = Retry(total=6, backoff_factor=1, status_forcelist=BUSY, allowed_methods=None)
    session = requests.Session()
    session.mount(origin, HTTPAdapter(max_retries=again))
    return session


def wait_until(ask: Callable[[], Found | None], *, what: str) -> Found:
    """Ask again and again until the answer is one."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := ask():
            return found
        time.sleep(2)
    raise AssertionError(f"not within {PATIENCE} s: {what}")


@contextmanager
def running_airflow(
    sandbox: Sandbox, store: URL, folder: Path, *, database: str | None = None
) -> Iterator[RunningAirflow]:
    """`make ui` on the sandbox and the store; all its processes are gone afterwards.

    `database`: the URL of Airflow's own, instead of a SQLite file.
    """
    environment = os.environ | {
        "AIRFLOW_CONN_DYNAMICS_DEFAULT": json.dumps(sandbox.connection()),
        "AIRFLOW_CONN_MARKETO_STORE": json.dumps(store_connection(store)),
        "OPPORTUNITY_SYNC_STAGING_URL": str(folder / "staging"),
        "OPPORTUNITY_SYNC_PAGE_SIZE": "100",
        "UI_FOLDER": str(folder / "ui"),
        "UI_DATABASE": database or "",
    }
    with running_program(environment) as process:
        lines = iter(process.stdout or [])
        origin = next((line.split()[-1] for line in lines if "Airflow is ready" in line), "")
        assert origin, "Airflow did not start"
        password = next(line.split()[-1] for line in lines if "Login" in line)
        yield RunningAirflow(origin, log_in(origin, password))


@contextmanager
def running_program(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The program, ended as Ctrl-C would end it."""
    process = subprocess.Popen(
        [sys.executable, str(UI)], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
        _, alive = psutil.wait_procs(family, timeout=30)
        for left in alive:
            left.kill()
    assert alive == []


def log_in(origin: str, password: str) -> str:
    """A token for the printed login."""
    credentials = {"username": "admin", "password": password}
    with patient_session(origin) as session:
        answer = session.post(f"{origin}/auth/token", json=credentials, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["access_token"])
