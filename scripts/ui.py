"""`make ui`: Airflow with its user interface, the DAGs and the sandbox, on this machine only.

For looking at the connection form, the graph and the logs without setting anything up. It
listens on loopback, asks for a login (the password is made anew for each folder and printed),
and ends everything it started when it ends itself. With both connections in the environment
those are used, and no sandbox is started.

DEMO_FOLDER=path takes the organisation's rows from a folder of Web API JSON files.
PORT=number     listens there instead of on the first free port from 8080 on.
UI_FOLDER=path  keeps everything there instead of in .ui.
UI_DATABASE=url keeps Airflow's metadata there (postgresql+psycopg://...) instead of in a
                PostgreSQL of its own in the folder; UI_DATABASE=sqlite takes a SQLite file.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psutil
import requests

from embedded import (
    PROJECT,
    Embedded,
    NotStartedError,
    free_ports,
    given_connections,
    given_rows,
    is_free,
    misplaced_rows,
)
from metadata_database import metadata_database
from single_run import only_one, say

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

# What goes on by itself: the sync, and what fills the fields that somebody selects.
DAGS = ("dynamics_opportunity_sync", "dynamics_quick_sync")
USER = "admin"
FIRST_PORT = 8080
READY_SECONDS = 600
END_SECONDS = 10
LAST_PORT = 65535
# What tasks would otherwise import each for itself, most of a second; nothing of ours, so that a
# change to the pipeline counts from the next task on.
PRELOADED = (
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.dag_processing.dagbag",
    "airflow.providers.standard.decorators.python",
    "alembic.command",
    "fsspec.implementations.local",
    "msal",
    "pandas",
    "psycopg",
    "pyarrow.parquet",
    "requests",
)


def main() -> int:
    """Serve until Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Whoever starts this in the background (`make ui &` in a script) hands Ctrl-C over as ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rows = given_rows()
    if wrong := misplaced_rows(rows, given_connections()):
        print(wrong, file=sys.stderr)
        return 1
    folder = Path(os.environ.get("UI_FOLDER") or PROJECT / ".ui").resolve()
    other = "Use that one, end it with Ctrl-C, or start this one elsewhere: UI_FOLDER=path make ui"
    try:
        with only_one(folder, program="Airflow", otherwise=other) as lock:
            port = chosen_port()
            with own_database(folder) as database:
                serve(Embedded(folder, rows, database), port=port, lock=lock)
    except NotStartedError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
    return 0


def own_database(folder: Path) -> AbstractContextManager[str | None]:
    """The URL of Airflow's metadata; none is a SQLite file."""
    given = os.environ.get("UI_DATABASE")
    if given:
        return nullcontext(None if given == "sqlite" else given)
    return metadata_database(folder / "postgres")


def serve(ui: Embedded, *, port: int, lock: IO[str]) -> None:
    """Start everything, say where it is, and wait; returns only by an exception."""
    environment = ui.environment(**settings(port))
    print(f"Airflow: preparing its metadata database ({ui.folder})", flush=True)
    ui.migrate(environment)
    password = login(ui.airflow_home)
    given = given_connections()
    source = f" with rows of {ui.rows}" if ui.rows else ""
    print(f"Connections: {', '.join(given)}" if given else f"Sandbox: starting{source}", flush=True)
    with nullcontext() if given else ui.sandbox() as sandbox:
        if sandbox:
            add_connections(ui, environment, sandbox)
        print("Airflow: starting (about 20 seconds)", flush=True)
        log = ui.logs / "standalone.log"
        process = start_airflow(environment, log, lock=lock)
        say(lock, f"http://127.0.0.1:{port}, process {process.pid}")
        try:
            wait_until_ready(process, port, log=log)
            unpause(f"http://127.0.0.1:{port}", password, log=log)
            print(welcome(port, password, log), flush=True)
            process.wait()
            raise NotStartedError(f"Airflow ended by itself: see {log}")
        finally:
            end_all(process)


def settings(port: int) -> dict[str, str]:
    """A small, private Airflow: eight tasks at once, on loopback, with the form's Test button."""
    free = iter(free_ports(2))
    return {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__MP_FORKSERVER_PRELOAD": ",".join(PRELOADED),
        "AIRFLOW__SCHEDULER__MP_START_METHOD": "forkserver",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(next(free)),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(next(free)),
        # A finished task otherwise sometimes holds its slot for five seconds.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    }


def login(home: Path) -> str:
    """The password of this folder's Airflow, in a file that only its owner can read."""
    path = home / "simple_auth_manager_passwords.json.generated"
    if path.is_file():
        password: str = json.loads(path.read_text("utf-8"))[USER]
        return password
    password = secrets.token_urlsafe(12)
    path.touch(mode=0o600)
    path.write_text(json.dumps({USER: password}) + "\n", "utf-8")
    return password


def add_connections(ui: Embedded, environment: dict[str, str], sandbox: dict[str, Any]) -> None:
    """Put both connections into Airflow's database, where the connection form shows them."""
    store = {"conn_type": "sqlite", "host": str(ui.state / "marketo.sqlite")}
    path = ui.state / "connections.json"
    path.touch(mode=0o600)
    path.write_text(
        json.dumps({"dynamics_default": sandbox["connection"], "marketo_store": store}), "utf-8"
    )
    try:
        ui.airflow(["connections", "import", str(path), "--overwrite"], environment)
    finally:
        path.unlink()


def start_airflow(
    environment: dict[str, str], log: Path, *, lock: IO[str]
) -> subprocess.Popen[bytes]:
    """Airflow's four services in a session of their own, so that Ctrl-C reaches us alone.

    They hold the folder's lock as well: should we be killed, it is theirs until they end.
    """
    with log.open("w") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "airflow", "standalone"],
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )


