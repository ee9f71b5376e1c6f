"""Transactions on the store: one writer at a time, and whoever waits says so.

Airflow's `max_active_runs` does not bind backfills, so the store protects itself: `locked` is
one transaction under a lock that covers the whole store (PostgreSQL: an advisory lock that ends
with the transaction; SQLite: the write lock of `BEGIN IMMEDIATE`). Locks are asked for again and
again rather than waited for, since a wait inside the database can't be shown in a task's log.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import OperationalError

from opportunity_sync.errors import StoreUnavailableError
from opportunity_sync.store.engine import BEGIN, BUSY_MILLISECONDS
from opportunity_sync.store.faults import translated

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

STORE_LOCK = 0x6F70705F73796E63  # "opp_sync": advisory locks are numbers, shared by a database
_POLL_SECONDS = 0.2
_SAY_EVERY_SECONDS = 10.0


def _silent(_waited: float) -> None:
    """Nobody asked to hear of the wait."""


@contextmanager
def locked(
    engine: Engine, *, wait_seconds: float, on_wait: Callable[[float], None] = _silent
) -> Iterator[Connection]:
    """One transaction that no other run's `locked` overlaps; commits unless an error leaves it.

    `on_wait` hears the seconds waited, when the wait begins and every ten seconds after.

    Raises:
        StoreUnavailableError: the lock was held for longer than `wait_seconds`, or the database
            is down, full or locked by others.
    """
    with translated(engine), engine.connect() as connection:
        _until(lambda: _taken(connection), wait_seconds=wait_seconds, on_wait=on_wait)
        with connection.get_transaction() or connection.begin():
            yield connection


@contextmanager
def writing(
    engine: Engine, *, wait_seconds: float = 60, on_wait: Callable[[float], None] = _silent
) -> Iterator[Connection]:
    """A short transaction for book-keeping: beside a load on PostgreSQL, after it on SQLite."""
    if engine.dialect.name == "sqlite":
        with locked(engine, wait_seconds=wait_seconds, on_wait=on_wait) as connection:
            yield connection
        return
    with translated(engine), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees the store as it was at its first statement, and writes nothing."""
    with translated(engine), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


def _until(
    taken: Callable[[], bool], *, wait_seconds: float, on_wait: Callable[[float], None]
) -> None:
    started = time.monotonic()
    said = -_SAY_EVERY_SECONDS
    while not taken():
        waited = time.monotonic() - started
        if waited >= wait_seconds:
            raise StoreUnavailableError(
                f"Another run has held the store's lock for {waited:.0f} seconds.",
                next_step="nothing if that run makes progress: the task is retried by itself; "
                "otherwise end the program that holds the lock.",
            )
        if waited - said >= _SAY_EVERY_SECONDS:
            on_wait(waited)
            said = waited
        time.sleep(min(_POLL_SECONDS, wait_seconds - waited))


def _taken(connection: Connection) -> bool:
    if connection.dialect.name == "sqlite":
        return _began_immediately(connection)
    lock = select(func.pg_try_advisory_xact_lock(STORE_LOCK))
    return bool(connection.scalar(lock))


def _began_immediately(connection: Connection) -> bool:
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # SQLAlchemy knows any driver's
    driver.execute("PRAGMA busy_timeout=0")
    connection.execution_options(**{BEGIN: "IMMEDIATE"})
    try:
        connection.begin()
    except OperationalError as error:
        if "locked" not in str(error.orig):
            raise
        connection.rollback()
        return False
    finally:
        driver.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    return True
