"""How long one exchange may take: each wait for bytes, and all of it together."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from opportunity_sync.http.abort import Cancellation

_CONNECT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long one exchange may still take; every property is in seconds from now."""

    silence_seconds: float
    deadline: float  # of time.monotonic
    cancellation: Cancellation = field(default_factory=Cancellation)

    @property
    def remaining(self) -> float:
        """Time that is left for all of it."""
        return self.deadline - time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether no time is left, or nobody wants the answer any more."""
        return self.remaining <= 0 or self.cancellation.is_set

    @property
    def silence(self) -> float:
        """Longest wait for the next bytes."""
        return max(0.001, min(self.silence_seconds, self.remaining))

    @property
    def head(self) -> float:
        """Longest wait for a connection and the whole head of the response."""
        return min(self.connect + self.silence, self.remaining)

    @property
    def connect(self) -> float:
        """Longest wait for a connection."""
        return min(_CONNECT_SECONDS, self.silence)
