"""Sessions that take from the machine's environment no more than they should.

requests takes the CA bundle, the passwords of `.netrc` and proxies from the environment together or
not at all. Here proxies still come from it, passwords never do, and the bundle of the connection
wins over `REQUESTS_CA_BUNDLE`. Cookies are not kept and redirects not followed.
"""

from __future__ import annotations

import os
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies

from opportunity_sync.errors import ConfigError
from opportunity_sync.http.abort import AbortableAdapter
from opportunity_sync.http.body import ACCEPTED_ENCODING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROXY_SCHEMES: Final = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})


class StrictSession(requests.Session):
    """A session for one connection: its bundle, no cookies, no `.netrc`, no redirects."""

    def __init__(self, verify: str | None, *, proxied: bool = True) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["Accept-Encoding"] = ACCEPTED_ENCODING
        for scheme in ("http://", "https://"):
            self.mount(scheme, AbortableAdapter())
        self._bundle = verify
        self._proxies_of = cache(_proxies_of_machine) if proxied else _no_proxies

    def merge_environment_settings(  # noqa: PLR0917 - the signature of requests
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """As requests does, but proxies and bundle are taken apart."""
        parts = urlsplit(str(url))
        origin = f"{parts.scheme}://{parts.netloc}"
        proxies = {**self._proxies_of(origin), **(proxies or {})}
        verify = self._bundle or (verify if isinstance(verify, str) else _bundle_of_machine())
        return super().merge_environment_settings(url, proxies, stream, verify, cert)

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the signature of requests
        """Never: a redirect is an answer to look at, not a host to take the token to."""
        return None

    def __reduce__(self) -> NoReturn:
        raise TypeError("a session holds secrets and is never pickled")


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


def _no_proxies(_origin: str) -> dict[str, str]:
    return {}


def _bundle_of_machine(environ: Mapping[str, str] = os.environ) -> str | bool:
    return environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE") or True
