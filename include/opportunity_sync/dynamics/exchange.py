"""One request and its answer, bounded in time and size, and proven to be the JSON it should be.

A status of 200 proves little: a sign-in page, a maintenance page and a response cut short all
carry it, and a client that takes them for an end loses rows in silence. A server that trickles
bytes never meets a read time-out, so the whole exchange is watched by one clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import requests

from opportunity_sync.dynamics.error_answers import failure, path_of, request_of
from opportunity_sync.errors import Request, ResponseError, SyncError, TransientError
from opportunity_sync.http.body import LARGEST_ANSWER, LARGEST_REFUSAL, BodyError, body_of
from opportunity_sync.http.network import NETWORK_ERRORS, unreachable
from opportunity_sync.http.retry_after import moment_of
from opportunity_sync.http.watch import Watch
from opportunity_sync.http.wiping import wiped

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from opportunity_sync.http.bounds import Bounds

_NEXT_STEP: Final = (
    "wait: the next try or the next run goes on; if it stays, check the connection's host and what "
    "stands between it and the workers"
)


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
        return moment_of(self.headers.get("Date", ""))

    def broken(self, problem: str) -> ResponseError:
        """An error about this answer, for whoever finds out later that it is no good."""
        return ResponseError(problem, next_step=_NEXT_STEP, request=self.request)


def answer_to(
    session: requests.Session, request: requests.PreparedRequest, bounds: Bounds
) -> Answer:
    """Send a prepared GET and read its JSON answer.

    Raises:
        SyncError: as the table in `failures` says, for any status but 200.
        ConfigError: the connection failed for a reason that can't heal, as `network` says.
        TransientError: the network failed or the time is up.
        ResponseError: 200, but not JSON, or too much of it.
    """
    with Watch(bounds.head, bounds.cancellation) as watch:
        try:
            response, body = _exchanged(session, request, bounds=bounds, watch=watch)
        except BodyError as error:
            raise _unreadable(request, error) from None
        except NETWORK_ERRORS as error:
            if watch.is_cut or bounds.is_over:
                raise _late(request) from error
            host = urlsplit(request.url or "").netloc
            raise unreachable(error, host=host, request=_named(request)) from error
        if watch.is_cut:
            raise _late(request)
    if response.status_code != requests.codes.ok:
        raise _refused(response, body)
    answer = Answer(body, request.url or "", response.headers, request_of(response))
    _require_json(answer)
    return answer


def _exchanged(
    session: requests.Session, request: requests.PreparedRequest, *, bounds: Bounds, watch: Watch
) -> tuple[requests.Response, bytes]:
    """The response, whose head comes within one wait, and its body, within all the time left."""
    settings = session.merge_environment_settings(
        request.url or "", {}, stream=True, verify=None, cert=None
    )
    timeouts = (bounds.connect, bounds.silence)
    with session.send(request, timeout=timeouts, allow_redirects=False, **settings) as response:
        watch.allow(bounds.remaining)
        is_success = response.status_code == requests.codes.ok
        limit = LARGEST_ANSWER if is_success else LARGEST_REFUSAL
        try:
            return response, body_of(response, limit=limit, is_late=lambda: bounds.is_over)
        except BodyError:
            if is_success:
                raise
            return response, b""  # its status says enough


def _refused(response: requests.Response, body: bytes) -> SyncError:
    status = response.status_code
    if status < requests.codes.multiple_choices or status == requests.codes.not_modified:
        return ResponseError(
            f"Dataverse answered with status {status}, which is no page.",
            next_step=_NEXT_STEP,
            request=request_of(response),
        )
    return failure(response, body)


def _require_json(answer: Answer) -> None:
    kind = wiped(answer.headers.get("Content-Type", ""))
    start = answer.body[:64].lstrip()
    if start.startswith(b"<") or "html" in kind:
        raise answer.broken("An HTML page came instead of JSON: a sign-in or maintenance page.")
    if "json" not in kind:
        raise answer.broken(f"The answer is {kind or 'of no declared type'} instead of JSON.")


def _unreadable(request: requests.PreparedRequest, error: BodyError) -> ResponseError:
    return ResponseError(
        f"The answer can't be taken: {error}.",
        next_step="set OPPORTUNITY_SYNC_PAGE_SIZE lower if its size is the cause; otherwise find "
        "out what stands between Dataverse and the workers",
        request=_named(request),
    )


def _late(request: requests.PreparedRequest) -> TransientError:
    return TransientError(
        "The answer did not arrive whole in the time allowed for a page.",
        next_step="set OPPORTUNITY_SYNC_PAGE_SIZE lower or OPPORTUNITY_SYNC_PAGE_TIMEOUT_SECONDS "
        "higher if it stays",
        request=_named(request),
    )


def _named(request: requests.PreparedRequest) -> Request:
    return Request(method=request.method or "GET", path=path_of(request.url or ""))
