"""Sessions that trust what the connection says, and nothing the machine's environment sneaks in.

requests takes the CA bundle, `.netrc` passwords and proxies from the environment together or
not at all. Here proxies still come from the environment, `.netrc` never does, and the bundle
of the connection wins over `REQUESTS_CA_BUNDLE` for token and API requests alike.
"""

from __future__ import annotations

import os
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies

from opportunity_sync.dynamics.connection import AuthFlow, DynamicsConnection
from opportunity_sync.dynamics.failures import retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN_TIMEOUT_SECONDS: Final = 30.0


class TrustingSession(requests.Session):
    """A session for one connection: its bundle, no cookies, no `.netrc`, no redirects."""

    def __init__(self, verify: str | None, *, proxied: bool = True) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._bundle = verify
        self._proxied = proxied

    def merge_environment_settings(  # noqa: PLR0917 - the signature of requests
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """As requests does, but proxies and bundle are taken apart."""
        if self._proxied:
            proxies = {**get_environ_proxies(str(url)), **(proxies or {})}
        verify = self._bundle or (verify if isinstance(verify, str) else _bundle_of_machine())
        return super().merge_environment_settings(url, proxies, stream, verify, cert)

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the signature of requests
        """Never: a redirect is an answer to look at, not a host to take the token to."""
        return None

    def __reduce__(self) -> NoReturn:
        raise TypeError("a session holds secrets and is never pickled")


class TokenTransport(TrustingSession):
    """What msal sends through; remembers the last status, which msal's answers leave out."""

    def __init__(self, connection: DynamicsConnection) -> None:
        # The address of a managed identity is the machine's own: a proxy can't reach it.
        proxied = connection.auth_flow is not AuthFlow.MANAGED_IDENTITY
        super().__init__(bundle_of(connection), proxied=proxied)
        self.last_status: int | None = None
        self.retry_after: float | None = None
        self._authority = urlsplit(connection.authority)

    def request(self, method: Any, url: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]  # its other arguments go on as they are
        """Send with a time-out, and with the port that msal drops from the user realm's URL."""
        self.last_status = self.retry_after = None
        kwargs["timeout"] = kwargs.get("timeout") or _TOKEN_TIMEOUT_SECONDS
        response = super().request(method, self._with_port(str(url)), **kwargs)
        self.last_status = response.status_code
        self.retry_after = retry_after(response.headers)
        return response

    def _with_port(self, url: str) -> str:
        parts = urlsplit(url)
        if parts.port is None and parts.hostname == self._authority.hostname:
            return parts._replace(netloc=self._authority.netloc).geturl()
        return url


def bundle_of(connection: DynamicsConnection) -> str | None:
    return str(connection.verify) if connection.verify else None


def cause_of(error: BaseException) -> str:
    """The innermost reason of a network error, without URLs, which can hold names and cookies."""
    innermost = error
    for _ in range(10):
        reasons = [getattr(innermost, "reason", None), *innermost.args, innermost.__cause__]
        deeper = [reason for reason in reasons if isinstance(reason, BaseException)]
        if not deeper:
            break
        innermost = deeper[0]
    text = str(innermost) if isinstance(innermost, OSError) else ""
    known = "" if "://" in text or "url:" in text else text
    return f"{type(innermost).__name__} {known}".strip()


def is_untrusted(error: BaseException) -> bool:
    """Whether the server's certificate is not signed by anyone we trust."""
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def _bundle_of_machine(environ: Mapping[str, str] = os.environ) -> str | bool:
    return environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE") or True
