"""The log of requests: what tests ask about, and never a token or a form.

Paths, statuses, times for overlap, headers of interest.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LOGGED_HEADERS = (
    "accept",
    "consistency",
    "content-type",
    "cookie",
    "if-none-match",
    "odata-maxversion",
    "odata-version",
    "prefer",
    "user-agent",
    "x-ms-client-request-id",
)
_KEPT_REQUESTS = 200_000


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request as the log keeps it; times are seconds of the monotonic clock."""

    method: str
    path: str
    query: str
    status: int
    started: float
    ended: float
    headers: Mapping[str, str]
    faults: tuple[str, ...] = ()


class RequestLog:
    """The last requests, oldest first."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = threading.Lock()
        self._requests: deque[LoggedRequest] = deque(maxlen=_KEPT_REQUESTS)

    def add(self, request: LoggedRequest) -> None:
        """Keep a request."""
        with self._lock:
            self._requests.append(request)

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._requests.clear()

    def all(self, path_part: str = "") -> list[LoggedRequest]:
        """Requests whose path contains a text."""
        with self._lock:
            return [request for request in self._requests if path_part in request.path]

    def __iter__(self) -> Any:
        """Go over the requests so far."""
        return iter(self.all())

    def __len__(self) -> int:
        """The number of requests so far."""
        return len(self._requests)
