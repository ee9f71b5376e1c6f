"""A server that hands out ready-made pages, in a process of its own, over plain sockets.

What it costs to answer must not be what is measured, so it knows just enough HTTP and OData for
the clients here: GETs on connections that stay open, first pages by set name and later ones by
`$skiptoken`. Each size of organisation has a port of its own.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import socket
import threading
from contextlib import contextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from made_pages import MadeTable

PAGE_ROWS = 5000
API = "/api/data/v9.2/"

_REQUEST = re.compile(rb"GET (\S+) HTTP/1\.1\r\n")
_PLACE = re.compile(r"[?&]\$skiptoken=(\d+)")
_HEAD = (
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: application/json; odata.metadata=minimal\r\n"
    "OData-Version: 4.0\r\n"
    'Preference-Applied: odata.include-annotations="Microsoft.Dynamics.CRM.lookuplogicalname",'
    f"odata.maxpagesize={PAGE_ROWS}\r\n"
    "Date: {date}\r\n"
    "Content-Length: {length}\r\n\r\n"
)


class Organisation:
    """The pages of one size of organisation; `sizes` are the rows of each repeated table."""

    def __init__(self, tables: Mapping[str, MadeTable], sizes: Mapping[str, int]) -> None:
        """Serve these tables; one that is not repeated is served as it is."""
        self._tables = tables
        self._sizes = {
            name: sizes.get(name, 0) if table.is_repeated else table.rows
            for name, table in tables.items()
        }

    def page(self, target: str, origin: str) -> bytes:
        """The body for a request's target (path and query)."""
        set_name = target.removeprefix(API).partition("?")[0]
        if set_name == "WhoAmI":
            return b"{}"
        place = _PLACE.search(target)
        first = int(place[1]) if place else 0
        last = min(first + PAGE_ROWS, self._sizes[set_name])
        head = {"@odata.context": f"{origin}{API}$metadata#{set_name}"}
        if last < self._sizes[set_name]:
            head["@odata.nextLink"] = f"{origin}{API}{set_name}?$skiptoken={last}"
        rows = self._tables[set_name].rows_between(first, last)
        return b"".join([json.dumps(head).encode()[:-1], b',"value":[', rows, b"]}"])


@contextmanager
def served(
    tables: Mapping[str, MadeTable], organisations: Mapping[str, Mapping[str, int]]
) -> Iterator[dict[str, str]]:
    """Serve organisations of several sizes; yields the URL of each by its name."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    server = spawn.Process(target=_serve, args=(theirs, tables, organisations), daemon=True)
    server.start()
    try:
        yield {name: f"http://127.0.0.1:{port}" for name, port in ours.recv().items()}
    finally:
        server.terminate()
        server.join()


def _serve(
    pipe: Any, tables: Mapping[str, MadeTable], organisations: Mapping[str, Mapping[str, int]]
) -> None:
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in organisations}
    pipe.send({name: listener.getsockname()[1] for name, listener in listeners.items()})
    for name, listener in listeners.items():
        organisation = Organisation(tables, organisations[name])
        threading.Thread(target=_accept, args=(listener, organisation), daemon=True).start()
    threading.Event().wait()


def _accept(listener: socket.socket, organisation: Organisation) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_answer, args=(connection, organisation), daemon=True).start()


def _answer(connection: socket.socket, organisation: Organisation) -> None:
    origin = "http://{}:{}".format(*connection.getsockname())
    request = b""
    with connection:
        while piece := connection.recv(1 << 16):
            request += piece
            if not request.endswith(b"\r\n\r\n"):
                continue
            found = _REQUEST.match(request)
            if found is None:
                return
            body = organisation.page(found[1].decode(), origin)
            head = _HEAD.format(date=formatdate(usegmt=True), length=len(body))
            connection.sendall(head.encode())
            connection.sendall(body)
            request = b""
