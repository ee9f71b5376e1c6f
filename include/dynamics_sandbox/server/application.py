"""The ASGI application: bounds, faults, authentication and the log around the Web API.

A request goes to the admin surface, to the token service or to the Web API. Scripted faults strike
before it is answered (throttling, stalls, resets) or change how the answer is made and delivered.
Evaluation runs in a worker thread, so that parallel readers overlap.
"""

from __future__ import annotations

import asyncio
import logging
import time
from email.utils import format_datetime
from typing import TYPE_CHECKING

from dynamics_sandbox.entra.routes import answer_identity
from dynamics_sandbox.odata.dataverse_error import EXPIRED_VERSION_STAMP, UNEXPECTED, DataverseError
from dynamics_sandbox.odata.http_messages import Answer, Delivery, Incoming
from dynamics_sandbox.odata.page_tokens import from_cookie
from dynamics_sandbox.odata.query_options import split_options
from dynamics_sandbox.server.admin import AdminSurface
from dynamics_sandbox.server.asgi import (
    BodyTooLargeError,
    Receive,
    Scope,
    Send,
    deliver,
    receive_request,
)
from dynamics_sandbox.server.request_log import LOGGED_HEADERS, LoggedRequest, RequestLog
from dynamics_sandbox.server.scripted_faults import Fault, FaultKind, FaultScript
from dynamics_sandbox.webapi.service import WebApi

if TYPE_CHECKING:
    from collections.abc import Callable

    from dynamics_sandbox.entra.token_service import TokenService
    from dynamics_sandbox.organisation.organisation import Organisation

MAX_SECONDS = 600
SIGN_IN_PAGE = (
    b"<!DOCTYPE html><html><head><title>Sign in to your account</title></head><body>"
    b"<form action='https://login.microsoftonline.com/common/login' method='post'></form>"
    b"</body></html>"
)
_LOG = logging.getLogger(__name__)


