"""Transactions on the store: one writer at a time, and whoever waits says so.

Airflow's `max_active_runs` does not bind backfills, so the store protects itself: `lock_store` is
one transaction under a lock that covers the whole store (PostgreSQL: an advisory lock that ends
with the transaction; SQLite: the write lock of `BEGIN IMMEDIATE`). Locks are asked for again and
again rather than waited for, since a wait inside the database can't be shown in a task's log.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, Table, func, select, text
from sqlalchemy.exc import OperationalError

from opportunity_sync.errors import StoreUnavailableError
from opportunity_sync.store.sessions.database_errors import translate_errors
from opportunity_sync.store.sessions.engine import BEGIN, BUSY_MILLISECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

STORE_LOCK = 0x6F70705F73796E63  # "opp_sync": advisory locks are numbers, shared by a database
# The session that has it; names of programs may be read by anybody, also of other roles' sessions.
_HOLDER = text("""
SELECT a.pid, a.application_name,
  a.application_name = current_setting('application_name') AS is_ours
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.classid = :high AND l.objid = :low
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
LIMIT 1
""")
_POLL_SECONDS = 0.2
_SAY_EVERY_SECONDS = 10.0


def _say_nothing(_waited: float) -> None:
    """Nobody asked to hear of the wait."""


@contextmanager
def lock_store(
    engine: Engine, *, wait_seconds: float, on_wait: Callable[[float], None] = _say_nothing
) -> Iterator[Connection]:
    """One transaction that no other run's `lock_store` overlaps; commits unless an error leaves it.

    `on_wait` hears the seconds waited, when the wait begins and every ten seconds after.

    Raises:
        StoreUnavailableError: the lock was held for longer than `wait_seconds`, or the database
            is down, full or locked by others.
    """
    with translate_errors(engine), engine.connect() as connection:
        _wait_for_lock(connection, wait_seconds=wait_seconds, on_wait=on_wait)
        with connection.get_transaction() or connection.begin():
            yield connection


@contextmanager
def writing(
    engine: Engine, *, wait_seconds: float = 60, on_wait: Callable[[float], None] = _say_nothing
) -> Iterator[Connection]:
    """A short transaction for book-keeping: beside a load on PostgreSQL, after it on SQLite."""
    if engine.dialect.name == "sqlite":
        with lock_store(engine, wait_seconds=wait_seconds, on_wait=on_wait) as connection:
            yield connection
        return
    with translate_errors(engine, is_shared=True), engine.begin() as connection:
        yield connection


@contextmanager
def read_store(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees the store as it was at its first statement, and writes nothing."""
    with translate_errors(engine), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


def lock_table(connection: Connection, table: Table) -> None:
    """Let nobody else write a small book until this transaction ends; readers go on.

    For books that are read and then replaced, in `writing`, which runs beside others on PostgreSQL.
    """
    if connection.dialect.name == "postgresql":
        name = connection.dialect.identifier_preparer.format_table(table)
        connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")


def _wait_for_lock(
    connection: Connection, *, wait_seconds: float, on_wait: Callable[[float], None]
) -> None:
    started = time.monotonic()
    said = -_SAY_EVERY_SECONDS
    while not _take_lock(connection):
        waited = time.monotonic() - started
        if waited >= wait_seconds:
            raise StoreUnavailableError(
                f"{_holder(connection)} has held the store's lock for {waited:.0f} seconds.",
                next_step="wait for it, if it makes progress; otherwise end what holds the lock.",
            )
        if waited - said >= _SAY_EVERY_SECONDS:
            log.info("%s holds the store's lock.", _holder(connection))
            on_wait(waited)
            said = waited
        time.sleep(min(_POLL_SECONDS, wait_seconds - waited))


def _take_lock(connection: Connection) -> bool:
    if connection.dialect.name == "sqlite":
        return _begin_immediately(connection)
    if connection.scalar(select(func.pg_try_advisory_xact_lock(STORE_LOCK))):
        return True
    connection.rollback()  # nothing stays open while we wait: servers end idle transactions
    return False


def _holder(connection: Connection) -> str:
    """Who has the lock, for a sentence; SQLite does not know."""
    if connection.dialect.name == "sqlite":
        return "Another run or program"
    found = connection.execute(_HOLDER, {"high": STORE_LOCK >> 32, "low": STORE_LOCK & 0xFFFFFFFF})
    holder = found.one_or_none()
    connection.rollback()
    if holder is None:
        return "Another run"
    who = "Another run" if holder.is_ours else f"Another program ('{holder.application_name}')"
    return f"{who} (process {holder.pid} of the database)"


def _begin_immediately(connection: Connection) -> bool:
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # SQLAlchemy knows any driver's
    driver.execute("PRAGMA busy_timeout=0")
    connection.execution_options(**{BEGIN: "IMMEDIATE"})
    try:
        connection.begin()
    except OperationalError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0)
        if code & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        connection.rollback()
        return False
    finally:
        driver.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    return True
