"""What a database error means for the operator: which class, which sentence, what to do next.

Databases say the same thing in many ways (a full disk is SQLSTATE 53100 here, SQLITE_FULL there).
One table for each kind of database maps them; what is not in it is a fault of the code or the
data and passes as it is. The text of an error is cut to the server's own sentence: details can
quote rows, and a connection error could quote the URL.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy.exc import DBAPIError

from opportunity_sync.errors import ConfigError, StoreUnavailableError, SyncError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

_FULL = "make room on the store's disk; the store stays as it was and the task is retried."
_LOCKED = "another program holds the store; end it if the retries do not get through."
_DOWN = "check that the store's database runs and can be reached; the task is retried."
_FILE = "check that the store's file and folder exist, are writable and have room."
_RIGHTS = "let the store's role create and write tables in schema public."
_LOGIN = "check host, database, login and password of the store's connection."

# SQLSTATE or the class it begins with, the longer one first.
_POSTGRES: tuple[tuple[str, type[SyncError], str], ...] = (
    ("53100", StoreUnavailableError, _FULL),
    ("53", StoreUnavailableError, _DOWN),
    ("08", StoreUnavailableError, _DOWN),
    ("57P", StoreUnavailableError, _DOWN),
    ("57014", StoreUnavailableError, _LOCKED),
    ("55P03", StoreUnavailableError, _LOCKED),
    ("40", StoreUnavailableError, _LOCKED),
    ("58", StoreUnavailableError, _DOWN),
    ("25006", StoreUnavailableError, "point the connection at the primary server."),
    ("25P03", StoreUnavailableError, _LOCKED),
    ("28", ConfigError, _LOGIN),
    ("3D", ConfigError, _LOGIN),
    ("42501", ConfigError, _RIGHTS),
)
_SQLITE: dict[int, tuple[type[SyncError], str]] = {
    sqlite3.SQLITE_BUSY: (StoreUnavailableError, _LOCKED),
    sqlite3.SQLITE_LOCKED: (StoreUnavailableError, _LOCKED),
    sqlite3.SQLITE_FULL: (StoreUnavailableError, _FULL),
    sqlite3.SQLITE_IOERR: (StoreUnavailableError, _FILE),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailableError, _FILE),
    sqlite3.SQLITE_READONLY: (StoreUnavailableError, _FILE),
    sqlite3.SQLITE_NOTADB: (ConfigError, "point the store's connection at a SQLite file."),
    sqlite3.SQLITE_CORRUPT: (ConfigError, "restore the store's file, or rebuild it from nothing."),
}


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Turn errors of the store's database into `SyncError`s; others pass unchanged."""
    try:
        yield
    except (DBAPIError, psycopg.Error, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        meaning = _meaning(cause)
        if meaning is None:
            raise
        kind, next_step = meaning
        sentence = _sentence(cause, engine.url.password)
        raise kind(f"The store refused: {sentence}.", next_step=next_step) from error


def _meaning(cause: BaseException | None) -> tuple[type[SyncError], str] | None:
    if isinstance(cause, psycopg.Error):
        return _postgres_meaning(cause)
    code = getattr(cause, "sqlite_errorcode", None)
    return None if code is None else _SQLITE.get(code & 0xFF)  # the high bits say details


def _postgres_meaning(cause: psycopg.Error) -> tuple[type[SyncError], str] | None:
    if cause.sqlstate is None:  # libpq gives none for what failed before the session stood
        refused = "authentication failed" in str(cause) or "does not exist" in str(cause)
        if refused:
            return (ConfigError, _LOGIN)
        lost = isinstance(cause, psycopg.OperationalError)
        return (StoreUnavailableError, _DOWN) if lost else None
    matches = (
        (kind, next_step)
        for start, kind, next_step in _POSTGRES
        if cause.sqlstate.startswith(start)
    )
    return next(matches, None)


def _sentence(cause: BaseException | None, password: str | None) -> str:
    primary = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    lines = (primary or str(cause)).strip().splitlines() or [type(cause).__name__]
    sentence = lines[0].rstrip(".")
    return sentence.replace(password, "***") if password else sentence
