"""One access token per process, renewed before it ends, whatever the flow.

msal does the protocol, with habits that bite a long-running reader (reference 1.5): it replays
a refused request from memory for a minute, raises on a failing renewal though the old token is
good for minutes, loses the port of the user realm's URL, and lets `REQUESTS_CA_BUNDLE` win over
the bundle it was given. So each failure throws the msal application away, the good token is
kept here, and requests go through a session of our own.
"""

from __future__ import annotations

import logging
import math
import re
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final, NoReturn

import msal

from opportunity_sync.dynamics.signin.credentials import AuthFlow, DynamicsConnection
from opportunity_sync.dynamics.signin.token_errors import TokenRefusal, refusal_error, wire_error
from opportunity_sync.dynamics.signin.token_transport import TokenTransport
from opportunity_sync.errors import ConfigError, ResponseError, SyncError, TransientError
from opportunity_sync.http.abort import AbortTimer

log = logging.getLogger(__name__)
# An answer that it can't read it logs as an error, with whatever token or echo is in it.
logging.getLogger("msal").setLevel(logging.CRITICAL)

_MARGIN_SECONDS: Final = 300.0  # msal's own: it never hands out a token with less left
_RENEWAL_PAUSE_SECONDS: Final = 30.0
_LONGEST_QUESTION_SECONDS: Final = 60.0  # discovery, user realm and token together
_LONGEST_LIFETIME_SECONDS: Final = 86_400.0
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e]+")

AskForToken = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    renew_at: float
    ends_at: float

    def __repr__(self) -> str:
        return f"_Token(***, ends_at={self.ends_at})"


class TokenSource:
    """Hands out the current token of one connection; safe to share between threads."""

    def __init__(
        self, connection: DynamicsConnection, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._lock = Lock()
        self._token: _Token | None = None
        self._ask_for_token: AskForToken | None = None
        self._transport = TokenTransport(connection)

    def token(self) -> str:
        """A token that is good for now.

        Raises:
            AuthenticationError: the token service refused the credentials.
            TransientError: it is not there, busy or failing, and no good token is left.
        """
        with self._lock:
            now = self._clock()
            if self._token is None or now >= self._token.renew_at:
                self._token = self._renew_or_keep(self._token, now)
            return self._token.value

    def drop_token(self, refused_token: str | None = None) -> None:
        """Forget the token that Dataverse refused; another thread's newer one is kept."""
        with self._lock:
            if self._token and refused_token not in (None, self._token.value):
                return
            self._token = self._ask_for_token = None

    def __reduce__(self) -> NoReturn:
        raise TypeError("a TokenSource holds secrets and is never pickled")

    def _renew_or_keep(self, old: _Token | None, now: float) -> _Token:
        try:
            return self._acquire_token(now)
        except TransientError as error:
            self._ask_for_token = None
            if old is None or now >= old.ends_at:
                raise
            log.warning("The token could not be renewed yet, the current one is used: %s", error)
            next_try = min(now + _RENEWAL_PAUSE_SECONDS, old.ends_at)
            return _Token(old.value, next_try, old.ends_at)
        except SyncError:
            self._ask_for_token = None
            raise

    def _acquire_token(self, now: float) -> _Token:
        answer = self._ask_msal()
        decisive = self._transport.decisive_exchange
        status = decisive.status if decisive else None
        if "access_token" in answer:
            value = _require_token_text(answer["access_token"])
            lifetime = _lifetime_seconds(answer.get("expires_in"))
            margin = min(_MARGIN_SECONDS, lifetime / 5)
            return _Token(value, now + lifetime - margin, now + lifetime)
        if decisive and "error" not in answer:
            raise wire_error(self._connection, decisive)
        after = decisive.retry_after if decisive else None
        raise refusal_error(self._connection, TokenRefusal(answer, status, after))

    def _ask_msal(self) -> Mapping[str, Any]:
        """Ask msal; its exceptions are not chained, for they carry the request with the secret."""
        self._transport.exchanges.clear()
        with AbortTimer(_LONGEST_QUESTION_SECONDS) as watch:
            try:
                if self._ask_for_token is None:
                    make = _FLOWS[self._connection.auth_flow]
                    self._ask_for_token = make(self._connection, self._transport)
                return self._ask_for_token()
            except SyncError:
                raise
            except Exception as error:  # noqa: BLE001 - what msal raises says little, the wire all
                if watch.has_aborted:
                    raise _late_error(self._connection) from None
                decisive = self._transport.decisive_exchange
                if decisive is None:
                    raise _unusable_credentials_error(self._connection, error) from None
                raise wire_error(self._connection, decisive) from None


def _require_token_text(token: object) -> str:
    """The token, if a header can carry it; a line break in it would be printed with all of it."""
    if not isinstance(token, str) or not _HEADER_VALUE.fullmatch(token):
        raise ResponseError(
            "The token service sent a token that is none: it has characters no token has.",
            next_step="check authority in the connection's extra, and what stands between it and "
            "the workers",
        )
    return token


def _lifetime_seconds(value: object) -> float:
    """Seconds the token is good for; as good as none where the service does not say."""
    try:
        seconds = float(value) if isinstance(value, (int, float, str)) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_LIFETIME_SECONDS) if math.isfinite(seconds) else 0.0


