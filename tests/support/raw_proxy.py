"""A server that speaks raw bytes: what no HTTP library would ever send can be sent with it.

Scripted are whole answers to the byte: heads that never end, bytes that trickle, wrong encodings,
bombs, chunks cut short. With an `upstream` it stands before a real server (the sandbox) and passes
on whatever the script does not name, so that one answer among good ones can be spoilt.
"""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPSConnection
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dynamics_sandbox.server.certificates import ServerCertificate

JSON_HEADERS = {
    "Content-Type": "application/json; odata.metadata=minimal",
    "Preference-Applied": 'odata.include-annotations="Microsoft.Dynamics.CRM.lookuplogicalname"',
}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
END_OF_HEAD = b"\r\n\r\n"
NOT_PASSED_ON = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive"})


@dataclass(frozen=True)
class Pause:
    """So many seconds of silence."""

    seconds: float


@dataclass(frozen=True)
class Slowly:
    """These bytes one by one, each after so many seconds."""

    data: bytes
    seconds: float


@dataclass(frozen=True)
class Endlessly:
    """These bytes again and again, with so many seconds between, until the client has enough."""

    data: bytes
    seconds: float = 0.0


@dataclass(frozen=True)
class Silence:
    """Nothing more, but the connection stays open until the client leaves."""


@dataclass(frozen=True)
class Reset:
    """The connection breaks off (RST) instead of being closed."""


@dataclass(frozen=True)
class Altered:
    """The upstream's own answer, its body changed; gzip is taken off first."""

    change: Callable[[bytes], bytes]


Step = bytes | Pause | Slowly | Endlessly | Silence | Reset | Altered


@dataclass
class Reply:
    """The steps of one answer, for requests whose line holds `path`, so many times."""

    steps: tuple[Step, ...]
    path: str = ""
    times: int = 1


def answer(body: bytes, status: str = "200 OK", headers: Mapping[str, str] | None = None) -> bytes:
    """A plain answer; headers are added to, or replace, those of a page."""
    named = {**JSON_HEADERS, "Content-Length": str(len(body)), **(headers or {})}
    return head(status, named) + body


