"""Whatever bytes come, and however slowly: all rows or an error, within bounds of time and size."""

from __future__ import annotations

import gc
import gzip
import logging
import threading
import time
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, TCPServer
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox.server.certificates import make_server_certificate
from opportunity_sync.dynamics import DataverseClient
from opportunity_sync.errors import ConfigError, ResponseError, SyncError, TransientError
from opportunity_sync.http.body import LARGEST_ANSWER
from opportunity_sync.http.session import StrictSession
from opportunity_sync.settings import Settings
from raw_proxy import (
    CONTINUE,
    Endlessly,
    Pause,
    RawProxy,
    Reset,
    Silence,
    Slowly,
    answer,
    chunk,
    gzip_bomb,
    head,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dynamics_sandbox.server.certificates import ServerCertificate
    from raw_proxy import Step

PAGE = b'{"value":[]}'
PACKED = {"Content-Encoding": "gzip"}
CHUNKED = {"Transfer-Encoding": "chunked"}
LONG_HEAD = b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"x" * 4000


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ServerCertificate:
    """A certificate of loopback."""
    return make_server_certificate(tmp_path_factory.mktemp("tls"), ["127.0.0.1"])


@pytest.fixture(params=["plain", "TLS"])
def server(request: pytest.FixtureRequest, certificate: ServerCertificate) -> Iterator[RawProxy]:
    """A server of raw bytes, with and without TLS."""
    with RawProxy(certificate=certificate if request.param == "TLS" else None) as server:
        yield server


@contextmanager
def client_of(
    server: RawProxy, certificate: ServerCertificate, **settings: Any
) -> Iterator[DataverseClient]:
    """A client that tries once unless told otherwise."""
    given: dict[str, Any] = {"request_attempts": 1, "page_timeout_seconds": 20, **settings}
    chosen = Settings(**given)
    with StrictSession(str(certificate.ca_path)) as session:
        yield DataverseClient(session, server.url, settings=chosen, first_wait_seconds=0.01)


SLOW: dict[str, tuple[Step, ...]] = {
    "head by the byte": (Slowly(LONG_HEAD, 0.05),),
    "body by the byte": (head(headers={"Content-Length": "4000"}), Slowly(b" " * 4000, 0.05)),
    "gzip by the byte": (
        head(headers={"Content-Type": "application/json", **PACKED}),
        Slowly(gzip.compress(PAGE + b" " * 100_000) * 40, 0.05),
    ),
    "chunks by the byte": (head(headers=CHUNKED), Slowly(chunk(b" ") * 4000, 0.05)),
    "a chunk's size by the byte": (head(headers=CHUNKED), Slowly(b"0" * 4000, 0.05)),
    "endless trailers": (
        head(headers=CHUNKED),
        chunk(PAGE),
        b"0\r\n",
        Endlessly(b"X-Trailer: x\r\n", 0.01),
    ),
    "endless headers": (b"HTTP/1.1 200 OK\r\n", Endlessly(b"X-Filler: x\r\n", 0.05)),
    "endless continue": (Endlessly(CONTINUE, 0.01),),
    "endless white space": (head(headers=CHUNKED), Endlessly(chunk(b" "), 0.01)),
    "silence": (Silence(),),
    "silence after the head": (head(headers={"Content-Length": "10"}), Silence()),
    "a refusal by the byte": (
        head("503 Busy", {"Content-Length": "4000"}),
        Slowly(b" " * 4000, 0.05),
    ),
}


@pytest.mark.parametrize("steps", SLOW.values(), ids=SLOW.keys())
def test_no_trickle_outlives_the_time_of_a_page(
    server: RawProxy, certificate: ServerCertificate, steps: tuple[Step, ...]
) -> None:
    """Each byte is in time, the whole is not; no thread stays behind."""
    server.say(*steps)
    started = time.monotonic()
    with (
        client_of(server, certificate, page_timeout_seconds=1) as client,
        pytest.raises(TransientError) as raised,
    ):
        list(client.pages("contacts"))
    assert time.monotonic() - started < 10
    assert "Next step" in str(raised.value)
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


@pytest.mark.parametrize("kind", ["head by the byte", "endless continue", "silence"])
def test_a_head_that_does_not_come_leaves_time_for_another_attempt(
    server: RawProxy, certificate: ServerCertificate, kind: str
) -> None:
    """It may take as long as one response, not as long as a page."""
    server.say(*SLOW[kind])
    server.say(answer(PAGE))
    started = time.monotonic()
    with client_of(server, certificate, request_attempts=2, request_timeout_seconds=0.5) as client:
        assert len(list(client.pages("contacts"))) == 1
    assert time.monotonic() - started < 10


def packed(content: bytes) -> bytes:
    """A page in gzip."""
    return answer(content, headers=PACKED)


WHOLE: dict[str, tuple[Step, ...]] = {
    "plain": (answer(PAGE),),
    "gzip": (packed(gzip.compress(PAGE)),),
    "gzip in two streams": (packed(gzip.compress(PAGE[:5]) + gzip.compress(PAGE[5:])),),
    "x-gzip": (answer(gzip.compress(PAGE), headers={"Content-Encoding": "X-GZIP"}),),
    "chunks": (
        head(headers={"Content-Type": "application/json", **CHUNKED}).replace(
            b"\r\n\r\n", b"\r\nPreference-Applied: odata.include-annotations=*\r\n\r\n"
        ),
        chunk(PAGE[:3]),
        Pause(0.05),
        chunk(PAGE[3:]),
        chunk(b""),
    ),
    "after a continue": (CONTINUE, answer(PAGE)),
}


@pytest.mark.parametrize("steps", WHOLE.values(), ids=WHOLE.keys())
def test_every_way_to_send_a_page_is_understood(
    server: RawProxy, certificate: ServerCertificate, steps: tuple[Step, ...]
) -> None:
    """The body is the page's bytes."""
    server.say(*steps)
    with client_of(server, certificate) as client:
        (page,) = client.pages("contacts")
    assert page.body == PAGE


BROKEN: dict[str, tuple[Step, ...]] = {
    "reset": (Reset(),),
    "reset after the head": (head(headers={"Content-Length": "10"}), Reset()),
    "no answer": (b"",),
    "no HTTP": (b"\x00\xff\x00\xff\r\n\r\n",),
    "another protocol": (b"220 smtp.example ESMTP\r\n",),
    "a status that is none": (b"HTTP/1.1 abc\r\n\r\n",),
    "a line without end": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,),
    "too many headers": (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 1000 + b"\r\n",),
    "headers of other bytes": (b"HTTP/1.1 200 OK\r\n\xff\xfe: \xf0\r\n\x00\x01\r\n\r\n",),
    "a length that is none": (answer(PAGE, headers={"Content-Length": "1, 2"}),),
    "a length too long": (answer(PAGE, headers={"Content-Length": "100"}),),
    "a length too short": (answer(PAGE, headers={"Content-Length": "5"}),),
    "a chunk cut short": (head(headers=CHUNKED), b"ff\r\n" + PAGE),
    "a chunk without a size": (head(headers=CHUNKED), b"zz\r\n" + PAGE),
    "gzip cut short": (packed(gzip.compress(PAGE)[:-4]),),
    "gzip that is none": (packed(PAGE),),
    "gzip with a wrong sum": (packed(gzip.compress(PAGE)[:-8] + bytes(8)),),
    "an encoding nobody asked for": (answer(PAGE, headers={"Content-Encoding": "br"}),),
    "encodings on top of each other": (
        answer(gzip.compress(gzip.compress(PAGE)), headers={"Content-Encoding": "gzip, gzip"}),
    ),
    "deep JSON": (answer(b'{"value":' + b"[" * 100_000),),
    "deep JSON with an error": (answer(b"[" * 100_000, "503 Busy"),),
    "no content": (head("204 No Content"),),
    "not modified": (head("304 Not Modified"),),
    "part of the content": (answer(PAGE, "206 Partial Content"),),
}