def _late_error(connection: DynamicsConnection) -> TransientError:
    return TransientError(
        f"The token service at {connection.authority} did not answer whole within "
        f"{_LONGEST_QUESTION_SECONDS:.0f} s.",
        next_step="wait: the next try or the next run goes on; if it stays, check `authority`, "
        "proxy and network of the workers",
    )


def _unusable_credentials_error(connection: DynamicsConnection, error: Exception) -> ConfigError:
    return ConfigError(
        f"The credentials for auth_flow {connection.auth_flow} can't be used "
        f"({type(error).__name__} before or while asking {connection.authority}).",
        next_step="check tenant_id, authority and, for a certificate, that private_key and "
        "public_certificate are unencrypted PEM texts that belong together",
    )


def _scopes_of(connection: DynamicsConnection) -> list[str]:
    return [f"{connection.organization_url}/.default"]


def _application_arguments(
    connection: DynamicsConnection, transport: TokenTransport
) -> dict[str, Any]:
    return {
        "client_id": connection.client_id,
        "authority": f"{connection.authority}/{connection.tenant_id}",
        "instance_discovery": connection.instance_discovery,
        "http_client": transport,
    }


def _make_client_secret_flow(
    connection: DynamicsConnection, transport: TokenTransport
) -> AskForToken:
    application = msal.ConfidentialClientApplication(
        client_credential=_secret_text(connection, "client_secret"),
        **_application_arguments(connection, transport),
    )
    return lambda: dict(application.acquire_token_for_client(_scopes_of(connection)))


def _make_certificate_flow(
    connection: DynamicsConnection, transport: TokenTransport
) -> AskForToken:
    credential = {
        "private_key": _read_pem(_secret_text(connection, "private_key")),
        "public_certificate": _read_pem(connection.public_certificate or ""),
    }
    application = msal.ConfidentialClientApplication(
        client_credential=credential, **_application_arguments(connection, transport)
    )
    return lambda: dict(application.acquire_token_for_client(_scopes_of(connection)))


def _make_password_flow(connection: DynamicsConnection, transport: TokenTransport) -> AskForToken:
    """The documented set-up of the native sync: a user's name and password."""
    parts = _application_arguments(connection, transport)
    if connection.client_secret is None:
        application = msal.PublicClientApplication(**parts)
    else:
        application = msal.ConfidentialClientApplication(
            client_credential=_secret_text(connection, "client_secret"), **parts
        )
    return lambda: _ask_with_password(connection, application)


def _ask_with_password(
    connection: DynamicsConnection, application: msal.ClientApplication
) -> Mapping[str, Any]:
    with warnings.catch_warnings():
        # The flow is deprecated by Microsoft, and is what the native sync documents.
        warnings.simplefilter("ignore", DeprecationWarning)
        return dict(
            application.acquire_token_by_username_password(
                connection.username,
                _secret_text(connection, "user_password"),
                _scopes_of(connection),
            )
        )


def _make_managed_identity_flow(
    connection: DynamicsConnection, transport: TokenTransport
) -> AskForToken:
    identity = (
        msal.UserAssignedManagedIdentity(client_id=connection.client_id)
        if connection.client_id
        else msal.SystemAssignedManagedIdentity()
    )
    client = msal.ManagedIdentityClient(identity, http_client=transport)
    return lambda: dict(client.acquire_token_for_client(resource=connection.organization_url))


def _secret_text(connection: DynamicsConnection, name: str) -> str:
    return str(getattr(connection, name).get_secret_value())


def _read_pem(text: str) -> str:
    """PEM text as given, with line breaks that a form escaped, or from the file it names."""
    if "-----BEGIN" in text:
        return text.replace("\\n", "\n")
    try:
        return Path(text).read_text(encoding="ascii")
    except (OSError, ValueError):
        raise ConfigError(
            "private_key or public_certificate is neither PEM text nor a readable PEM file.",
            next_step="paste the PEM text, or give a path that every worker can read",
        ) from None


_FLOWS: Final[Mapping[AuthFlow, Callable[[DynamicsConnection, TokenTransport], AskForToken]]] = {
    AuthFlow.CLIENT_SECRET: _make_client_secret_flow,
    AuthFlow.CERTIFICATE: _make_certificate_flow,
    AuthFlow.ROPC: _make_password_flow,
    AuthFlow.MANAGED_IDENTITY: _make_managed_identity_flow,
}
