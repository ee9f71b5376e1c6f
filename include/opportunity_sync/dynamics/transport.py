"""Sessions that trust what the connection says, and nothing the machine's environment sneaks in.

requests takes the CA bundle, `.netrc` passwords and proxies from the environment together or
not at all. Here proxies still come from the environment, `.netrc` never does, and the bundle
of the connection wins over `REQUESTS_CA_BUNDLE` for token and API requests alike.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

import msgspec
import requests
from requests.utils import get_environ_proxies

from opportunity_sync.dynamics.body import (
    ACCEPTED_ENCODING,
    LARGEST_REFUSAL,
    BodyError,
    body_of,
)
from opportunity_sync.dynamics.connection import AuthFlow, DynamicsConnection
from opportunity_sync.dynamics.network import NETWORK_ERRORS
from opportunity_sync.dynamics.retry_after import retry_after
from opportunity_sync.dynamics.watch import WatchedAdapter
from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN_TIMEOUT_SECONDS: Final = 30.0
_REDIRECT: Final = 300
_PROXY_SCHEMES: Final = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})


class TrustingSession(requests.Session):
    """A session for one connection: its bundle, no cookies, no `.netrc`, no redirects."""

    def __init__(self, verify: str | None, *, proxied: bool = True) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["Accept-Encoding"] = ACCEPTED_ENCODING
        for scheme in ("http://", "https://"):
            self.mount(scheme, WatchedAdapter())
        self._bundle = verify
        self._proxied = proxied

    def merge_environment_settings(  # noqa: PLR0917 - the signature of requests
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """As requests does, but proxies and bundle are taken apart."""
        if self._proxied:
            proxies = {**_proxies_of_machine(str(url)), **(proxies or {})}
        verify = self._bundle or (verify if isinstance(verify, str) else _bundle_of_machine())
        return super().merge_environment_settings(url, proxies, stream, verify, cert)

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the signature of requests
        """Never: a redirect is an answer to look at, not a host to take the token to."""
        return None

    def __reduce__(self) -> NoReturn:
        raise TypeError("a session holds secrets and is never pickled")


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What came of one request: the error below HTTP, or the status and the JSON, if it is any.

    `content` is None where the body is no JSON, and for the JSON `null`: nothing to go on either.
    """

    url: str
    status: int | None = None
    content: Any = None
    retry_after: float | None = None
    error: BaseException | None = None

    @property
    def is_failed(self) -> bool:
        return self.error is not None or (self.status or 0) >= _REDIRECT


class TokenTransport(TrustingSession):
    """What msal sends through; remembers what came back, of which msal tells only a part."""

    def __init__(self, connection: DynamicsConnection) -> None:
        # The address of a managed identity is the machine's own: a proxy can't reach it.
        proxied = connection.auth_flow is not AuthFlow.MANAGED_IDENTITY
        super().__init__(bundle_of(connection), proxied=proxied)
        self.exchanges: list[Exchanged] = []
        self._authority = urlsplit(connection.authority)

    @property
    def decisive(self) -> Exchanged | None:
        """The exchange that decided: the first that failed, or the last. msal goes on asking."""
        failed = [exchanged for exchanged in self.exchanges if exchanged.is_failed]
        return next(iter(failed or self.exchanges[-1:]), None)

    def request(self, method: Any, url: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]  # its other arguments go on as they are
        """Send with a time-out, and with the port that msal drops from the user realm's URL."""
        kwargs["timeout"] = kwargs.get("timeout") or _TOKEN_TIMEOUT_SECONDS
        address = self._with_port(str(url))
        try:
            with super().request(method, address, **{**kwargs, "stream": True}) as response:
                body = body_of(response, limit=LARGEST_REFUSAL)
        except (*NETWORK_ERRORS, BodyError) as error:
            self.exchanges.append(Exchanged(address, error=error))
            raise
        self.exchanges.append(
            Exchanged(address, response.status_code, _json(body), retry_after(response.headers))
        )
        return _with_body(response, body)

    def _with_port(self, url: str) -> str:
        parts = urlsplit(url)
        if parts.port is None and parts.hostname == self._authority.hostname:
            return parts._replace(netloc=self._authority.netloc).geturl()
        return url


def bundle_of(connection: DynamicsConnection) -> str | None:
    return str(connection.verify) if connection.verify else None


def _proxies_of_machine(url: str) -> dict[str, str]:
    """The environment's proxies; one that is no address fails deep in the library otherwise."""
    proxies = get_environ_proxies(url)
    for name, proxy in proxies.items():
        try:
            parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
            is_address = bool(parts.hostname) and parts.scheme.lower() in _PROXY_SCHEMES
            _ = parts.port
        except ValueError:
            is_address = False
        if not is_address:
            raise ConfigError(
                f"The proxy that the worker's environment names for {name} is not an address.",
                next_step="correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY of the workers",
            )
    return proxies


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None


def _with_body(response: requests.Response, body: bytes) -> requests.Response:
    """The response as msal takes it, with the body that was read in its place."""
    whole = requests.Response()
    whole.status_code, whole.reason, whole.url = response.status_code, response.reason, response.url
    whole.headers, whole.encoding = response.headers, response.encoding
    whole.request, whole.raw = response.request, BytesIO(body)
    return whole


def _bundle_of_machine(environ: Mapping[str, str] = os.environ) -> str | bool:
    return environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE") or True
