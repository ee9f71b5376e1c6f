"""Airflow and the sandbox in a folder of the project, for `make demo` and `make ui`.

Both must run on any machine without touching what is there: an Airflow of the person's own, its
settings and its database. So Airflow's home, its metadata and the sandbox live in the program's
own folder, and only the two connections may come from outside.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PROJECT = Path(__file__).resolve().parents[1]
DYNAMICS, STORE = CONNECTIONS = ("AIRFLOW_CONN_DYNAMICS_DEFAULT", "AIRFLOW_CONN_MARKETO_STORE")
SEED = 2024
OPPORTUNITIES = 3000
READY_SECONDS = 180
END_SECONDS = 10
NOTHING_TO_SERVE = 2  # the sandbox's exit code when it told why it can't serve


class NotStartedError(Exception):
    """Something that the program needs did not start; the message says where to look."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The program's folder, and in it the state of one organisation (sandbox and store)."""

    folder: Path
    rows: Path | None = None  # a folder of Web API rows instead of the generated organisation
    database: str | None = None  # a URL for Airflow's metadata instead of a SQLite file

    @property
    def state(self) -> Path:
        """Each organisation has a store of its own: a store refuses the rows of another one.

        Folders are told apart by their whole path, and kept away from the names of our own.
        """
        if self.rows is None:
            return self.folder / "generated"
        name = re.sub(r"[^\w-]+", "-", self.rows.name, flags=re.ASCII)[:40].strip("-")
        digest = sha256(os.fsencode(self.rows)).hexdigest()[:8]
        return self.folder / "folders" / f"{name}-{digest}"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def airflow_home(self) -> Path:
        return self.folder / "airflow"

    def environment(self, **more: str) -> dict[str, str]:
        """What every process gets: nothing of another Airflow but the two connections."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if (name in CONNECTIONS and value) or not name.startswith("AIRFLOW")
        }
        return kept | {
            "AIRFLOW_HOME": str(self.airflow_home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            **self.metadata(),
            # `airflow standalone` starts its services by name.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")]),
            "PYTHONPATH": os.pathsep.join([str(PROJECT / "include"), str(PROJECT / "plugins")]),
            "PYTHONWARNINGS": "ignore",
            **more,
        }

    def metadata(self) -> dict[str, str]:
        """Where Airflow keeps its metadata.

        Eight tasks at once write to a SQLite file, so five seconds, the default, are too few to
        wait for its lock. Longer than tasks wait for an answer (half a minute) would be too long:
        the API server writes its audit log in the thread that shall also end the request which
        has the lock, and then stands still for all of that time.
        """
        conn = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
        if self.database:
            return {conn: self.database, f"{conn}_ASYNC": self.database}
        return {conn: f"sqlite:///{self.airflow_home / 'airflow.db'}?timeout=20"}

    def migrate(self, environment: dict[str, str]) -> None:
        """Make Airflow's metadata database, or bring it up to date; nothing to do the next time."""
        stamp = self.airflow_home / "migrated-to"
        place = (self.database or "sqlite").partition("?")[
            0
        ]  # the socket's folder is new each time
        current = f"{version('apache-airflow')} {sha256(place.encode()).hexdigest()[:16]}"
        if stamp.is_file() and stamp.read_text("utf-8") == current:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds logins, rows and logs
        self.airflow_home.mkdir(mode=0o700, exist_ok=True)
        self.airflow(["db", "migrate"], environment)
        stamp.write_text(current, "utf-8")

    def airflow(self, arguments: list[str], environment: dict[str, str]) -> None:
        """Run one Airflow command to its end; its output goes to a file of its own."""
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.logs / f"airflow-{arguments[0]}.log"
        with path.open("w") as log:
            done = subprocess.run(
                [sys.executable, "-m", "airflow", *arguments],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise NotStartedError(f"`airflow {' '.join(arguments)}` failed: see {path}")

    @contextmanager
    def sandbox(self) -> Iterator[dict[str, Any]]:
        """The running sandbox's description; it ends with the block, or with this process."""
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        ready = self.state / "sandbox.json"
        ready.unlink(missing_ok=True)
        rows = ["--folder", str(self.rows)] if self.rows else generated_arguments()
        port = str(kept_port(self.state / "port"))
        options = ["--state-dir", str(self.state), "--port", port, "--exit-with-parent"]
        path = self.logs / "sandbox.log"
        with path.open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dynamics_sandbox", *rows, *options],
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            description = describe_embedded(process, ready, log=path)
            tell(line for line in read_lines(path) if not line.startswith("Sandbox ready"))
            yield description
        finally:
            end(process)
            ready.unlink(missing_ok=True)


def kept_port(path: Path) -> int:
    """The port of the last time, if it is free: change tracking goes on at the same address."""
    with suppress(OSError, ValueError):
        if is_free(port := int(path.read_text("utf-8"))):
            return port
        print(f"Port {port}, the sandbox's last one, is taken: at another, all is read anew.")
    port = free_ports(1)[0]
    path.write_text(str(port), "utf-8")
    return port


def is_free(port: int) -> bool:
    """Whether nothing listens there on loopback, not even on all addresses at once."""
    with socket.socket() as probe, suppress(OSError):
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def generated_arguments() -> list[str]:
    """The organisation that every demo makes alike."""
    return ["--seed", str(SEED), "--opportunities", str(OPPORTUNITIES)]


def describe_embedded(
    process: subprocess.Popen[bytes], ready: Path, *, log: Path
) -> dict[str, Any]:
    """Wait until the sandbox serves, and read what it wrote about itself."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if ready.is_file():
            with suppress(json.JSONDecodeError):  # it is being written
                description: dict[str, Any] = json.loads(ready.read_text("utf-8"))
                return description
        time.sleep(0.1)
    words = read_lines(log)
    if process.poll() == NOTHING_TO_SERVE and words:
        raise NotStartedError("\n".join(words))
    last = f": {words[-1]}" if words else "."
    raise NotStartedError(f"The sandbox did not start{last}\nFull log: {log}")


def read_lines(log: Path) -> list[str]:
    """What a program told the person so far, line by line."""
    return [line for line in log.read_text("utf-8", errors="replace").splitlines() if line]


def tell(lines: Iterable[str]) -> None:
    """Show what a program of ours told."""
    for line in lines:
        print(f"  {line}", flush=True)


def end(process: subprocess.Popen[Any]) -> None:
    """End a program that we started: asked first, then made to."""
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def given_connections() -> list[str]:
    """Which of the two connections the caller's environment brings."""
    return [name for name in CONNECTIONS if os.environ.get(name)]


def given_rows() -> Path | None:
    """The folder of Web API rows that the caller's environment asks for."""
    rows = os.environ.get("DEMO_FOLDER")
    return Path(rows).expanduser().resolve() if rows else None


def misplaced_rows(rows: Path | None, given: Sequence[str]) -> str | None:
    """Why the rows of a folder can't be had; none where they can, or where nobody asks for them."""
    if rows and not rows.is_dir():
        return f"DEMO_FOLDER: {rows} is no folder."
    if rows and given:
        return f"DEMO_FOLDER and {given[0]} are both set: unset one of them."
    return None


def contradiction(rows: Path | None, given: Sequence[str]) -> str | None:
    """What the caller's environment asks for that can't be had; none where all is well."""
    if len(given) == 1 and not rows:
        [other] = set(CONNECTIONS).difference(given)
        return f"{given[0]} is set and {other} is not: set both, or none for the demo's own."
    return misplaced_rows(rows, given)
