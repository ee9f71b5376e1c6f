"""What the token service's refusals mean: AADSTS codes in words, with the next step.

A wrong secret must never be retried, a busy token service always. Entra's sentences are passed
on with every secret of the connection wiped out, for services echo what they were sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opportunity_sync.dynamics.failures import wiped
from opportunity_sync.errors import AuthenticationError, Request, SyncError, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opportunity_sync.dynamics.connection import DynamicsConnection

BUSY: Final = "temporarily_unavailable"
_BUSY_ERRORS: Final = frozenset({BUSY, "server_error"})

# Source: reference 1.4.
NEXT_STEPS: Final[Mapping[int, str]] = {
    7000215: "put the secret's value, not its id, into the connection's password",
    7000222: "the client secret has expired: make a new one and put it into the password",
    700027: "register the connection's public_certificate with the application",
    700016: "check client id and tenant_id: the application is not in this tenant",
    7000218: "allow public client flows for the application, or give its secret as password",
    90002: "check tenant_id: there is no such tenant",
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


def refused(connection: DynamicsConnection, refusal: TokenRefusal) -> SyncError:
    """The error of a refusal: to wait for where the service is busy, else for a person."""
    description = _wiped(str(refusal.answer.get("error_description") or ""), connection)
    code = _code(refusal.answer, description)
    where = Request(
        method="POST",
        path=f"{connection.authority} (token)",
        status=refusal.status,
        code=f"AADSTS{code}" if code else None,
        request_id=_identifier(refusal.answer.get("correlation_id")),
    )
    if _is_busy(refusal):
        return TransientError(
            f"The token service is busy or failing: {description or 'no reason given'}",
            request=where,
            retry_after=refusal.retry_after,
        )
    error = _wiped(str(refusal.answer.get("error") or "no reason given"), connection)
    return AuthenticationError(
        f"The token service refused the credentials ({error}): {description}",
        next_step=NEXT_STEPS.get(code or 0, _ELSE),
        request=where,
    )


def _is_busy(refusal: TokenRefusal) -> bool:
    status = refusal.status or 0
    named = str(refusal.answer.get("error")) in _BUSY_ERRORS
    return named or status == 429 or status >= 500  # noqa: PLR2004 - HTTP's own numbers


def _code(answer: Mapping[str, Any], description: str) -> int | None:
    listed = answer.get("error_codes")
    if isinstance(listed, list) and listed and isinstance(listed[0], int):
        return listed[0]
    found = re.search(r"AADSTS(\d+)", description)
    return int(found[1]) if found else None


def _wiped(text: str, connection: DynamicsConnection) -> str:
    for secret in connection.secrets:
        text = text.replace(secret, "***")
    first_line = text.strip().split("\n")[0]
    return wiped(first_line, None)


def _identifier(value: object) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F-]{36}", value) else None
