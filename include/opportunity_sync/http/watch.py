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

_watching: ContextVar[tuple[Watch, ...]] = ContextVar("_watching", default=())


class Cancellation:
    """Whether a reading is still wanted; when it is not, what is under way for it ends at once."""

    def __init__(self) -> None:
        self._event = Event()
        self._lock = Lock()
        self._watches: set[Watch] = set()

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep so long at most; whether the reading was cancelled."""
        return self._event.wait(seconds)

    def cancel(self) -> None:
        with self._lock:
            self._event.set()
            watches = list(self._watches)
        for watch in watches:
            watch.cut()

    def cuts(self, watch: Watch) -> None:
        """Have this watch end with the reading."""
        with self._lock:
            self._watches.add(watch)
        if self.is_set:
            watch.cut()

    def spares(self, watch: Watch) -> None:
        """The watch has ended by itself."""
        with self._lock:
            self._watches.discard(watch)


class Watch:
    """Bounds what this thread does over the network within a `with`; `is_cut` when it had to."""

    def __init__(self, seconds: float, cancellation: Cancellation | None = None) -> None:
        self.is_cut = False
        self._seconds = seconds
        self._cancellation = cancellation
        self._lock = Lock()
        self._connections: list[socket.socket] = []
        self._timer: Timer | None = None
        self._token: Token[tuple[Watch, ...]] | None = None

    def __enter__(self) -> Self:
        self._token = _watching.set((*_watching.get(), self))
        self.allow(self._seconds)
        if self._cancellation:
            self._cancellation.cuts(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop_timer()
        if self._cancellation:
            self._cancellation.spares(self)
        if self._token:
            _watching.reset(self._token)
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def allow(self, seconds: float) -> None:
        """From now on so many seconds, whatever was left."""
        self._stop_timer()
        self._timer = Timer(max(0.0, seconds), self.cut)
        self._timer.daemon = True
        self._timer.start()

    def cut(self) -> None:
        """Shut down every connection of the exchange; those that are opened later as well."""
        with self._lock:
            self.is_cut = True
            for connection in self._connections:
                _shut(connection)

    def hold(self, connection: socket.socket) -> None:
        """Watch over this connection too, by a handle of its own: TLS takes the given one over."""
        try:
            copy = socket.socket(fileno=os.dup(connection.fileno()))
        except OSError:
            return  # it was closed meanwhile: there is nothing to watch
        with self._lock:
            self._connections.append(copy)
            if self.is_cut:
                _shut(copy)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer.join()


class WatchedAdapter(HTTPAdapter):
    """requests' own, but each connection is held by the watches of the thread that uses it."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: Any, **options: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _Watched(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        """As urllib3 does: before the handshake and the tunnel, which can trickle as well."""
        connection = super()._new_conn()
        _hold(connection)
        return connection

    def request(self, *arguments: Any, **options: Any) -> None:
        if self.sock is not None:
            _hold(self.sock)
        super().request(*arguments, **options)


class _WatchedTLS(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


_POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _TLSPool}


def _hold(connection: socket.socket) -> None:
    for watch in _watching.get():
        watch.hold(connection)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # the other side was faster
        connection.shutdown(socket.SHUT_RDWR)
