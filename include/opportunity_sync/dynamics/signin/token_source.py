"""One access token per process, renewed before it ends, whatever the flow.

msal does the protocol, with habits that bite a long-running reader. It replays a refused request
from memory for a minute. It raises when a renewal fails, though the old token is good for minutes.
It loses the port of the user realm's URL, and lets `REQUESTS_CA_BUNDLE` win over the bundle that it
was given. So each failure throws the msal application away, the good token is kept here, and
requests go through a session of our own.
"""

from __future__ import annotations

import logging
import math
import re
import time
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NoReturn

from opportunity_sync.dynamics.signin.msal_flows import start_flow
from opportunity_sync.dynamics.signin.token_errors import TokenRefusal, refusal_error, wire_error
from opportunity_sync.dynamics.signin.token_transport import TokenTransport
from opportunity_sync.errors import ConfigError, ResponseError, SyncError, TransientError
from opportunity_sync.http.abort import AbortTimer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opportunity_sync.dynamics.signin.credentials import DynamicsConnection
    from opportunity_sync.dynamics.signin.msal_flows import AskForToken

log = logging.getLogger(__name__)
# msal logs an answer that it can't read as an error, with whatever token or secret is in it.
logging.getLogger("msal").setLevel(logging.CRITICAL)

_MARGIN_SECONDS: Final = 300.0  # msal's own: it never hands out a token with less left
_RENEWAL_PAUSE_SECONDS: Final = 30.0
_LONGEST_QUESTION_SECONDS: Final = 60.0  # discovery, user realm and token together
_LONGEST_LIFETIME_SECONDS: Final = 86_400.0
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e]+")


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
        """Forget the token that Dataverse refused; a newer one of another thread is kept."""
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
        """What msal answers; its exceptions hold the request and its secret, so none is chained."""
        self._transport.exchanges.clear()
        with AbortTimer(_LONGEST_QUESTION_SECONDS) as timer:
            try:
                if self._ask_for_token is None:
                    self._ask_for_token = start_flow(self._connection, self._transport)
                return self._ask_for_token()
            except SyncError:
                raise
            except Exception as error:  # noqa: BLE001 - the wire says more than what msal raises
                if timer.has_aborted:
                    raise _late_error(self._connection) from None
                decisive = self._transport.decisive_exchange
                if decisive is None:
                    raise _unusable_credentials_error(self._connection, error) from None
                raise wire_error(self._connection, decisive) from None


def _require_token_text(token: object) -> str:
    """The token, if a header can carry it.

    An exception of the library would print a token with a line break, all of it.
    """
    if not isinstance(token, str) or not _HEADER_VALUE.fullmatch(token):
        raise ResponseError(
            "The token service sent a token that is none: it has characters no token has.",
            next_step="check authority in the connection's extra, and what stands between it and "
            "the workers",
        )
    return token


def _lifetime_seconds(value: object) -> float:
    """How long the token is good for; no time at all where the service does not say."""
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
