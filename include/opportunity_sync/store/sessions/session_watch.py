"""Waiting for PostgreSQL's answers: never without a word, and never for an answer that won't come.

A statement may take minutes, wait for a lock that another program holds, or have got lost in a
proxy or firewall that went silent with both its connections open. A time-out can't tell these
apart. So who waits for longer than a moment asks the server, on a second connection, what the
session is doing: work is waited for, a lock's holder is named, silence ends the connection.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Waits:
    """How long is waited, in seconds: for a lock on a table, until a look, for a sign of life."""

    lock: float = 60
    look: float = 10
    silence: float = 60


class SilentDatabaseError(psycopg.OperationalError):
    """The server's answer did not come, though it no longer works at one."""


# Whether the session is at work for us, the tables it waits for, and who has locked them.
_LOOK = """
SELECT a.state = 'active' AND coalesce(a.wait_event, '') NOT IN ('ClientRead', 'ClientWrite'),
  (SELECT string_agg(DISTINCT l.relation::regclass::text, ', ') FROM pg_locks l
   WHERE l.pid = a.pid AND (NOT l.granted OR l.locktype = 'tuple')
   AND l.relation IS NOT NULL AND l.database = a.datid),
  (SELECT string_agg(format('''%%s'' (process %%s)', b.application_name, b.pid), ', ')
   FROM pg_stat_activity b WHERE b.pid = ANY(pg_blocking_pids(a.pid)))
FROM pg_stat_activity a
WHERE a.pid = %s AND extract(epoch FROM pg_postmaster_start_time())::text = %s
"""
_WHO_AM_I = (
    "SELECT pg_backend_pid(), extract(epoch FROM pg_postmaster_start_time())::text, "
    "current_setting('statement_timeout')"
)
# In the middle of a statement the server looks after its client only if it is told to (since
# version 14, not on every system): else a killed load keeps the lock till its statement ends.
_LOOK_AFTER_ME = (
    "SELECT set_config('client_connection_check_interval', '10s', true) WHERE version() ILIKE "
    "'%linux%' AND current_setting('client_connection_check_interval', true) IS NOT NULL"
)
_MINUTE = 60


class _Asking(psycopg.Connection[Any]):
    """The second connection, which itself is never waited for long."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = 5) -> Any:
        return super().wait(gen, interval, timeout)


class WatchedConnection(psycopg.Connection[Any]):
    """psycopg's connection, which looks after statements that take long."""

    waits = Waits()
    given: Mapping[str, Any]  # what it was made with, for the second connection
    _session: tuple[int, str] | None = None
    _statement_timeout = "0"
    _blocked = ""

    def prepare_transaction(self, statements: str) -> None:
        """Run what begins each transaction, and learn which session it has, pooler or not."""
        with self.cursor() as cursor:
            cursor.execute(f"{statements}; {_LOOK_AFTER_ME}; {_WHO_AM_I}".encode())
            cursor.set_result(-1)
            pid, started, self._statement_timeout = cursor.fetchone() or (0, "", "0")
            self._session = (pid, started)

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait as psycopg does; errors are told (`told`) what only this connection knows."""
        try:
            return super().wait(self._watch_steps(gen), interval, timeout)
        except psycopg.errors.LockNotAvailable as error:
            error.told = self._blocked  # type: ignore[attr-defined]  # `faults` reads it
            raise
        except psycopg.errors.QueryCanceled as error:
            error.told = self._time_out(error)  # type: ignore[attr-defined]  # as above
            raise

    def _time_out(self, error: psycopg.Error) -> str:
        is_wanted = self._statement_timeout == "0" or "user request" in str(error)
        return "" if is_wanted else f", which is {self._statement_timeout}"

    def _watch_steps(self, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """The steps, with a look at the server each time nothing has come for a while."""
        began = heard = looked = time.monotonic()
        self._blocked = ""
        try:
            wanted = next(steps)
            while True:
                ready = yield wanted
                now = time.monotonic()
                if ready:
                    began = heard = looked = now
                elif now - looked >= self.waits.look:
                    heard = self._look(began, heard)
                    looked = time.monotonic()
                wanted = steps.send(ready)
        except StopIteration as end:
            return end.value

    def _look(self, began: float, heard: float) -> float:
        """Ask what the session does; returns when it was last heard of, or gives it up."""
        works, tables, holders = self._ask_server()
        now = time.monotonic()
        if works:
            self._say(now - began, tables, holders)
            return now
        if now - heard >= self.waits.silence:
            self.close()
            raise SilentDatabaseError(f"no answer came for {now - began:.0f} seconds")
        log.warning("The store's database has not answered for %.0f s.", now - began)
        return heard

    def _ask_server(self) -> tuple[bool, str | None, str | None]:
        """Whether the session is at work, which tables it waits for, and who has locked them."""
        try:
            asking = _Asking.connect(**{**self.given, "connect_timeout": 5})
        except psycopg.Error as error:
            return "FATAL" in str(error), None, None  # the server lives, but lets nobody else in
        with closing(asking):
            asking.autocommit = True
            try:
                return asking.execute(_LOOK, self._session or (0, "")).fetchone() or (
                    False,
                    None,
                    None,
                )
            except psycopg.Error:
                return True, None, None  # let in, but kept waiting: a pooler that is full

    def _say(self, waited: float, tables: str | None, holders: str | None) -> None:
        if holders:
            self._blocked = f" on {tables or 'a row'}, which {holders} holds"
            log.warning("Waiting for a lock%s: %.0f s so far.", self._blocked, waited)
        elif waited % _MINUTE < self.waits.look:
            log.info("The store's database is at work on a statement: %.0f s so far.", waited)
