"""Airflow's API server for tests of the page: the real one, with its simple auth manager.

No scheduler runs beside it: the page needs the login, the rights and the metadata database alone.
The server lies below a path of its own, as behind a proxy, so an address from the root would miss.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import requests

from embedded import Embedded, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Name and role; the last one may log in and has no right to anything.
USERS = {"op": "op", "viewer": "viewer", "stranger": ""}
PASSWORD = "for-tests-only"
PATH = "/airflow"
# Seconds; it takes 15 on a free machine.
PATIENCE = 600


@dataclass(frozen=True)
class ApiServer:
    """Where it answers."""

    origin: str

    @property
    def page(self) -> str:
        """The page's own address."""
        return f"{self.origin}{PATH}/dynamics-sync/"

    def token_of(self, user: str) -> str:
        """A login of this user."""
        credentials = {"username": user, "password": PASSWORD}
        answer = requests.post(f"{self.origin}{PATH}/auth/token", json=credentials, timeout=60)
        answer.raise_for_status()
        return str(answer.json()["access_token"])


@contextmanager
def running_api_server(folder: Path, connections: Mapping[str, object]) -> Iterator[ApiServer]:
    """An API server with these connections; it and its children are gone afterwards."""
    (port,) = free_ports(1)
    origin = f"http://127.0.0.1:{port}"
    airflow = Embedded(folder)
    passwords = folder / "passwords.json"
    given = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(each) for name, each in connections.items()}
    environment = airflow.environment(
        AIRFLOW__API__HOST="127.0.0.1",
        AIRFLOW__API__PORT=str(port),
        AIRFLOW__API__BASE_URL=f"{origin}{PATH}",
        AIRFLOW__API_AUTH__JWT_SECRET="a secret of tests that is long enough for any algorithm" * 2,
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS=",".join(f"{n}:{r}" for n, r in USERS.items()),
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=str(passwords),
        # Runs of its stores were over when the tests began, and a slow machine takes its time.
        OPPORTUNITY_SYNC_LATE_AFTER_MINUTES="1440",
        **given,
    )
    airflow.migrate(environment)
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps(dict.fromkeys(USERS, PASSWORD)) + "\n", "utf-8")
    log = airflow.logs / "api-server.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "api-server"],
            env=os.environ | environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(process, origin, log)
        yield ApiServer(origin)
    finally:
        _end(process)


def _wait_until_ready(process: subprocess.Popen[bytes], origin: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if requests.get(f"{origin}{PATH}/api/v2/version", timeout=10).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise AssertionError(f"the API server did not start:\n{log.read_text()[-4000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    process.wait(timeout=60)
    _, alive = psutil.wait_procs(family, timeout=10)
    for left in alive:
        left.kill()