def head(status: str = "200 OK", headers: Mapping[str, str] | None = None) -> bytes:
    """The head of an answer with just these headers, and its empty line."""
    lines = [f"HTTP/1.1 {status}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode("latin-1") + END_OF_HEAD


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; the empty one ends it."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def gzip_bomb(size: int) -> bytes:
    """A gzip text of so many zeros: a thousandth of them on the wire."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    piece = bytes(1 << 20)
    pieces = [packer.compress(piece[: min(1 << 20, size - at)]) for at in range(0, size, 1 << 20)]
    return b"".join(pieces) + packer.flush()


@dataclass
class RawProxy:
    """Listens on loopback while it is entered; `requests` are the raw requests that came.

    `certificate` makes it speak TLS. Without an `upstream` the last reply is given again and again.
    """

    upstream: str | None = None
    upstream_ca: str | None = None
    certificate: ServerCertificate | None = None
    replies: list[Reply] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock, repr=False)
    _stopped: Event = field(default_factory=Event, repr=False)
    _threads: list[Thread] = field(default_factory=list, repr=False)
    _open: set[socket.socket] = field(default_factory=set, repr=False)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.settimeout(0.05)
        self._tls = _context(self.certificate)
        self._begin(self._accept)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        self._threads[0].join(10)
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    def say(self, *steps: Step, path: str = "", times: int = 1) -> None:
        """Add a reply for the next requests whose request line holds `path`."""
        with self._lock:
            self.replies.append(Reply(steps, path, times))

    def lines(self) -> list[str]:
        """The first line of every request that came."""
        with self._lock:
            return [request.split(b"\r\n")[0].decode("latin-1") for request in self.requests]

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        thread = Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            with suppress(TimeoutError):
                connection, _ = self._listener.accept()
                self._begin(self._serve, connection)

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(30)
        connection = plain
        try:
            with suppress(OSError, ValueError):
                if self._tls is not None:
                    connection = self._tls.wrap_socket(plain, server_side=True)
                with self._lock:
                    self._open.add(connection)
                request = b"" if self._stopped.is_set() else _request(connection)
                if request:
                    self._answer(connection, request)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _answer(self, connection: socket.socket, request: bytes) -> None:
        with self._lock:
            self.requests.append(request)
            reply = self._reply(request.split(b"\r\n")[0].decode("latin-1"))
        for step in reply.steps if reply else (Altered(bytes),):
            self._take(connection, request, step)

    def _reply(self, line: str) -> Reply | None:
        fitting = [reply for reply in self.replies if reply.path in line]
        due = [reply for reply in fitting if reply.times > 0]
        if due:
            due[0].times -= 1
            return due[0]
        return None if self.upstream or not fitting else fitting[-1]

    def _take(self, connection: socket.socket, request: bytes, step: Step) -> None:
        if isinstance(step, bytes):
            connection.sendall(step)
        elif isinstance(step, Pause):
            self._stopped.wait(step.seconds)
        elif isinstance(step, Slowly):
            self._send_slowly(connection, step)
        elif isinstance(step, Endlessly):
            while not self._stopped.wait(step.seconds):
                connection.sendall(step.data)
        elif isinstance(step, Altered):
            connection.sendall(self._pass_request_on(request, step))
        else:
            self._leave(connection, is_reset=isinstance(step, Reset))

    def _send_slowly(self, connection: socket.socket, step: Slowly) -> None:
        for byte in step.data:
            if self._stopped.wait(step.seconds):
                return
            connection.sendall(bytes([byte]))

    def _leave(self, connection: socket.socket, *, is_reset: bool) -> None:
        if is_reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        with suppress(TimeoutError):
            while connection.recv(1 << 16):
                pass

    def _pass_request_on(self, request: bytes, step: Altered) -> bytes:
        if self.upstream is None:
            return answer(step.change(b'{"value":[]}'))
        start, _, body = request.partition(END_OF_HEAD)
        method, target, _ = start.split(b"\r\n")[0].decode("latin-1").split(" ", 2)
        upstream = _connection_to(self.upstream, self.upstream_ca)
        try:
            upstream.request(method, target, body or None, _headers_of(start))
            got = upstream.getresponse()
            content = got.read()
        finally:
            upstream.close()
        if got.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        content = content.replace(self.upstream.encode(), self.url.encode())
        passed = {
            name: value
            for name, value in got.headers.items()
            if name.lower() not in {*NOT_PASSED_ON, "content-encoding"}
        }
        content = step.change(content)
        length = {"Content-Length": str(len(content))}
        return head(f"{got.status} {got.reason}", {**passed, **length}) + content


def _context(certificate: ServerCertificate | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate_path, certificate.key_path)
    return context


def _connection_to(url: str, ca: str | None) -> HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca)
        return HTTPSConnection(parts.hostname or "", parts.port, timeout=60, context=context)
    return HTTPConnection(parts.hostname or "", parts.port, timeout=60)


def _headers_of(start: bytes) -> dict[str, str]:
    pairs = (line.decode("latin-1").partition(": ") for line in start.split(b"\r\n")[1:])
    return {name: value for name, _, value in pairs if name.lower() not in {*NOT_PASSED_ON, "host"}}


def _request(connection: socket.socket) -> bytes:
    """The whole request, its body too where it has a length."""
    received = b""
    while END_OF_HEAD not in received:
        piece = connection.recv(1 << 16)
        if not piece:
            return b""
        received += piece
    start, _, body = received.partition(END_OF_HEAD)
    lengths = [
        int(line.split(b":")[1])
        for line in start.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    while lengths and len(body) < lengths[0]:
        body += connection.recv(1 << 16)
    return start + END_OF_HEAD + body
