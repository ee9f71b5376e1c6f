"""What a database error means for the operator: which class, which sentence, what to do next.

Databases say the same thing in many ways (a full disk is SQLSTATE 53100 here, SQLITE_FULL there).
One table for each kind of database maps them by their cause. What is in neither does not heal by
waiting as far as anybody knows, so a person must look. Only the server's own sentence is passed
on, without quoted values: details, contexts and triggers quote rows, and rows are people's data.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy.exc import StatementError

from opportunity_sync.errors import ConfigError, StoreUnavailableError, SyncError
from opportunity_sync.store.sessions.session_watch import SilentDatabaseError
from opportunity_sync.store.sessions.wiping import wipe_secret, wipe_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

Meaning = tuple[type[SyncError], str]

_FULL = "make room on the store's disk; the store stays as it was."
_LOCKED = "end the program that holds the store if the retries do not get through."
_DOWN = "check that the store's database runs and can be reached; the store stays as it was."
_SILENT = (
    "look at what stands between this machine and the database (proxy, pooler, firewall): the "
    "session is there and no answer comes through."
)
_BUSY = "free connections or memory of the database, or raise its limits, if it stays like that."
_PRIMARY = "point the connection at the primary server, and let it be written to."
_FILE = "check the store's disk; if the file is on a network drive, move it to a local one."
_MOUNT = "let the pipeline's user write the store's file and its folder."
_RIGHTS = (
    "let the store's role use schema public, create and write tables in it, and make temporary "
    "tables in the database (GRANT TEMPORARY); an upgrade changes tables, which must be the role's "
    "own (ALTER TABLE ... OWNER TO ...). One that only reads needs USAGE ON SCHEMA public and "
    "SELECT ON ALL TABLES IN SCHEMA public, again after an upgrade that made tables."
)
_LOGIN = "check host, database, login and password of the store's connection."
_FOREIGN = (
    "give the store a database of its own: this one holds a table of that name that is not the "
    "store's."
)
_SCHEMA = (
    "somebody changed the store's tables: give them back the columns and types of docs/store.md, "
    "or begin with an empty database."
)
_GONE = (
    "let the store's role use schema public (GRANT USAGE); if the table itself is gone, restore "
    "the database, or begin with an empty one."
)
_DAMAGED = "restore the database from its backup, or rebuild the store from nothing."
_REPORT = "look into the database's log for the rest, and report it as a fault of the pipeline."
_IDLE = (
    "raise idle_in_transaction_session_timeout and transaction_timeout for the store's role "
    "(ALTER ROLE ... SET ...)."
)
_STATEMENT = "raise statement_timeout for the store's role (ALTER ROLE ... SET ...)."
_RACE = "nothing; another run wrote the same at that moment, and the next try goes on from there."
_CANCELLED = "ask who ended it (pg_cancel_backend), if the retries do not get through."

# SQLSTATE or what it begins with; the longest one that fits counts.
_POSTGRES: dict[str, Meaning] = {
    "08": (StoreUnavailableError, _DOWN),
    "0A": (ConfigError, _SCHEMA),
    "25006": (StoreUnavailableError, _PRIMARY),
    "25P03": (StoreUnavailableError, _IDLE),
    "25P04": (StoreUnavailableError, _IDLE),
    "28": (ConfigError, _LOGIN),
    "3D": (ConfigError, _LOGIN),
    "3F": (ConfigError, _RIGHTS),
    "40": (StoreUnavailableError, _LOCKED),
    "42": (ConfigError, _SCHEMA),
    "42501": (ConfigError, _RIGHTS),
    "42P01": (ConfigError, _GONE),
    "42P07": (ConfigError, _FOREIGN),
    "42710": (ConfigError, _FOREIGN),
    "53": (StoreUnavailableError, _BUSY),
    "53100": (StoreUnavailableError, _FULL),
    "55006": (StoreUnavailableError, _LOCKED),
    "55P03": (StoreUnavailableError, _LOCKED),
    "57014": (StoreUnavailableError, _CANCELLED),
    "57P": (StoreUnavailableError, _DOWN),
    "57P04": (ConfigError, _LOGIN),
    "58030": (StoreUnavailableError, _DOWN),
    "58P": (ConfigError, _DAMAGED),
    "XX001": (ConfigError, _DAMAGED),
    "XX002": (ConfigError, _DAMAGED),
}
_SQLITE: dict[int, Meaning] = {
    sqlite3.SQLITE_ERROR: (ConfigError, _SCHEMA),
    sqlite3.SQLITE_BUSY: (StoreUnavailableError, _LOCKED),
    sqlite3.SQLITE_LOCKED: (StoreUnavailableError, _LOCKED),
    sqlite3.SQLITE_PROTOCOL: (StoreUnavailableError, _FILE),
    sqlite3.SQLITE_FULL: (StoreUnavailableError, _FULL),
    sqlite3.SQLITE_NOMEM: (StoreUnavailableError, _BUSY),
    sqlite3.SQLITE_IOERR: (StoreUnavailableError, _FILE),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailableError, _FILE),
    sqlite3.SQLITE_PERM: (ConfigError, _MOUNT),
    sqlite3.SQLITE_READONLY: (ConfigError, _MOUNT),
    sqlite3.SQLITE_NOTADB: (ConfigError, "point the store's connection at a SQLite file."),
    sqlite3.SQLITE_CORRUPT: (ConfigError, _DAMAGED),
}
# The file was moved or replaced while it was open: the next try opens the one that is there.
_SQLITE_MOVED = sqlite3.SQLITE_READONLY_DBMOVED
# Sources of PostgreSQL that raise what whoever wrote a trigger or function says.
_OWN_WORDS = re.compile(r"pl(_exec|py|perl|tcl|v8)")
_UNKNOWN: Meaning = (ConfigError, _REPORT)


@contextmanager
def translate_errors(engine: Engine, *, is_shared: bool = False) -> Iterator[None]:
    """Turn errors of the store's database into `SyncError`s without any value of a row.

    `is_shared`: others write at the same time, so a key that is there twice heals; elsewhere it is
    a fault.

    The original is no part of what is raised, since its text may quote rows; where the fault may be
    the code's own, its frames are.
    """
    try:
        yield
    except (StatementError, psycopg.Error, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, StatementError) else error
        wrong = meaning_of(cause, engine.url.password)
        if is_shared and isinstance(cause, psycopg.errors.UniqueViolation):
            wrong = StoreUnavailableError(wrong.problem, next_step=_RACE)
        frames = error.__traceback__ if wrong.next_step == _REPORT else None
        raise wrong.with_traceback(frames) from None


def meaning_of(cause: BaseException | None, password: str | None = None) -> SyncError:
    """The error of ours that a database's error amounts to."""
    kind, next_step = _meaning(cause)
    sentence = wipe_secret(_sentence(cause), password)
    return kind(f"The store refused: {sentence}.", next_step=next_step)


