"""What a failed connection means, judged by its cause and not by the library's exception.

The library raises the same exception for a server that restarts and for a certificate of another
host. The first heals. The second is for a person, who needs OpenSSL's own reason to mend the right
thing.
"""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import requests
from urllib3.exceptions import HTTPError, LocationValueError

from opportunity_sync.errors import ConfigError, Request, SyncError, TransientError, visible_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NETWORK_ERRORS: Final = (requests.RequestException, HTTPError, OSError)
_UNTRUSTED: Final = (
    "is not signed by a trusted authority",
    "set `verify` in the connection's extra to the CA bundle that signs it",
)
_OTHER_HOST: Final = (
    "is of another host",
    "correct the connection's host, or find out who answers in its place (a proxy or gateway?)",
)
# By OpenSSL's number of the fault (X509_V_ERR_...).
_CERTIFICATE: Final[Mapping[int, tuple[str, str]]] = {
    2: _UNTRUSTED,
    9: ("is not valid yet", "set the worker's clock, or have the certificate replaced"),
    10: ("has expired", "have it renewed by whoever runs that host, or set the worker's clock"),
    18: ("is signed by itself", _UNTRUSTED[1]),
    19: _UNTRUSTED,
    20: _UNTRUSTED,
    21: _UNTRUSTED,
    23: ("was revoked", "have it replaced by whoever runs that host"),
    62: _OTHER_HOST,
    63: _OTHER_HOST,
    64: _OTHER_HOST,
}
_NO_BUNDLE: Final = re.compile(r"suitable TLS CA certificate bundle|TLS certificate file")
_UNREADABLE_BUNDLE: Final = re.compile(r"^NO_CERTIFICATE|^NO_START_LINE|^BAD_BASE64|^BAD_END_LINE")
_NO_COMMON_TLS: Final = re.compile(
    r"WRONG_VERSION|UNSUPPORTED_PROTOCOL|HTTP_REQUEST|HTTPS_PROXY_REQUEST|ALERT_PROTOCOL_VERSION"
    r"|ALERT_HANDSHAKE_FAILURE|CERTIFICATE_REQUIRED|NO_CIPHER|NO_SHARED|UNKNOWN_PROTOCOL"
)
_REFUSED_TUNNEL: Final = re.compile(r"Tunnel connection failed: (\d{3})")
_NO_ADDRESS: Final = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    LocationValueError,
)
_HEALS: Final = (
    "wait: the next try or the next run goes on; if it stays, check host, proxy and network of the "
    "workers"
)


@dataclass(frozen=True, slots=True)
class NetworkFailure:
    """A failed exchange: which host, which request, and all exceptions that led to it."""

    host: str
    request: Request
    causes: tuple[BaseException, ...]

    def config_error(self, problem: str, next_step: str) -> ConfigError:
        return ConfigError(problem, next_step=next_step, request=self.request)


def network_error(error: BaseException, *, host: str, request: Request) -> SyncError:
    """The error that a failure below HTTP stands for: for a person where it can't heal."""
    failing = NetworkFailure(host, request, tuple(_causes_of(error)))
    for judge in (_certificate_error, _tls_error, _proxy_error, _address_error):
        found = judge(failing)
        if found is not None:
            return found
    return TransientError(
        f"The connection to {host} failed: {cause_of(error)}.", next_step=_HEALS, request=request
    )


def cause_of(error: BaseException) -> str:
    """The innermost reason of a network error, without URLs, which can hold names and cookies."""
    innermost = error
    for _ in range(10):
        deeper = _reasons_of(innermost)
        if not deeper:
            break
        innermost = deeper[0]
    text = visible_text(str(innermost)) if isinstance(innermost, OSError) else ""
    known = "" if "://" in text or "url:" in text else text[:200]
    return f"{type(innermost).__name__} {known}".strip()


def _certificate_error(failing: NetworkFailure) -> SyncError | None:
    for cause in failing.causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            known = _CERTIFICATE.get(getattr(cause, "verify_code", 0))
            words = str(getattr(cause, "verify_message", "") or "no reason given")
            problem, next_step = known or (
                "can't be verified",
                "have OpenSSL's reason looked at by whoever runs that host",
            )
            return failing.config_error(
                f"The certificate of {failing.host} {problem} (OpenSSL: {words.rstrip('.')}).",
                next_step,
            )
    return None


def _tls_error(failing: NetworkFailure) -> SyncError | None:
    for cause in failing.causes:
        reason = str(getattr(cause, "reason", "")) if isinstance(cause, ssl.SSLError) else ""
        if _UNREADABLE_BUNDLE.search(reason) or _NO_BUNDLE.search(str(cause)):
            return failing.config_error(
                "The CA bundle is not there or holds no certificates.",
                "correct `verify` in the connection's extra, or where that is empty "
                "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE of the workers",
            )
        if _NO_COMMON_TLS.search(reason):
            return failing.config_error(
                f"{failing.host} and the worker speak no common TLS ({reason}).",
                "check the port of the connection's host, and the proxy in between",
            )
    return None


def _proxy_error(failing: NetworkFailure) -> SyncError | None:
    for cause in failing.causes:
        found = _REFUSED_TUNNEL.search(str(cause))
        if found and found[1] == "407":
            return failing.config_error(
                "The proxy wants credentials.", "correct HTTPS_PROXY of the workers"
            )
        if found and found[1].startswith("4") and found[1] not in {"408", "429"}:
            return failing.config_error(
                f"The proxy refuses to connect to {failing.host} (status {found[1]}).",
                "have the proxy let it through, or put the host into NO_PROXY of the workers",
            )
    return None


def _address_error(failing: NetworkFailure) -> SyncError | None:
    for cause in failing.causes:
        if isinstance(cause, _NO_ADDRESS):
            return failing.config_error(
                f"The address of {failing.host}, or of the proxy to it, is not one.",
                "correct the connection's host, or HTTPS_PROXY of the workers",
            )
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            return TransientError(
                f"No host of the name {failing.host} is known here.",
                next_step="check the spelling of the connection's host and the name server of the "
                "workers",
                request=failing.request,
            )
    return None


def _causes_of(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it wraps, each once, the outermost first."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop(0)
        if id(current) not in seen:
            seen.add(id(current))
            yield current
            waiting += _reasons_of(current)


def _reasons_of(error: BaseException) -> list[BaseException]:
    candidates = [getattr(error, "reason", None), *error.args, error.__cause__]
    return [candidate for candidate in candidates if isinstance(candidate, BaseException)]
