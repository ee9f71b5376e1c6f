"""What an exchange has to know of the system at its other end: one value per system.

Most of an exchange is the same whoever answers. What differs is how the system says no, how its
own logs name a request, and what a person can do about an answer that is too late or too large.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from opportunity_sync.errors import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from opportunity_sync.errors import SyncError

_IDENTIFIER: Final = re.compile(r"[\w.:{}-]{1,100}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RemoteService:
    """A system that answers requests.

    `error_of` makes the error of a response from 300 on, of which the body has been read.
    `api_root` begins the path of every request, and is left out of messages.
    """

    name: str
    api_root: str
    request_id_headers: tuple[str, ...]
    error_of: Callable[[requests.Response, bytes], SyncError]
    step_if_late: str
    step_if_unreadable: str

    def request_of(self, response: requests.Response, *, code: str | None = None) -> Request:
        """What names the exchange in the service's own logs."""
        written = (response.headers.get(name) for name in self.request_id_headers)
        identifiers = (value for value in written if value and _IDENTIFIER.fullmatch(value))
        return Request(
            method=response.request.method or "GET",
            path=self._path_of(response.request.url),
            status=response.status_code,
            code=code,
            request_id=next(identifiers, None),
        )

    def unanswered_request(self, request: requests.PreparedRequest) -> Request:
        """What names a request that no answer came to."""
        return Request(method=request.method or "GET", path=self._path_of(request.url))

    def _path_of(self, url: str | None) -> str:
        """The path below the root, without the query string: cookies and tokens live there."""
        return urlsplit(url or "").path.removeprefix(self.api_root)
