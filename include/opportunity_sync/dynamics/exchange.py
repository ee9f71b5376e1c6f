"""One request and its answer, bounded in time, and proven to be the JSON it should be.

A status of 200 proves little: a sign-in page, a maintenance page and a response cut short all
carry it, and a client that takes them for an end loses rows in silence. A server that trickles
bytes never meets a read time-out, so the body is read piece by piece against a deadline.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, Protocol, cast
from urllib.parse import urlsplit

import requests
import urllib3

from opportunity_sync.dynamics.failures import failure, path_of, request_of
from opportunity_sync.dynamics.transport import cause_of, is_untrusted
from opportunity_sync.errors import ConfigError, Request, ResponseError, SyncError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CONNECT_SECONDS: Final = 30.0
_PIECE: Final = 1 << 16
_NO_STEP: Final = "nothing: it is tried again by itself; if it stays, check the connection's host"


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes of a successful answer and what names it in Dataverse's logs."""

    body: bytes = field(repr=False)
    url: str
    headers: Mapping[str, str] = field(repr=False)
    request: Request

    @property
    def server_date(self) -> datetime | None:
        """The server's own clock when it answered (`Date`), UTC."""
        try:
            moment = parsedate_to_datetime(self.headers.get("Date", ""))
        except ValueError:
            return None
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)

    def broken(self, problem: str) -> ResponseError:
        """An error about this answer, for whoever finds out later that it is no good."""
        return ResponseError(problem, next_step=_NO_STEP, request=self.request)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long one request may take: each wait for bytes, and all of it."""

    silence_seconds: float
    deadline: float  # of time.monotonic
    is_cancelled: Callable[[], bool] = bool

    @property
    def remaining(self) -> float:
        return self.deadline - time.monotonic()


class _Body(Protocol):
    def read1(self, amt: int, decode_content: bool) -> bytes: ...  # noqa: FBT001 - urllib3's


def answer_to(
    session: requests.Session, request: requests.PreparedRequest, bounds: Bounds
) -> Answer:
    """Send a prepared GET and read its JSON answer.

    Raises:
        SyncError: as the table in `failures` says, for any status but 200.
        TransientError: the network failed or the time is up.
        ResponseError: 200, but not JSON.
    """
    try:
        with _sent(session, request, bounds) as response:
            body = _body(response, request, bounds)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise _unreachable(request, error) from error
    if response.status_code != requests.codes.ok:
        raise _refused(response, body)
    answer = Answer(body, request.url or "", response.headers, request_of(response))
    _require_json(answer)
    return answer


def _sent(
    session: requests.Session, request: requests.PreparedRequest, bounds: Bounds
) -> requests.Response:
    settings = session.merge_environment_settings(
        request.url or "", {}, stream=True, verify=None, cert=None
    )
    silence = max(0.001, min(bounds.silence_seconds, bounds.remaining))
    return session.send(
        request,
        timeout=(min(_CONNECT_SECONDS, silence), silence),
        allow_redirects=False,
        **settings,
    )


def _body(response: requests.Response, request: requests.PreparedRequest, bounds: Bounds) -> bytes:
    pieces = []
    raw = cast("_Body", response.raw)
    while piece := raw.read1(_PIECE, decode_content=True):
        pieces.append(piece)
        if bounds.remaining <= 0 or bounds.is_cancelled():
            raise _late(request)
    return b"".join(pieces)


def _refused(response: requests.Response, body: bytes) -> SyncError:
    if response.status_code < requests.codes.multiple_choices:
        return ResponseError(
            "Dataverse answered with success but without content.",
            next_step=_NO_STEP,
            request=request_of(response),
        )
    return failure(response, body)


def _require_json(answer: Answer) -> None:
    kind = answer.headers.get("Content-Type", "")
    start = answer.body[:64].lstrip()
    if start.startswith(b"<") or "html" in kind:
        raise answer.broken("An HTML page came instead of JSON: a sign-in or maintenance page.")
    if "json" not in kind:
        raise answer.broken(f"The answer is {kind or 'of no declared type'} instead of JSON.")


def _unreachable(request: requests.PreparedRequest, error: Exception) -> SyncError:
    host = urlsplit(request.url or "").netloc
    named = Request(method=request.method or "GET", path=path_of(request.url or ""))
    if is_untrusted(error) or isinstance(error, ssl.SSLCertVerificationError):
        return ConfigError(
            f"The certificate of {host} is not signed by a trusted authority.",
            next_step="set `verify` in the connection's extra to the CA bundle that signs it",
            request=named,
        )
    return TransientError(
        f"The connection to {host} failed: {cause_of(error)}.",
        next_step="nothing: it is tried again by itself; if it stays, check host, proxy, network",
        request=named,
    )


def _late(request: requests.PreparedRequest) -> TransientError:
    return TransientError(
        "The answer did not arrive whole in the time allowed for a page.",
        next_step="set OPPORTUNITY_SYNC_PAGE_SIZE lower or OPPORTUNITY_SYNC_PAGE_TIMEOUT_SECONDS "
        "higher if it stays",
        request=Request(method=request.method or "GET", path=path_of(request.url or "")),
    )