def wait_until_ready(process: subprocess.Popen[bytes], port: int, *, log: Path) -> None:
    """Wait for the scheduler, the DAG processor and the API server to be healthy."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if is_answered(port) and not is_ours(process, port):  # in this order: ours may come
            raise NotStartedError(
                f"Another program took port {port} in the meantime: start again, or choose a port "
                f"(PORT=8090 make ui).\nFull log: {log}"
            )
        if is_healthy(port) and is_ours(process, port):
            return
        time.sleep(0.5)
    raise NotStartedError(f"Airflow did not start: see {log}")


def is_ours(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether it is Airflow's API server that listens there, and not somebody else's."""
    with suppress(psutil.Error):
        for one in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if any(port == found.laddr.port for found in one.net_connections("tcp4")):
                    return True
    return False


def is_answered(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_healthy(port: int) -> bool:
    """What Airflow says of itself; an unknown address would answer 200 as well, but no JSON."""
    address = f"http://127.0.0.1:{port}/api/v2/monitor/health"
    try:
        health = requests.get(address, timeout=5).json()
    except requests.RequestException:
        return False
    parts = ("metadatabase", "scheduler", "dag_processor")
    return all(health.get(part, {}).get("status") == "healthy" for part in parts)


def unpause(origin: str, password: str, *, log: Path) -> None:
    """Let the sync run on its schedule, and the quick sync by its asset; the others wait."""
    deadline, waiting = time.monotonic() + READY_SECONDS, list(DAGS)
    while time.monotonic() < deadline:
        if is_unpaused(origin, {"username": USER, "password": password}, dag_id=waiting[0]):
            del waiting[0]
        if not waiting:
            return
        time.sleep(1)
    raise NotStartedError(f"Airflow does not let the DAG {waiting[0]} run: see {log}")


def is_unpaused(origin: str, credentials: dict[str, str], *, dag_id: str) -> bool:
    """Whether it could be done now: the DAG file may not have been parsed, SQLite may be busy."""
    address, change = f"{origin}/api/v2/dags/{dag_id}", {"is_paused": False}
    try:
        login = requests.post(f"{origin}/auth/token", json=credentials, timeout=30)
        token = login.json().get("access_token")
        headers = {"Authorization": f"Bearer {token}"}
        return bool(token) and requests.patch(address, json=change, headers=headers, timeout=30).ok
    except requests.RequestException:
        return False


def welcome(port: int, password: str, log: Path) -> str:
    """Where to go and what to look at."""
    return f"""
Airflow is ready:  http://127.0.0.1:{port}
Login:             {USER} / {password}

dynamics_opportunity_sync runs every five minutes; its first run brings everything. To run it
now, or over a window: Dags -> dynamics_opportunity_sync -> Trigger. For a backfill: Dags ->
dynamics_opportunity_backfill -> Trigger -> Backfill.
The connection form with its Test: Admin -> Connections -> dynamics_default.
Log of all services: {log}
Ctrl-C ends everything."""


def chosen_port() -> int:
    """PORT, or the first free one from 8080 on."""
    asked = os.environ.get("PORT")
    if not asked:
        return next(port for port in range(FIRST_PORT, FIRST_PORT + 1000) if is_free(port))
    if not (asked.isdecimal() and 0 < int(asked) <= LAST_PORT):
        raise NotStartedError(f"PORT={asked} is no port: give a number from 1 to {LAST_PORT}.")
    if not is_free(int(asked)):
        reason = "is taken by another program, or not open to you"
        raise NotStartedError(f"PORT={asked} {reason}: choose another one above 1023.")
    return int(asked)


def end_all(process: subprocess.Popen[bytes]) -> None:
    """End Airflow's processes: the parent alone would leave its children behind."""
    everyone: list[psutil.Process] = []
    if process.poll() is None:
        parent = psutil.Process(process.pid)
        everyone = [parent, *parent.children(recursive=True)]
    for one in everyone:
        send(one, signal.SIGTERM)
    _, alive = psutil.wait_procs(everyone, timeout=END_SECONDS)
    for one in alive:
        send(one, signal.SIGKILL)
    process.wait()


def send(one: psutil.Process, number: signal.Signals) -> None:
    """Signal a process that may be gone by now."""
    try:
        one.send_signal(number)
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    sys.exit(main())
