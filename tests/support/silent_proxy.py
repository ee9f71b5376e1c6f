"""A proxy before a database that can go silent: its connections stay open, nothing passes."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class SilentProxy:
    """Hands bytes on, until it is told to be silent."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._silent = threading.Event()  # that of the connections to come
        self.port: int = self._server.getsockname()[1]

    def silence(self, *, new_ones_too: bool) -> None:
        """No answer comes through any more to whoever is connected now, or ever."""
        self._silent.set()
        if not new_ones_too:
            self._silent = threading.Event()

    def serve(self) -> None:
        """Take connections until the proxy is closed."""
        with suppress(OSError):
            while True:
                client, _address = self._server.accept()
                upstream = socket.create_connection(self._target)
                self._sockets += [client, upstream]
                self._start(client, upstream, threading.Event())
                self._start(upstream, client, self._silent)

    @staticmethod
    def _start(source: socket.socket, target: socket.socket, silent: threading.Event) -> None:
        def pump() -> None:
            with suppress(OSError):
                while data := source.recv(65_536):
                    if not silent.is_set():
                        target.sendall(data)

        threading.Thread(target=pump, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        for each in [self._server, *self._sockets]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextmanager
def silent_proxy(host: str, port: int) -> Iterator[SilentProxy]:
    """A proxy before a server, gone at the end."""
    proxy = SilentProxy(host, port)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join(5)
