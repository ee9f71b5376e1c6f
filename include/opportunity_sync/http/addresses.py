"""Whether two URLs are of one server: the one rule that tokens, links and saved links go by.

`HTTPS://Contoso.crm.dynamics.com.:443` and `https://contoso.crm.dynamics.com` are one address. A
URL that programs read in different ways (a user name, a backslash, a control character) is of no
server at all: it could carry a token to another host than the one that was compared.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_MISLEADING: Final = re.compile(r"[\s@\\]")

Origin = tuple[str, str, int]


def origin_of(url: str) -> Origin | None:
    """Scheme, host and port, with the scheme's own port where none is written; None: no address."""
    if _CONTROL.search(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
        host = _plain_host(parts.hostname or "")
    except ValueError:  # a port that is no number, brackets that do not close, a name too long
        return None
    if not host or port is None or _MISLEADING.search(parts.netloc):
        return None
    return parts.scheme, host, port


def same_origin(one: str, other: str) -> bool:
    """Whether both URLs are of one scheme, host and port, however they are spelled."""
    origin = origin_of(one)
    return origin is not None and origin == origin_of(other)


def _plain_host(host: str) -> str:
    plain = host if host.isascii() else host.encode("idna").decode()
    return plain.lower().removesuffix(".")
