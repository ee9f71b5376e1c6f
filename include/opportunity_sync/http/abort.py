"""Ends an exchange from outside: when its time is up, or when nobody wants its answer any more.

A time-out of the network library bounds each wait for bytes by itself. A server that sends a byte
a second of its headers, or `100 Continue` without end, is never late by that measure, and the
library says nothing to its caller meanwhile. So one timer bounds the whole: it shuts the connection
down, under TLS and through a proxy alike, and whoever waits for bytes wakes up with an error.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from contextvars import ContextVar
from threading import Event, Lock, Timer
from typing import TYPE_CHECKING, Any, Self

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from urllib3 import ProxyManager

_running_timers: ContextVar[tuple[AbortTimer, ...]] = ContextVar("_running_timers", default=())


class Cancellation:
    """Whether a reading is still wanted; when it is not, what is under way for it ends at once."""

    def __init__(self) -> None:
        self._event = Event()
        self._lock = Lock()
        self._timers: set[AbortTimer] = set()

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep so long at most; whether the reading was cancelled."""
        return self._event.wait(seconds)

    def cancel(self) -> None:
        with self._lock:
            self._event.set()
            timers = list(self._timers)
        for timer in timers:
            timer.abort()

    def add_timer(self, timer: AbortTimer) -> None:
        """Have the exchange of this timer end with the reading."""
        with self._lock:
            self._timers.add(timer)
        if self.is_set:
            timer.abort()

    def remove_timer(self, timer: AbortTimer) -> None:
        """The exchange of this timer has ended by itself."""
        with self._lock:
            self._timers.discard(timer)


class AbortTimer:
    """Bounds what this thread does over the network within a `with`."""

    def __init__(self, seconds: float, cancellation: Cancellation | None = None) -> None:
        self.has_aborted = False
        self._seconds = seconds
        self._cancellation = cancellation
        self._lock = Lock()
        self._connections: list[socket.socket] = []
        self._timer: Timer | None = None
        self._token: Token[tuple[AbortTimer, ...]] | None = None

    def __enter__(self) -> Self:
        self._token = _running_timers.set((*_running_timers.get(), self))
        self.restart(self._seconds)
        if self._cancellation:
            self._cancellation.add_timer(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        if self._cancellation:
            self._cancellation.remove_timer(self)
        if self._token:
            _running_timers.reset(self._token)
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def restart(self, seconds: float) -> None:
        """Allow so many seconds from now on, whatever was left."""
        self._stop()
        self._timer = Timer(max(0.0, seconds), self.abort)
        self._timer.daemon = True
        self._timer.start()

    def abort(self) -> None:
        """Shut down every connection of the exchange, and those that it opens later."""
        with self._lock:
            self.has_aborted = True
            for connection in self._connections:
                _shut_down(connection)

    def add_connection(self, connection: socket.socket) -> None:
        """Bound this connection too, by a handle of its own: TLS takes the given one over."""
        try:
            copy = socket.socket(fileno=os.dup(connection.fileno()))
        except OSError:
            return  # it was closed meanwhile: there is nothing to bound
        with self._lock:
            self._connections.append(copy)
            if self.has_aborted:
                _shut_down(copy)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer.join()


class AbortableAdapter(HTTPAdapter):
    """requests' own, but the running timers of a thread know each connection that it uses."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: Any, **options: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _AbortableConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        """As urllib3 does: before the handshake and the tunnel, which can trickle as well."""
        connection = super()._new_conn()
        _add_to_running_timers(connection)
        return connection

    def request(self, *arguments: Any, **options: Any) -> None:
        if self.sock is not None:
            _add_to_running_timers(self.sock)
        super().request(*arguments, **options)


class _AbortableTLSConnection(_AbortableConnection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _AbortableConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _AbortableTLSConnection


_POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _TLSPool}


def _add_to_running_timers(connection: socket.socket) -> None:
    for timer in _running_timers.get():
        timer.add_connection(connection)


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # the other side was faster
        connection.shutdown(socket.SHUT_RDWR)