def _meaning(cause: BaseException | None) -> Meaning:
    if isinstance(cause, psycopg.Error):
        return _postgres_meaning(cause)
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None:
        return _UNKNOWN
    if code == _SQLITE_MOVED:
        return (StoreUnavailableError, _FILE)
    if code == sqlite3.SQLITE_ERROR and str(cause).endswith("already exists"):
        return (ConfigError, _FOREIGN)
    return _SQLITE.get(code & 0xFF, _UNKNOWN)  # the high bits say details


def _postgres_meaning(cause: psycopg.Error) -> Meaning:
    state = cause.sqlstate
    if isinstance(cause, SilentDatabaseError):
        return (StoreUnavailableError, _SILENT)
    if state is None:  # libpq's own words: what was said when the session broke off
        lost = isinstance(cause, psycopg.OperationalError)
        return (StoreUnavailableError, _DOWN) if lost else _UNKNOWN
    if state == psycopg.errors.QueryCanceled.sqlstate and _is_timed_out(cause):
        return (StoreUnavailableError, _STATEMENT)
    starts = (state[:length] for length in range(len(state), 1, -1))
    return next((_POSTGRES[start] for start in starts if start in _POSTGRES), _UNKNOWN)


def _is_timed_out(cause: psycopg.Error) -> bool:
    """A cancelled statement: by the database's own time-out, or by somebody?"""
    said = cause.diag.message_primary or ""
    return "user request" not in said and getattr(cause, "statement_timeout", "") != "0"


def _sentence(cause: BaseException | None) -> str:
    if isinstance(cause, psycopg.Error):
        return _postgres_sentence(cause)
    if isinstance(cause, sqlite3.Error):
        if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
            return "a trigger raised an error of its own, which may quote rows"
        return _first_line(cause)
    return f"a value can't be handed to the database ({type(cause).__name__})"


def _postgres_sentence(cause: psycopg.Error) -> str:
    state, primary = cause.sqlstate, cause.diag.message_primary
    if state is None or primary is None:
        line = _first_line(cause)
        return wipe_values(line) if isinstance(cause, psycopg.DataError) else line
    if state.startswith("P0") or _OWN_WORDS.match(cause.diag.source_file or ""):
        sentence = "a trigger or function raised an error of its own, which may quote rows"
    elif state.startswith("22"):  # about values, which it quotes
        sentence = wipe_values(primary) + _place(cause)
    else:
        sentence = primary.strip().rstrip(".")
    return f"{sentence}{getattr(cause, 'told', '')} (SQLSTATE {state})"


def _place(cause: psycopg.Error) -> str:
    """The column that a COPY was at, without what it read there."""
    found = re.match(r"COPY (\w+), line \d+, column (\w+)", cause.diag.context or "")
    return f" in column {found[2]} of {found[1]}" if found else ""


def _first_line(cause: BaseException) -> str:
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return lines[0].rstrip(".")
