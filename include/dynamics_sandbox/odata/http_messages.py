"""One request and its answer, as the parts of the server hand them around."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.odata.exact_json import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping


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