class Application:
    """One organisation behind HTTP."""

    def __init__(self, organisation: Organisation, tokens: TokenService, admin_token: str) -> None:
        """Serve this organisation to holders of these credentials."""
        self.faults = FaultScript()
        self.requests = RequestLog()
        self._tokens = tokens
        self._admin_token = admin_token
        self.serve(organisation)

    def serve(self, organisation: Organisation) -> None:
        """Answer for this organisation from now on, whoever asks."""
        self._organisation = organisation
        self._api = WebApi(organisation)
        self._admin = AdminSurface(
            organisation,
            self._tokens,
            faults=self.faults,
            requests=self.requests,
            token=self._admin_token,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started = time.monotonic()
        try:
            incoming = await receive_request(scope, receive)
        except BodyTooLargeError:
            await deliver(Answer(413), scope, send)
            return
        struck: list[Fault] = []
        try:
            async with asyncio.timeout(MAX_SECONDS):
                answer = await self._answer(incoming, struck)
        except Exception:  # noqa: BLE001  the server's edge: everything becomes an answer
            _LOG.exception("request failed: %s %s", incoming.method, incoming.path)
            answer = WebApi.refusal(
                DataverseError(500, UNEXPECTED, "An unexpected error occurred.")
            )
        answer.headers["Date"] = format_datetime(self._organisation.server_date(), usegmt=True)
        if not incoming.path.startswith("/sandbox/"):
            self._log(incoming, answer, started=started, struck=struck)
        await deliver(answer, scope, send)

    def _log(
        self, incoming: Incoming, answer: Answer, *, started: float, struck: list[Fault]
    ) -> None:
        self.requests.add(
            LoggedRequest(
                method=incoming.method,
                path=incoming.path,
                query=incoming.raw_query,
                status=0 if answer.delivery is Delivery.NOTHING else answer.status,
                started=started,
                ended=time.monotonic(),
                headers={
                    name: incoming.headers[name]
                    for name in LOGGED_HEADERS
                    if name in incoming.headers
                },
                faults=tuple(fault.kind.value for fault in struck),
            )
        )

    async def _answer(self, incoming: Incoming, struck: list[Fault]) -> Answer:
        if incoming.path.startswith("/sandbox/"):
            return await asyncio.to_thread(self._admin.answer, incoming)
        struck += self.faults.strike(incoming.target, lambda: _page(incoming))
        for fault in struck:
            if (refused := await self._strike_request(fault)) is not None:
                return refused
        identity = answer_identity(incoming, self._tokens)
        answer = identity or await self._api_answer(incoming, struck)
        for fault in struck:
            _strike_answer(fault, answer)
        return answer

    async def _strike_request(self, fault: Fault) -> Answer | None:
        """What a fault does before the request is looked at."""
        if fault.kind is FaultKind.STALL:
            await asyncio.sleep(min(fault.seconds, MAX_SECONDS))
        elif fault.kind is FaultKind.REVOKE_TOKENS:
            self._tokens.revoke_all()
        elif fault.kind is FaultKind.DROP_CONNECTION:
            return Answer(0, delivery=Delivery.NOTHING)
        elif fault.kind is FaultKind.SIGN_IN_PAGE:
            return Answer(200, SIGN_IN_PAGE, {"Content-Type": "text/html; charset=utf-8"})
        elif fault.kind in _REFUSALS:
            return _REFUSALS[fault.kind](fault)
        return None

    async def _api_answer(self, incoming: Incoming, struck: list[Fault]) -> Answer:
        if not incoming.path.startswith("/api/data"):
            return Answer(404, b"Not Found", {"Content-Type": "text/plain"})
        if not self._tokens.accepts(incoming.headers.get("authorization", ""), incoming.origin):
            authority = f"{incoming.origin}/{self._tokens.tenant_id}/oauth2/authorize"
            challenge = f"Bearer authorization_uri={authority}, resource_id={incoming.origin}/"
            return Answer(
                401,
                headers={
                    "WWW-Authenticate": challenge,
                    "REQ_ID": "00000000-0000-0000-0000-000000000000",
                },
            )
        kinds = {fault.kind.value for fault in struck}
        return await asyncio.to_thread(self._api.answer, incoming, kinds)


def _throttle_answer(fault: Fault) -> Answer:
    message = "Number of requests exceeded the limit of 6000 over time window of 300 seconds."
    headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    return WebApi.refusal(DataverseError(429, "0x80072322", message, headers=headers))


def _status_answer(fault: Fault) -> Answer:
    if fault.body is not None:
        kind = "text/html" if fault.body.startswith("<") else "application/json"
        return Answer(fault.status, fault.body.encode(), {"Content-Type": kind})
    return WebApi.refusal(DataverseError(fault.status, fault.code, "The service is not available."))


def _expiry_answer(_fault: Fault) -> Answer:
    message = "Version stamp associated with the client has expired. Please perform a full sync."
    return WebApi.refusal(DataverseError(400, EXPIRED_VERSION_STAMP, message))


_REFUSALS: dict[FaultKind, Callable[[Fault], Answer]] = {
    FaultKind.THROTTLE: _throttle_answer,
    FaultKind.STATUS: _status_answer,
    FaultKind.EXPIRE_DELTA_TOKEN: _expiry_answer,
}


def _strike_answer(fault: Fault, answer: Answer) -> None:
    """What a fault does to the finished answer."""
    if fault.kind is FaultKind.TRUNCATE:
        answer.delivery = Delivery.HALF
    elif fault.kind is FaultKind.TRUNCATE_JSON:
        answer.body = answer.body[: len(answer.body) // 2]


def _page(incoming: Incoming) -> int:
    """The page of a collection that a request asks for."""
    token = split_options(incoming.raw_query).get("$skiptoken")
    try:
        return from_cookie(token).page if token else 1
    except DataverseError:
        return 0
