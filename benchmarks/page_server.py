"""A server that hands out ready-made pages, in a process of its own, over plain sockets.

What it costs to answer must not be what is measured, so it knows just enough HTTP and OData for
the clients here: GETs on connections that stay open, first pages by set name and later ones by
`$skiptoken`, rows by their keys, and for any window the rows that are said to have changed. Each
size of organisation, and each state of one, has a port of its own.
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
from urllib.parse import unquote
from uuid import UUID

from opportunity_sync.model import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from made_pages import MadeTable

    Rows = Mapping[str, Sequence[bytes]]

PAGE_ROWS = 5000
API = "/api/data/v9.2/"

_REQUEST = re.compile(rb"GET (\S+) HTTP/1\.1\r\n")
_PLACE = re.compile(r"[?&]\$skiptoken=(\d+)")
_FILTER = re.compile(r"[?&](\$filter=[^&]*)")
_TOTAL_OF = re.compile(r"RetrieveTotalRecordCount\(EntityNames=\['(\w+)'\]\)")
_KEY = re.compile(r"'([0-9a-f-]{36})'")
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
    """The pages of one size of organisation; `sizes` are the rows of each repeated table.

    `changed`: rows by set name, which are what any window on `modifiedon` shows.
    """

    def __init__(
        self,
        tables: Mapping[str, MadeTable],
        sizes: Mapping[str, int],
        changed: Rows,
        *,
        organization_id: str,
        metadata: Mapping[str, bytes],
    ) -> None:
        """Serve these tables; one that is not repeated is served as it is."""
        self._metadata = metadata
        identity = dict.fromkeys(("UserId", "BusinessUnitId"), str(UUID(int=1)))
        self._identity = json.dumps(identity | {"OrganizationId": organization_id}).encode()
        self._tables = tables
        self._changed = changed
        self._sizes = {
            name: sizes.get(name, 0) if table.is_repeated else table.rows
            for name, table in tables.items()
        }

    def page(self, target: str, origin: str) -> bytes:
        """The body for a request's target (path and query)."""
        set_name = unquote(target.removeprefix(API).partition("?")[0])
        if set_name == "WhoAmI":
            return self._identity
        if set_name in self._metadata:
            return self._metadata[set_name]
        if total_of := _TOTAL_OF.match(set_name):
            return self._total(total_of[1])
        asked, place = _FILTER.search(target), _PLACE.search(target)
        count, rows_between = self._rows(set_name, unquote(asked[1]) if asked else "")
        first = int(place[1]) if place else 0
        is_count = "$count=true" in unquote(target)  # of what waits, which takes one row
        last = min(first + (1 if is_count else PAGE_ROWS), count)
        head: dict[str, Any] = {"@odata.context": f"{origin}{API}$metadata#{set_name}"}
        if is_count:
            head["@odata.count"] = min(count, PAGE_ROWS)
        if last < count:
            kept = f"{asked[1]}&" if asked else ""
            head["@odata.nextLink"] = f"{origin}{API}{set_name}?{kept}$skiptoken={last}"
        rows = rows_between(first, last)
        return b"".join([json.dumps(head).encode()[:-1], b',"value":[', rows, b"]}"])

    def _total(self, name: str) -> bytes:
        """About how many rows a table has, by its logical name."""
        total = self._sizes[DEFAULT_MODEL[name].set_name]
        counts = {"Count": 1, "Keys": [name], "Values": [total]}
        return json.dumps({"EntityRecordCountCollection": counts}).encode()

    def _rows(self, set_name: str, asked: str) -> tuple[int, Callable[[int, int], bytes]]:
        """How many rows a filter leaves, and how to get some of them."""
        if not asked:
            return self._sizes[set_name], self._tables[set_name].rows_between
        if ".In(" in asked:
            rows = self._with_keys(set_name, _KEY.findall(asked))
        else:
            rows = self._changed.get(set_name, ())
        return len(rows), lambda first, last: b",".join(rows[first:last])

    def _with_keys(self, set_name: str, keys: Sequence[str]) -> Sequence[bytes]:
        table, size = self._tables[set_name], self._sizes[set_name]
        numbers = (table.number_of(key) for key in keys)
        return [
            table.rows_between(number, number + 1)
            for number in numbers
            if number is not None and number < size
        ]


@contextmanager
def serve_pages(
    tables: Mapping[str, MadeTable],
    organisations: Mapping[str, Mapping[str, int]],
    changed: Mapping[str, Rows] | None = None,
    *,
    organization_id: str = "",
    metadata: Mapping[str, bytes] | None = None,
) -> Iterator[dict[str, str]]:
    """Serve organisations of several sizes; yields the URL of each by its name.

    `changed`: the rows that windows show, by organisation and set name. `organization_id`: what
    each task of a run compares, so that of the organisation that runs begin with. `metadata`: its
    answers about tables, by path.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    served_by_name = {
        name: Organisation(
            tables,
            sizes,
            (changed or {}).get(name, {}),
            organization_id=organization_id,
            metadata=metadata or {},
        )
        for name, sizes in organisations.items()
    }
    server = spawn.Process(target=_serve, args=(theirs, served_by_name), daemon=True)
    server.start()
    try:
        yield {name: f"http://127.0.0.1:{port}" for name, port in ours.recv().items()}
    finally:
        server.terminate()
        server.join()


def _serve(pipe: Any, organisations: Mapping[str, Organisation]) -> None:
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in organisations}
    pipe.send({name: listener.getsockname()[1] for name, listener in listeners.items()})
    for name, listener in listeners.items():
        arguments = (listener, organisations[name])
        threading.Thread(target=_accept, args=arguments, daemon=True).start()
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
