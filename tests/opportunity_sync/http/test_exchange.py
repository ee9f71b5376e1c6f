"""One exchange, with a system that is not Dataverse."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import requests

from opportunity_sync.errors import ConfigError, ResponseError, TransientError
from opportunity_sync.http.exchange import get_answer
from opportunity_sync.http.service import RemoteService
from opportunity_sync.http.session import StrictSession
from opportunity_sync.http.time_limits import TimeLimits
from raw_proxy import Endlessly, RawProxy, answer, head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opportunity_sync.http.answer import Answer


def error_of(response: requests.Response, body: bytes) -> ConfigError:
    """What the other system means by an answer that is no success."""
    return ConfigError(
        f"{body.decode()}.", next_step="ask it", request=OTHER.request_of(response, code="12")
    )


OTHER = RemoteService(
    name="The other system",
    api_root="/rest/v1/",
    request_id_headers=("X-Request-Id", "X-Trace"),
    error_of=error_of,
    step_if_late="ask for less",
    step_if_unreadable="ask somebody else",
)


@pytest.fixture
def server() -> Iterator[RawProxy]:
    """A server on loopback that sends the bytes it is told."""
    with RawProxy() as server:
        yield server


def answer_of(server: RawProxy, *, seconds: float = 20) -> Answer:
    """What one exchange with it ends in."""
    limits = TimeLimits(silence_seconds=seconds, deadline=time.monotonic() + seconds)
    with StrictSession(None) as session:
        url = f"{server.url}/rest/v1/leads?cursor=secret"
        request = session.prepare_request(requests.Request("GET", url))
        return get_answer(session, request, service=OTHER, limits=limits)


def test_a_success_is_its_bytes_and_what_names_it_in_the_other_s_logs(server: RawProxy) -> None:
    """The path stands there without the root, which all have, and without the query."""
    moment = "Tue, 03 Feb 2026 04:05:16 GMT"
    server.say(answer(b'{"a":1}', headers={"X-Trace": "abc-1", "Date": moment}))

    found = answer_of(server)

    assert found.body == b'{"a":1}'
    assert found.server_date == datetime(2026, 2, 3, 4, 5, 16, tzinfo=UTC)
    assert str(found.request) == "GET leads -> 200, request id abc-1"


def test_a_refusal_is_what_the_other_system_means_by_it(server: RawProxy) -> None:
    """Its own table of errors decides, by the body as it came."""
    server.say(answer(b"no lead", "404 Not Found"))

    with pytest.raises(ConfigError, match="no lead") as raised:
        answer_of(server)

    assert str(raised.value.request) == "GET leads -> 404, code 12"


@pytest.mark.parametrize("status", ["204 No Content", "206 Partial Content", "304 Not Modified"])
def test_a_status_that_brings_no_answer_is_an_error(server: RawProxy, status: str) -> None:
    """It is no refusal, and still nothing to go on."""
    server.say(answer(b"", status))

    with pytest.raises(ResponseError, match="The other system answered with status"):
        answer_of(server)


def test_an_answer_that_is_late_ends_with_the_other_system_s_advice(server: RawProxy) -> None:
    """What a person can do about it depends on the system."""
    server.say(head(), Endlessly(b" ", 0.01))

    with pytest.raises(TransientError, match="ask for less") as raised:
        answer_of(server, seconds=0.3)

    assert raised.value.request is not None
    assert raised.value.request.path == "leads"


def test_an_answer_that_can_t_be_unpacked_ends_with_the_other_system_s_advice(
    server: RawProxy,
) -> None:
    """And is no network error, which would heal by itself."""
    server.say(answer(b"no gzip", headers={"Content-Encoding": "gzip"}))

    with pytest.raises(ResponseError, match=r"can't be unpacked.*ask somebody else"):
        answer_of(server)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"{}"),
        ("application/json", b" <html>Please sign in</html>"),
        ("text/plain", b"{}"),
        ("", b"{}"),
    ],
)
def test_a_success_that_is_no_json_is_an_error(server: RawProxy, kind: str, body: bytes) -> None:
    """A sign-in page has status 200, too."""
    server.say(answer(body, headers={"Content-Type": kind}))

    with pytest.raises(ResponseError, match="instead of JSON"):
        answer_of(server)
