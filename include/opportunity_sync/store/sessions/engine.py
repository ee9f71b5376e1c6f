"""One SQLAlchemy engine per kind of store, set so that all code after it is the same.

Each connection is made when it is needed and closed after (Airflow forks its tasks, and a pool
would be shared by accident). Statement parameters never appear in errors: they are people's
data. SQLite is switched to explicit transactions, since its driver would otherwise commit
around DDL and open transactions late.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from opportunity_sync.errors import ConfigError, UnsupportedStoreError
from opportunity_sync.store.sessions.opening import (
    connection_fault,
    is_file_there,
    private_file,
    read_only_address,
)
from opportunity_sync.store.sessions.session_watch import Waits, WatchedConnection

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from sqlalchemy import Dialect

# Execution option: how a SQLite transaction begins (`DEFERRED` or `IMMEDIATE`).
BEGIN = "sqlite_begin"
BUSY_MILLISECONDS = 5000

_POSTGRES_ARGUMENTS: dict[str, Any] = {
    "application_name": "opportunity_sync",
    "client_encoding": "utf8",
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 4,
    "tcp_user_timeout": 60_000,  # milliseconds until what was sent must have arrived
    "prepare_threshold": None,  # server-side plans would break behind a transaction pooler
}
# For each transaction: what statements mean, and what keeps it from harm. A role needs no right to
# set any of them.
_POSTGRES_SETTINGS: dict[str, str] = {
    "search_path": "public",
    "timezone": "'UTC'",
    "datestyle": "'ISO'",
    "client_min_messages": "warning",
    # `looked_up_by_index` forbids reading whole tables by a price so high that every statement
    # would seem worth compiling: a second for a load of five rows.
    "jit": "off",
    # A host that vanished in mid-load gives the store's lock back within a minute, not two hours.
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "'60s'",
}
_SQLITE_PRAGMAS = (
    f"busy_timeout={BUSY_MILLISECONDS}",
    "journal_mode=WAL",  # readers go on while a load writes
    "synchronous=NORMAL",  # with WAL a crash can't tear a commit
    "temp_store=FILE",  # a load's memory must not grow with the table
    "cache_size=-65536",
)


def store_engine(url: URL | str, *, waits: Waits | None = None, is_reader: bool = False) -> Engine:
    """The engine for a store: PostgreSQL through psycopg 3, or a SQLite file.

    `waits`: how long PostgreSQL is waited for. `is_reader`: whoever asks only reads, so the file
    must be there, is left as it is, and need not be this user's to write. Connecting raises
    `SyncError`s, see `connecting`.

    Raises:
        UnsupportedStoreError: another kind of database.
        ConfigError: what is given is no database URL.
    """
    parsed = _parse_url(url)
    match parsed.get_backend_name():
        case "postgresql" | "postgres":
            return _postgres(parsed.set(drivername="postgresql+psycopg"), waits or Waits())
        case "sqlite":
            return _sqlite(parsed.set(drivername="sqlite+pysqlite"), is_reader=is_reader)
        case other:
            raise UnsupportedStoreError(
                f"A store of kind {other!r} is not supported yet.",
                next_step="use a connection of type postgres or sqlite for the store.",
            )


def existing_store(engine: Engine) -> Engine:
    """The engine to look at a store with; an empty store's, where the SQLite file is yet to come.

    To open such a file, even for reading, would make it.
    """
    return engine if is_there(engine) else store_engine("sqlite://")


def is_there(engine: Engine) -> bool:
    """Whether the database can be there: a server's always, a SQLite file if it exists.

    Raises `ConfigError` where nobody can tell.
    """
    return engine.dialect.name != "sqlite" or is_file_there(Path(engine.url.database or ""))


def _parse_url(url: URL | str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(  # the cause would quote the URL, password and all
            "The store's connection is not a database URL.",
            next_step="check host, port and database of the store's connection.",
        ) from None


def _postgres(url: URL, waits: Waits) -> Engine:
    given = {name: value for name, value in _POSTGRES_ARGUMENTS.items() if name not in url.query}
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=given)
    settings = {**_POSTGRES_SETTINGS, "lock_timeout": f"'{waits.lock * 1000:.0f}ms'"}
    prepare = "; ".join(f"SET LOCAL {name} TO {value}" for name, value in settings.items())

    @event.listens_for(engine, "do_connect")
    def _connect(
        _dialect: Dialect, _record: object, arguments: Sequence[Any], given: dict[str, Any]
    ) -> WatchedConnection:
        try:
            connection = WatchedConnection.connect(*arguments, **given)
        except (psycopg.Error, ValueError) as error:
            raise connection_fault(error, url.password) from None
        connection.given, connection.waits = given, waits
        return connection

    @event.listens_for(engine, "begin")
    def _prepare(connection: Connection) -> None:
        driver: WatchedConnection = connection.connection.driver_connection  # type: ignore[assignment]  # SQLAlchemy knows any driver's
        driver.prepare_transaction(prepare)

    return engine


def _sqlite(url: URL, *, is_reader: bool) -> Engine:
    engine = create_engine(
        url, poolclass=NullPool, hide_parameters=True, connect_args={"isolation_level": None}
    )

    @event.listens_for(engine, "do_connect")
    def _connect(
        _dialect: Dialect, _record: object, arguments: list[Any], given: dict[str, Any]
    ) -> None:
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            return
        if not is_reader:
            private_file(Path(url.database))
        elif address := read_only_address(Path(url.database)):
            arguments[0], given["uri"] = address, True

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        how = connection.get_execution_options().get(BEGIN, "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {how}")

    return engine
