"""`docker-compose.yaml` without Docker: its services as processes of this machine.

Each service runs the command that the file gives it, with the environment that the file gives it
and nothing of the caller's. Those of the production image have its packages and code only; the
sandbox, whose image is another, runs in the tests' own environment. Only places change: host names
and ports become free ports of loopback, `/opt/airflow` a folder of the test. PostgreSQL is the
tests' own.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = Path(__file__).resolve().parents[2]
REFERENCE = re.compile(r"\$\$|\$\{(\w+):([-?])([^}]*)\}")
PORTS = ("6379", "8080", "8443", "8974")
PYCACHE = shutil.ignore_patterns("__pycache__")
DATABASES = frozenset({"metadata-db", "store-db"})

# Seconds; what takes some of them on a free machine can take minutes on a busy one.
PATIENCE = 420


@dataclass
class NativeCompose:
    """The services of the file; started on demand, all ended by `end`."""

    home: Path
    variables: Mapping[str, str]
    database_port: int
    image: Path = PROJECT / ".venv-image"
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Lay the folder out as the image has it, with the code as it is now."""
        for name in ("include/opportunity_sync", "plugins", "dags"):
            shutil.copytree(PROJECT / name, self.home / name, ignore=PYCACHE)
        for name in ("logs", "staging", "sandbox", "data", "output"):
            (self.home / name).mkdir()
        self.ports = {port: free_port() for port in PORTS}
        text = (PROJECT / "docker-compose.yaml").read_text()
        self.services: dict[str, dict[str, Any]] = yaml.safe_load(text)["services"]

    @staticmethod
    def postgres_settings() -> list[str]:
        """What the file sets for its PostgreSQL services, as `name=value`."""
        text = (PROJECT / "docker-compose.yaml").read_text()
        command: list[str] = yaml.safe_load(text)["services"]["store-db"]["command"]
        return [word for word in command if "=" in word]

    def start(self, name: str, *, replica: int = 1) -> None:
        """Start a service as soon as what it waits for is as it wants it."""
        key = f"{name}-{replica}"
        if name in DATABASES or key in self.processes:
            return
        for other, wanted in self.services[name].get("depends_on", {}).items():
            self.start(other)
            self.await_state(other, wanted["condition"])
        with (self.home / "output" / f"{key}.log").open("wb") as output:
            self.processes[key] = subprocess.Popen(
                self.command(name, replica),
                cwd=self.home / "data",
                env=self.environment(name, replica),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def await_state(self, name: str, condition: str | None = None) -> None:
        """Wait until a one-shot has ended well, or a lasting service is healthy."""
        if name in DATABASES:
            return
        if condition == "service_completed_successfully" or (
            condition is None and "healthcheck" not in self.services[name]
        ):
            self.await_end(f"{name}-1")
        else:
            self.await_health(name)

    def command(self, name: str, replica: int) -> list[str]:
        """What the file says to run; workers on one machine need names of their own."""
        words = self.fill_in_words(self.services[name]["command"])
        if words[:3] == ["airflow", "celery", "worker"]:
            node = f"celery@{name}-{replica}"
            words += ["--celery-hostname", node, "--pid", str(self.home / f"{name}-{replica}.pid")]
        return words

    def environment(self, name: str, replica: int = 1) -> dict[str, str]:
        """The image's and the service's own variables, and the places of this machine."""
        given = self.services[name].get("environment", {})
        programs, code = self.contents(self.services[name].get("build", {}).get("target"))
        return {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "AIRFLOW_HOME": str(self.home),
            "HOME": str(self.home),
            "HOSTNAME": f"{name}-{replica}",
            "LANG": "C.UTF-8",
            "PYTHONPATH": code,
            "PYTHONUNBUFFERED": "1",
            **{key: self.fill_in_words([str(value)])[0] for key, value in given.items()},
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.ports["8080"]),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.ports["8974"]),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        }

    def contents(self, target: str | None) -> tuple[Path, str]:
        """Where an image's programs and code are on this machine; of another's image none are."""
        if target == "sandbox":
            return Path(sys.prefix, "bin"), f"{PROJECT}/include"
        return self.image / "bin", f"{self.home}/include:{self.home}/plugins"

    def fill_in_words(self, words: list[str]) -> list[str]:
        """The words with their variables filled in, and every place on this machine."""
        return [self.move_places(REFERENCE.sub(self.value_of, word)) for word in words]

    def value_of(self, reference: re.Match[str]) -> str:
        """A variable's value as Compose would put it in."""
        if reference[0] == "$$":
            return "$"
        value = self.variables.get(reference[1], "")
        if not value and reference[2] == "?":
            raise KeyError(reference[1])
        return value or reference[3]

    def move_places(self, text: str) -> str:
        """Host names, ports and paths of the containers, as they are here."""
        moves = {
            "@metadata-db/": f"@127.0.0.1:{self.database_port}/",
            "@redis:": "@127.0.0.1:",
            "//airflow-apiserver:": "//127.0.0.1:",
            "//localhost:8080": f"//127.0.0.1:{self.ports['8080']}",
            "//sandbox:": "//localhost:",
            "--host=sandbox": "--host=localhost",
            "'sandbox', ": "'localhost', ",
            "/opt/airflow": str(self.home),
            "/tmp/": f"{self.home}/data/",
        } | {port: str(free) for port, free in self.ports.items()}
        # In one pass: what came in by one move must not be moved by another.
        places = "|".join(re.escape(place) for place in moves)
        return re.sub(places, lambda found: moves[found[0]], text)

    def await_health(self, name: str, replica: int = 1) -> None:
        """Ask the service's own health check until it passes."""
        deadline = time.monotonic() + PATIENCE
        while not self.is_healthy(name, replica):
            ended = self.processes[f"{name}-{replica}"].poll()
            if ended is not None or time.monotonic() > deadline:
                state = "is not healthy" if ended is None else f"ended with {ended}"
                raise AssertionError(f"{name} {state}:\n{self.last_lines(f'{name}-{replica}')}")
            time.sleep(1)

    def is_healthy(self, name: str, replica: int = 1) -> bool:
        """What the health check of the file says now."""
        kind, *words = self.fill_in_words(self.services[name]["healthcheck"]["test"])
        asked = subprocess.run(
            words if kind == "CMD" else ["sh", "-c", *words],
            env=self.environment(name, replica),
            check=False,
            capture_output=True,
            timeout=PATIENCE,
        )
        return asked.returncode == 0

    def await_end(self, key: str) -> None:
        """A one-shot must end well."""
        code = self.processes[key].wait(PATIENCE)
        assert code == 0, f"{key} ended with {code}:\n{self.last_lines(key)}"

    def last_lines(self, key: str) -> str:
        """The last lines of what a service printed."""
        text = (self.home / "output" / f"{key}.log").read_text("utf-8", errors="replace")
        return "\n".join(text.splitlines()[-40:])

    def family(self) -> list[psutil.Process]:
        """All processes of the services that run."""
        found = []
        for process in self.processes.values():
            if process.poll() is None:
                leader = psutil.Process(process.pid)
                found += [leader, *leader.children(recursive=True)]
        return found

    def arguments(self) -> list[str]:
        """What every user of the machine can read of each process: its arguments."""
        found = []
        for process in self.family():
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                found.append(" ".join(process.cmdline()))
        return [words for words in found if words]

    def end(self) -> None:
        """End the services in the reverse order, as Docker does: ask, and then insist."""
        family = self.family()
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        _, alive = psutil.wait_procs(family, timeout=10)
        for left in alive:
            left.kill()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
