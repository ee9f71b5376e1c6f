"""One request and its answer, as the parts of the server hand them around, and the log of both.

The log keeps what tests ask about (paths, statuses, times for overlap, headers of interest) and
never a token or a form.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.rendering import to_json

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
class Incoming:
    """A request, its path decoded and its query as it came."""

    method: str
    path: str
    raw_path: str
    raw_query: str
    headers: Mapping[str, str]
    origin: str
    body: bytes = b""
    is_in_batch: bool = False

    @property
    def target(self) -> str:
        """Path and query as they came."""
        return f"{self.raw_path}?{self.raw_query}" if self.raw_query else self.raw_path


class Delivery(StrEnum):
    """How much of an answer reaches the client."""

    WHOLE = "whole"
    HALF = "half"  # then the connection ends
    NOTHING = "nothing"  # the connection is reset


@dataclass(slots=True)
class Answer:
    """A response before it is written."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delivery: Delivery = Delivery.WHOLE


def json_answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with plain JSON."""
    return Answer(
        status,
        to_json(body),
        {"Content-Type": "application/json; charset=utf-8", **(headers or {})},
    )


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
