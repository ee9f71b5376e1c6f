"""What it means that no token came: AADSTS codes in words, with the next step.

A wrong secret must never be tried again, a busy token service always. Entra's sentences are passed
on. Services echo what they were sent, so every secret of the connection is wiped out of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests

from opportunity_sync.errors import (
    AuthenticationError,
    ConfigError,
    Request,
    ResponseError,
    SyncError,
    TransientError,
)
from opportunity_sync.http.body import BodyError
from opportunity_sync.http.network_errors import network_error
from opportunity_sync.http.wiping import wipe_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opportunity_sync.dynamics.signin.credentials import DynamicsConnection
    from opportunity_sync.dynamics.signin.token_transport import TokenExchange

_BUSY_ERRORS: Final = frozenset({"temporarily_unavailable", "server_error"})
# Entra's own words for these: transient, throttled, too many in a row.
_BUSY_CODES: Final = frozenset({50196, 90006, 90024, 90033, 90055})
_BUSY_STATUSES: Final = frozenset(
    {408, 410, 425, 429}
)  # 410: a machine's identity service restarts

# From Microsoft's page "Microsoft Entra authentication and authorization error codes".
NEXT_STEPS: Final[Mapping[int, str]] = {
    7000215: "put the secret's value, not its id, into the connection's password",
    7000222: "the client secret has expired: make a new one and put it into the password",
    700027: "register the connection's public_certificate with the application",
    700016: "check client id and tenant_id: the application is not in this tenant",
    7000218: "allow public client flows for the application, or give its secret as password",
    700024: "set the worker's clock: the assertion it signed is not valid now",
    7000112: "enable the application in the tenant",
    90002: "check tenant_id: there is no such tenant",
    900023: "check tenant_id: it is neither a tenant's id nor one of its domains",
    500011: "check the connection's host: the tenant knows no such organisation",
    70011: "check the connection's host: it is not a resource of the tenant",
    1002012: "check the connection's host: it is not a resource of the tenant",
    50126: "correct username and user_password in the connection's extra",
    50034: "correct username in the connection's extra: there is no such user",
    50053: "wait until the user's account is unlocked, then check user_password",
    50055: "the user's password has expired: set a new one and put it into user_password",
    50057: "enable the user's account, or choose another user",
    50076: "the user must pass multi-factor authentication: use auth_flow client_secret",
    50079: "the user must pass multi-factor authentication: use auth_flow client_secret",
    53003: "a conditional access policy blocks the sign-in: have the application exempted",
    65001: "have an administrator consent to the application's permission user_impersonation",
}
_ELSE: Final = "check client id, secret, tenant_id and auth_flow of the connection"


@dataclass(frozen=True, slots=True)
class TokenRefusal:
    """What came back instead of a token: OAuth's body, if any, and the HTTP status beside it."""

    answer: Mapping[str, Any]
    status: int | None
    retry_after: float | None


def refusal_error(connection: DynamicsConnection, refusal: TokenRefusal) -> SyncError:
    """The error of a refusal: to be tried again where the service is busy, else for a person."""
    description = _first_line_without_secrets(
        str(refusal.answer.get("error_description") or ""), connection
    )
    code = _aadsts_code(refusal.answer, description)
    where = Request(
        method="POST",
        path=f"{connection.authority} (token)",
        status=refusal.status,
        code=f"AADSTS{code}" if code else None,
        request_id=_guid_or_none(refusal.answer.get("correlation_id")),
    )
    if is_busy(refusal.status) or _is_busy_answer(refusal.answer, code):
        return TransientError(
            f"The token service is busy or failing: {description or 'no reason given'}",
            next_step="wait: the next try or the next run goes on; if it stays, look up whether "
            "Microsoft Entra reports an outage",
            request=where,
            retry_after=refusal.retry_after,
        )
    error = _first_line_without_secrets(
        str(refusal.answer.get("error") or "no reason given"), connection
    )
    return AuthenticationError(
        f"The token service refused the credentials ({error}): {description}",
        next_step=NEXT_STEPS.get(code or 0, _ELSE),
        request=where,
    )


def is_busy(status: int | None) -> bool:
    """Whether the status says that a later attempt can succeed."""
    return status in _BUSY_STATUSES or (status or 0) >= 500  # noqa: PLR2004 - HTTP's own number


def _is_busy_answer(answer: Mapping[str, Any], code: int | None) -> bool:
    return str(answer.get("error")) in _BUSY_ERRORS or code in _BUSY_CODES


def _aadsts_code(answer: Mapping[str, Any], description: str) -> int | None:
    listed = answer.get("error_codes")
    if isinstance(listed, list) and listed and type(listed[0]) is int:
        return listed[0]
    found = re.search(r"AADSTS([0-9]{1,9})", description)
    return int(found[1]) if found else None


def _first_line_without_secrets(text: str, connection: DynamicsConnection) -> str:
    # Trace id and time stand on lines of their own, whose end a client may have escaped.
    first_line = re.split(r"[\r\n]|\\r\\n", text.strip(), maxsplit=1)[0]
    return wipe_secrets(first_line, connection.secrets)


def wire_error(connection: DynamicsConnection, exchange: TokenExchange) -> SyncError:
    """The error of an exchange that msal could make nothing of, by what came over the wire.

    msal raises the same exception for a tenant that does not exist and for a gateway's page.
    """
    status, answer = exchange.status or 0, exchange.content
    where = Request(method="POST", path=f"{connection.authority} (token)", status=status)
    if isinstance(exchange.error, BodyError):
        return _unreadable_answer_error(f"is no token service's: {exchange.error}", where)
    if exchange.error is not None:
        host = urlsplit(exchange.url).netloc
        return network_error(exchange.error, host=host, request=where)
    if is_busy(status) or (status >= requests.codes.bad_request and isinstance(answer, dict)):
        refusal = TokenRefusal(
            answer if isinstance(answer, dict) else {}, status, exchange.retry_after
        )
        return refusal_error(connection, refusal)
    if status < requests.codes.multiple_choices:
        return _unreadable_answer_error("is not the JSON it should be", where)
    return ConfigError(
        f"The token service at {connection.authority} answered with status {status} and no reason.",
        next_step="check tenant_id and authority in the connection's extra, and HTTPS_PROXY of the "
        "workers",
        request=where,
    )


def _unreadable_answer_error(problem: str, where: Request) -> ResponseError:
    return ResponseError(
        f"The token service's answer {problem}.",
        next_step="wait: the next try or the next run goes on; if it stays, check authority in the "
        "connection's extra, and what stands between it and the workers",
        request=where,
    )


def _guid_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F-]{36}", value) else None
