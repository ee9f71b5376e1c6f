"""What msal sends its requests through, and what came back of each.

msal tells its caller only a part of the token service's answer, and goes on asking after a failure.
So every exchange is remembered here, bounded in size and time like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec
import requests

from opportunity_sync.dynamics.signin.credentials import AuthFlow
from opportunity_sync.http.body import LARGEST_ERROR_ANSWER, BodyError, read_body
from opportunity_sync.http.network_errors import NETWORK_ERRORS
from opportunity_sync.http.retry_after import retry_after_seconds
from opportunity_sync.http.session import StrictSession

if TYPE_CHECKING:
    from opportunity_sync.dynamics.signin.credentials import DynamicsConnection

_TOKEN_TIMEOUT_SECONDS: Final = 30.0
_REDIRECT: Final = 300


@dataclass(frozen=True, slots=True)
class TokenExchange:
    """What came of one request: an error below HTTP, or a status and what the JSON body says.

    `content` is None where the body is no JSON. It is None for the JSON `null`, too, which says no
    more.
    """

    url: str
    status: int | None = None
    content: Any = None
    retry_after: float | None = None
    error: BaseException | None = None

    @property
    def has_failed(self) -> bool:
        return self.error is not None or (self.status or 0) >= _REDIRECT


class TokenTransport(StrictSession):
    """The session that msal sends its requests through; it remembers what came back."""

    def __init__(self, connection: DynamicsConnection) -> None:
        # The address of a managed identity is the machine's own: a proxy can't reach it.
        proxied = connection.auth_flow is not AuthFlow.MANAGED_IDENTITY
        super().__init__(ca_bundle_of(connection), proxied=proxied)
        self.exchanges: list[TokenExchange] = []
        self._authority = urlsplit(connection.authority)

    @property
    def decisive_exchange(self) -> TokenExchange | None:
        """The first exchange that failed, after which msal may have gone on; else the last one."""
        failed = [exchange for exchange in self.exchanges if exchange.has_failed]
        return next(iter(failed or self.exchanges[-1:]), None)

    def request(self, method: Any, url: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]  # its other arguments go on as they are
        """Send with a time-out, and with the port that msal drops from the user realm's URL."""
        kwargs["timeout"] = kwargs.get("timeout") or _TOKEN_TIMEOUT_SECONDS
        address = self._restore_port(str(url))
        try:
            with super().request(method, address, **{**kwargs, "stream": True}) as response:
                body = read_body(response, limit=LARGEST_ERROR_ANSWER)
        except (*NETWORK_ERRORS, BodyError) as error:
            self.exchanges.append(TokenExchange(address, error=error))
            raise
        self.exchanges.append(
            TokenExchange(
                address,
                response.status_code,
                _parse_json(body),
                retry_after_seconds(response.headers),
            )
        )
        return _response_with_body(response, body)

    def _restore_port(self, url: str) -> str:
        parts = urlsplit(url)
        if parts.port is None and parts.hostname == self._authority.hostname:
            return parts._replace(netloc=self._authority.netloc).geturl()
        return url


def ca_bundle_of(connection: DynamicsConnection) -> str | None:
    return str(connection.verify) if connection.verify else None


def _parse_json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None


def _response_with_body(response: requests.Response, body: bytes) -> requests.Response:
    """The response as msal takes it, with the body that was read in its place."""
    whole = requests.Response()
    whole.status_code, whole.reason, whole.url = response.status_code, response.reason, response.url
    whole.headers, whole.encoding = response.headers, response.encoding
    whole.request, whole.raw = response.request, BytesIO(body)
    return whole
