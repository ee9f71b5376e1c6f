"""Keeps tests away from the outside: no network but loopback, no settings of the person's own.

A test that asks the internet passes here and fails elsewhere, and one that finds a real Airflow
connection in the environment could write into a real store. Both must be impossible.
"""

from __future__ import annotations

import atexit
import ipaddress
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet

PROJECT = Path(__file__).resolve().parents[2]
FOREIGN_PREFIXES = ("AIRFLOW", "OPPORTUNITY_SYNC_", "DYNAMICS_SANDBOX_", "PG")
LOCAL_NAMES = frozenset({"", "localhost", socket.gethostname()})
FOREIGN_NAMES = ("http_proxy", "https_proxy", "all_proxy", "PYTHONDONTWRITEBYTECODE")


class NetworkBlockedError(RuntimeError):
    """A test tried to leave this machine. No OSError, so that no retry takes it for a fault."""


def block_network() -> None:
    """Refuse, for the rest of this process, every connection and name look-up but local ones."""

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if not event.startswith("socket."):
            return
        host = _host_asked_for(event, arguments)
        if not _is_local(host):
            msg = f"a test may not reach {host!r}: use the sandbox, or another server on loopback"
            raise NetworkBlockedError(msg)

    sys.addaudithook(audit)


def _host_asked_for(event: str, arguments: tuple[object, ...]) -> object:
    if event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        return arguments[0]
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        family, address = getattr(arguments[0], "family", None), arguments[1]
        if family in {socket.AF_INET, socket.AF_INET6} and isinstance(address, tuple):
            return address[0]
    return None


def _is_local(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or name in LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(str(name).partition("%")[0]).is_loopback
    except ValueError:
        return False


def isolate_environment() -> Path:
    """Drop the caller's Airflow and proxy settings and give Airflow an empty home, returned.

    Must run before anything imports Airflow, which reads its configuration on import.
    """
    for name in list(os.environ):
        if name.startswith(FOREIGN_PREFIXES) or name.lower() in FOREIGN_NAMES:
            del os.environ[name]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    home = Path(tempfile.mkdtemp(prefix="airflow-tests-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__API__HOST": "127.0.0.1",
        # Airflow makes a key of its own with the file of its settings, which whoever comes first
        # writes: this process, or a program that a test starts. One key for both.
        "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
        # Programs that tests start find our packages as the tests do.
        "PYTHONPATH": os.pathsep.join([str(PROJECT / "include"), str(PROJECT / "plugins")]),
    }
    return home