# urllib3 leaves sockets to the garbage collector: of a response whose headers it refuses, and of a
# tunnel that was cut. `collected` has it come within the test.
LEFT = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def collected() -> Iterator[None]:
    """Collects the garbage of a test at its end."""
    yield
    gc.collect()


@LEFT
@pytest.mark.usefixtures("collected")
@pytest.mark.parametrize("steps", BROKEN.values(), ids=BROKEN.keys())
def test_broken_bytes_are_an_error_to_try_again(
    server: RawProxy, certificate: ServerCertificate, steps: tuple[Step, ...]
) -> None:
    """Never a raw exception, and never the end of a table."""
    server.say(*steps)
    with client_of(server, certificate) as client, pytest.raises(TransientError) as raised:
        list(client.pages("contacts"))
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "503 Busy"])
@pytest.mark.parametrize(
    "steps",
    [
        (head(headers=PACKED), gzip_bomb(64 << 20)),
        (head(headers=PACKED), gzip.compress(gzip_bomb(64 << 20))),
        (head(headers=CHUNKED), Endlessly(chunk(b" " * 65_536))),
        (head(), Endlessly(b" " * 65_536)),
    ],
    ids=["bomb", "bomb in a bomb", "endless chunks", "endless body"],
)
def test_no_answer_is_larger_than_allowed(
    server: RawProxy,
    certificate: ServerCertificate,
    steps: tuple[bytes, Step],
    status: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither a page nor a refusal, as sent or unpacked; a refusal keeps its meaning."""
    monkeypatch.setattr("opportunity_sync.http.exchange.LARGEST_ANSWER", 4 << 20)
    first, rest = steps
    server.say(first.replace(b"200 OK", status.encode()), rest)
    with client_of(server, certificate) as client, pytest.raises(SyncError) as raised:
        list(client.pages("contacts"))
    kinds: dict[str, type[SyncError]] = {
        "200": ResponseError,
        "400": ConfigError,
        "503": TransientError,
    }
    assert isinstance(raised.value, kinds[status[:3]])


def test_an_answer_may_be_as_large_as_many_pages() -> None:
    """The largest page seen has some 50 MB."""
    assert LARGEST_ANSWER >= 200 << 20


def test_a_reading_that_fails_does_not_wait_for_its_next_page(
    server: RawProxy, certificate: ServerCertificate, caplog: pytest.LogCaptureFixture
) -> None:
    """What is under way is cut, and nothing is said about it after the error."""
    link = f'{{"value":[],"@odata.nextLink":"{server.url}/api/data/v9.2/contacts?page=2"}}'
    server.say(answer(link.encode()), path="contacts HTTP")
    server.say(Silence(), path="page=2", times=9)
    before = set(threading.enumerate())
    with (
        caplog.at_level(logging.INFO),
        client_of(server, certificate, request_attempts=3) as client,
    ):
        pages = client.pages("contacts")
        next(pages)
        while len(server.lines()) < 2:
            time.sleep(0.01)
        started = time.monotonic()
        pages.close()  # type: ignore[attr-defined]  # the iterator is a generator
        for thread in set(threading.enumerate()) - before:
            if thread.name.startswith("next-page"):
                thread.join(10)
                assert not thread.is_alive()
    assert time.monotonic() - started < 5
    assert "Waiting" not in caplog.text


def test_a_cancelled_reading_does_not_sleep_on(
    server: RawProxy, certificate: ServerCertificate
) -> None:
    """Not even where the server asked for a long rest."""
    link = f'{{"value":[],"@odata.nextLink":"{server.url}/api/data/v9.2/contacts?page=2"}}'
    server.say(answer(link.encode()), path="contacts HTTP")
    server.say(answer(b"", "429 Too Many", {"Retry-After": "15"}), path="page=2", times=9)
    before = set(threading.enumerate())
    with client_of(server, certificate, request_attempts=3) as client:
        pages = client.pages("contacts")
        next(pages)
        while client.counters.waited_seconds == 0:
            time.sleep(0.01)
        pages.close()  # type: ignore[attr-defined]  # the iterator is a generator
        for thread in set(threading.enumerate()) - before:
            if thread.name.startswith("next-page"):
                thread.join(5)
                assert not thread.is_alive()


def test_a_kept_connection_is_watched_as_a_new_one() -> None:
    """The second answer over the same connection trickles, and is cut like a first one."""
    came: list[bytes] = []

    class Keeping(BaseRequestHandler):
        """Answers the first request whole, and never ends the head of the second."""

        def handle(self) -> None:
            came.append(self.request.recv(1 << 16))
            kept = answer(PAGE).replace(b"Connection: close", b"Connection: keep-alive")
            self.request.sendall(kept)
            came.append(self.request.recv(1 << 16))
            with suppress(OSError):
                self.request.sendall(b"HTTP/1.1 200 OK\r\n")
                while True:
                    time.sleep(0.02)
                    self.request.sendall(b"X")

    with TCPServer(("127.0.0.1", 0), Keeping) as server, StrictSession(None) as session:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        chosen = Settings(request_attempts=1, page_timeout_seconds=1)
        url = f"http://127.0.0.1:{server.server_address[1]}"
        client = DataverseClient(session, url, settings=chosen)
        assert len(list(client.pages("contacts"))) == 1
        started = time.monotonic()
        with pytest.raises(TransientError):
            list(client.pages("contacts"))
        assert time.monotonic() - started < 10
        thread.join(10)
    assert len(came) == 2


@LEFT
@pytest.mark.usefixtures("collected")
@pytest.mark.parametrize(
    "steps",
    [
        (b"HTTP/1.1 200 Connection established\r\n", Endlessly(b"X: x\r\n", 0.05)),
        (Slowly(LONG_HEAD, 0.05),),
        (b"HTTP/1.1 200 Connection established\r\n\r\n", Silence()),
        (b"HTTP/1.1 200 Connection established\r\n\r\n", Slowly(b"\x16\x03\x03" * 900, 0.05)),
    ],
    ids=["endless headers", "by the byte", "no handshake", "a handshake by the byte"],
)
def test_a_proxy_s_tunnel_is_watched_too(
    monkeypatch: pytest.MonkeyPatch, steps: tuple[Step, ...]
) -> None:
    """It is built before the first byte of the request is sent."""
    chosen = Settings(request_attempts=1, page_timeout_seconds=1)
    with RawProxy() as proxy, StrictSession(None) as session:
        proxy.say(*steps)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        client = DataverseClient(session, "https://contoso.example", settings=chosen)
        started = time.monotonic()
        with pytest.raises(TransientError):
            client.get("contacts")
        assert time.monotonic() - started < 10
