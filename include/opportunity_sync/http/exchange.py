"""One request and its answer, bounded in time and size.

A server that sends a byte now and then never meets the network library's own time-out, so one clock
bounds the whole exchange. A body without end is cut at a size that no honest answer has. Whatever
goes wrong ends as one of our errors, and never as a half answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from opportunity_sync.errors import ResponseError, SyncError, TransientError
from opportunity_sync.http.abort import AbortTimer
from opportunity_sync.http.answer import STEP_IF_BROKEN, Answer
from opportunity_sync.http.body import LARGEST_ANSWER, LARGEST_ERROR_ANSWER, BodyError, read_body
from opportunity_sync.http.network_errors import NETWORK_ERRORS, network_error

if TYPE_CHECKING:
    from opportunity_sync.http.service import RemoteService
    from opportunity_sync.http.time_limits import TimeLimits


def get_answer(
    session: requests.Session,
    request: requests.PreparedRequest,
    *,
    service: RemoteService,
    limits: TimeLimits,
) -> Answer:
    """Send a prepared GET and read its JSON answer.

    Raises:
        SyncError: as the service's `error_of` says, for any status but 200.
        ConfigError: the connection failed for a reason that can't heal, as `network_errors` says.
        TransientError: the network failed or the time is up.
        ResponseError: 200, but not JSON, or too much of it.
    """
    with AbortTimer(limits.head, limits.cancellation) as timer:
        try:
            response, body = _send(session, request, limits=limits, timer=timer)
        except BodyError as error:
            raise _unreadable_error(request, service, error) from None
        except NETWORK_ERRORS as error:
            if timer.has_aborted or limits.is_over:
                raise _late_error(request, service) from error
            host = urlsplit(request.url or "").netloc
            where = service.unanswered_request(request)
            raise network_error(error, host=host, request=where) from error
        if timer.has_aborted:
            raise _late_error(request, service)
    if response.status_code != requests.codes.ok:
        raise _error_of_status(response, body, service)
    answer = Answer(body, request.url or "", response.headers, service.request_of(response))
    answer.require_json()
    return answer


def _send(
    session: requests.Session,
    request: requests.PreparedRequest,
    *,
    limits: TimeLimits,
    timer: AbortTimer,
) -> tuple[requests.Response, bytes]:
    """The response, whose head comes within one wait, and its body, within all the time left."""
    settings = session.merge_environment_settings(
        request.url or "", {}, stream=True, verify=None, cert=None
    )
    timeouts = (limits.connect, limits.silence)
    with session.send(request, timeout=timeouts, allow_redirects=False, **settings) as response:
        timer.restart(limits.remaining)
        is_success = response.status_code == requests.codes.ok
        largest = LARGEST_ANSWER if is_success else LARGEST_ERROR_ANSWER
        try:
            return response, read_body(response, limit=largest, is_late=lambda: limits.is_over)
        except BodyError:
            if is_success:
                raise
            return response, b""  # its status says enough


def _error_of_status(response: requests.Response, body: bytes, service: RemoteService) -> SyncError:
    status = response.status_code
    if status < requests.codes.multiple_choices or status == requests.codes.not_modified:
        return ResponseError(
            f"{service.name} answered with status {status}, which is no page.",
            next_step=STEP_IF_BROKEN,
            request=service.request_of(response),
        )
    return service.error_of(response, body)


def _unreadable_error(
    request: requests.PreparedRequest, service: RemoteService, error: BodyError
) -> ResponseError:
    return ResponseError(
        f"The answer can't be taken: {error}.",
        next_step=service.step_if_unreadable,
        request=service.unanswered_request(request),
    )


def _late_error(request: requests.PreparedRequest, service: RemoteService) -> TransientError:
    return TransientError(
        "The answer did not arrive whole in the time allowed for a page.",
        next_step=service.step_if_late,
        request=service.unanswered_request(request),
    )
