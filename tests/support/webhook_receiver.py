"""A webhook on this machine, which keeps what is posted to it."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Receiver(HTTPServer):
    """Takes posts of JSON."""

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), Posts)
        self.taken: list[dict[str, Any]] = []

    def connection(self) -> dict[str, Any]:
        """The HTTP connection that leads here, in Airflow's JSON form."""
        where = {"host": "127.0.0.1", "port": self.server_port, "schema": "http"}
        return {"conn_type": "http", **where}


class Posts(BaseHTTPRequestHandler):
    """One request."""

    server: Receiver

    def do_POST(self) -> None:  # the protocol's name
        """Keep the body."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """A webhook that answers until the block ends."""
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()
