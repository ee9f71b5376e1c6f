"""When to try again, how long to wait before, and when to give up with the cause.

Every wait is said in the log with its reason, for a task that sleeps in silence looks like one
that hangs. `Retry-After` is obeyed; without it waits double, with jitter, so that four readers
that were refused together do not come back together.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING, Final, TypeVar

from opportunity_sync.dynamics.exchange import Bounds
from opportunity_sync.errors import ThrottledError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from opportunity_sync.settings import Settings

log = logging.getLogger(__name__)

_LONGEST_BACK_OFF_SECONDS: Final = 60.0
_SLOW_SECONDS: Final = 60.0

Result = TypeVar("Result")


@dataclass(slots=True)
class Counters:
    """What a client did so far: for the run's summary."""

    requests: int = 0
    retries: int = 0
    waited_seconds: float = 0.0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, *, requests: int = 0, retries: int = 0, waited_seconds: float = 0.0) -> None:
        with self._lock:
            self.requests += requests
            self.retries += retries
            self.waited_seconds += waited_seconds


@dataclass(frozen=True, slots=True)
class Patience:
    """Tries an action until it succeeds, cannot heal, or its attempts or its time are used up."""

    settings: Settings
    counters: Counters
    first_wait_seconds: float = 1.0

    def with_retries(
        self, action: Callable[[Bounds], Result], cancelled: Event | None = None
    ) -> Result:
        """The action's result; its last `TransientError`, with the attempts made, otherwise."""
        cancelled = cancelled or Event()
        deadline = time.monotonic() + self.settings.page_timeout_seconds
        bounds = Bounds(self.settings.request_timeout_seconds, deadline, cancelled.is_set)
        for attempt in range(1, self.settings.request_attempts + 1):
            try:
                return action(bounds)
            except TransientError as error:
                wait = self._wait(error, attempt)
                if attempt == self.settings.request_attempts or wait >= bounds.remaining:
                    raise _given_up(error, attempt) from error
                self._sleep(error, wait, attempt=attempt, cancelled=cancelled)
        raise AssertionError  # request_attempts is at least 1

    def _wait(self, error: TransientError, attempt: int) -> float:
        if error.retry_after is not None:
            return error.retry_after
        doubled: float = min(
            _LONGEST_BACK_OFF_SECONDS, self.first_wait_seconds * 2 ** (attempt - 1)
        )
        return doubled * random.uniform(0.5, 1.0)

    def _sleep(self, error: TransientError, wait: float, *, attempt: int, cancelled: Event) -> None:
        log.warning(
            "Waiting %.1f s before attempt %d of %d: %s",
            wait,
            attempt + 1,
            self.settings.request_attempts,
            error,
        )
        self.counters.add(retries=1, waited_seconds=wait)
        if cancelled.wait(wait):
            raise error


def _given_up(error: TransientError, attempts: int) -> TransientError:
    """The same class and cause, and how often it was tried; `retry_after` goes to the scheduler."""
    times = "once" if attempts == 1 else f"{attempts} times"
    return type(error)(
        f"Given up after trying {times}. {error.problem}",
        next_step=_then(error),
        request=error.request,
        retry_after=error.retry_after,
    )


def _then(error: TransientError) -> str:
    asked = error.retry_after or 0.0
    if isinstance(error, ThrottledError) and asked > _SLOW_SECONDS:
        return f"run fewer readers at once: Dataverse asks for {asked:.0f} s of rest"
    return error.next_step
