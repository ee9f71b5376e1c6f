"""What can go wrong on the wire, by script: which request is struck, how often, and how.

A fault names the requests it is meant for (an entity set, or part of the path and query), from
which matching request on it strikes, how many times, and optionally the page. Everything is
counted under a lock, so that a test can say "the third page of contacts, twice".
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class FaultKind(StrEnum):
    """The ways to fail."""

    THROTTLE = "throttle"  # 429 with Retry-After
    STATUS = "status"  # any status, code and body
    DROP_CONNECTION = "drop_connection"  # reset without an answer
    TRUNCATE = "truncate"  # the connection ends in the middle of the body
    TRUNCATE_JSON = "truncate_json"  # a well-framed answer whose JSON is cut
    SIGN_IN_PAGE = "sign_in_page"  # HTML with status 200
    STALL = "stall"  # nothing for some seconds, then the answer
    REVOKE_TOKENS = "revoke_tokens"  # every token so far is worthless
    REPEAT_NEXT_LINK = "repeat_next_link"  # the page's continuation is the page itself
    FOREIGN_NEXT_LINK = "foreign_next_link"  # the continuation is on another host
    EMPTY_PAGE = "empty_page"  # no rows, but a continuation
    DUPLICATE_ROW = "duplicate_row"  # the last row comes again on the next page
    LOSE_ANNOTATIONS = "lose_annotations"  # annotations are left out though asked for
    LOSE_DELTA_LINK = "lose_delta_link"  # a last page with neither link
    EXPIRE_DELTA_TOKEN = "expire_delta_token"  # 0x80044352  # noqa: S105  not a secret


@dataclass(slots=True)
class Fault:
    """One scripted fault; `hits` counts matching requests, `struck` those that failed."""

    kind: FaultKind
    match: str = "/api/data/"
    nth: int = 1
    times: int = 1
    page: int | None = None
    status: int = 503
    code: str = "0x80072321"
    body: str | None = None
    retry_after: str | None = "1"
    seconds: float = 1.0
    hits: int = 0
    struck: int = 0

    def __post_init__(self) -> None:
        """Take the kind by its name, and Retry-After as a number too."""
        self.kind = FaultKind(self.kind)
        self.retry_after = None if self.retry_after is None else str(self.retry_after)

    def concerns(self, path_and_query: str, page: int) -> bool:
        """Whether a request is one of those meant."""
        if self.page not in {None, page}:
            return False
        if self.match.isidentifier():
            path = path_and_query.partition("?")[0]
            segment = path.rpartition("/v9.")[2].partition("/")[2]
            return segment.split("(")[0].split("/")[0] == self.match
        return self.match in path_and_query


class FaultScript:
    """The faults to come, in the order in which they were added."""

    def __init__(self) -> None:
        """Begin without faults."""
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, kind: FaultKind | str, match: str = "/api/data/", **options: Any) -> Fault:
        """Script a fault; the options are the fields of `Fault`."""
        fault = Fault(FaultKind(kind), match, **options)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def all(self) -> list[dict[str, Any]]:
        """The script with its counts."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def strike(self, path_and_query: str, page: Callable[[], int]) -> list[Fault]:
        """The faults that strike this request."""
        struck = []
        with self._lock:
            for fault in self._faults:
                if not fault.concerns(path_and_query, page() if fault.page is not None else 0):
                    continue
                fault.hits += 1
                if fault.hits >= fault.nth and fault.struck < fault.times:
                    fault.struck += 1
                    struck.append(fault)
        return struck
