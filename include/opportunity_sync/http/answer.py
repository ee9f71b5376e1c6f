"""The answer to one exchange: the bytes of a success, and how to say that they are no good.

A status of 200 proves little: a sign-in page and a maintenance page carry it too. A client that
takes one of them for an empty answer loses rows in silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opportunity_sync.errors import Request, ResponseError
from opportunity_sync.http.retry_after import parse_http_date
from opportunity_sync.http.wiping import wipe_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

STEP_IF_BROKEN: Final = (
    "wait: the next try or the next run goes on; if it stays, check the connection's host and what "
    "stands between it and the workers"
)
_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([^\s;\"]+)")
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes of a successful answer, and what names it in the service's logs."""

    body: bytes = field(repr=False)
    url: str
    headers: Mapping[str, str] = field(repr=False)
    request: Request

    @property
    def server_date(self) -> datetime | None:
        """The server's own clock when it answered (`Date`), UTC."""
        return parse_http_date(self.headers.get("Date", ""))

    def error(self, problem: str) -> ResponseError:
        """The error of this answer, for whoever finds out later that it is no good."""
        return ResponseError(problem, next_step=STEP_IF_BROKEN, request=self.request)

    def require_json(self) -> None:
        """Refuse an answer that does not even claim to be JSON.

        Raises:
            ResponseError: it is an HTML page, of another type, or in another encoding than UTF-8:
                its texts would be read as something else, and nobody would notice.
        """
        kind = wipe_secrets(self.headers.get("Content-Type", "")).lower()
        if self.body[:64].lstrip().startswith(b"<") or "html" in kind:
            raise self.error("An HTML page came instead of JSON: a sign-in or maintenance page.")
        if "json" not in kind:
            raise self.error(f"The answer is {kind or 'of no declared type'} instead of JSON.")
        charset = _CHARSET.search(kind)
        if charset is not None and charset[1] not in _CHARSETS:
            raise self.error("The answer is in another encoding than UTF-8.")
