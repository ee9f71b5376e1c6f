"""When to try again, how long to wait before, and when to give up with the cause.

Every wait is said in the log with its reason, for a task that sleeps in silence looks like one
that hangs. `Retry-After` is obeyed; without it, or when the server is still busy after it, waits
double, with jitter, so that four readers that were refused together do not come back together.
A server that throttles works: it is asked again for as long as a page may take, however often.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar

from opportunity_sync.errors import ThrottledError, TransientError
from opportunity_sync.http.bounds import Bounds
from opportunity_sync.http.watch import Cancellation

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
        self, action: Callable[[Bounds], Result], cancellation: Cancellation | None = None
    ) -> Result:
        """The action's result; its last `TransientError`, with the attempts made, otherwise."""
        cancellation = cancellation or Cancellation()
        deadline = time.monotonic() + self.settings.page_timeout_seconds
        bounds = Bounds(self.settings.request_timeout_seconds, deadline, cancellation)
        attempt, earlier = 0, None
        while True:
            attempt += 1
            try:
                return action(bounds)
            except TransientError as error:
                if cancellation.is_set:
                    raise
                wait = self._wait(error, attempt)
                if self._is_last(error, attempt) or wait >= bounds.remaining:
                    # An attempt that only ran out of time says nothing of what used the time up.
                    cause = earlier if earlier and bounds.remaining <= 0 else error
                    raise _given_up(cause, attempt) from cause
                self._announce(error, wait, attempt)
                if cancellation.wait(wait):
                    raise
                earlier = error

    def _is_last(self, error: TransientError, attempt: int) -> bool:
        """A server that throttles is asked again until the time is up, others a few times."""
        attempts = self.settings.request_attempts
        return attempt >= attempts and not (isinstance(error, ThrottledError) and attempts > 1)

    def _wait(self, error: TransientError, attempt: int) -> float:
        doubled: float = min(
            _LONGEST_BACK_OFF_SECONDS, self.first_wait_seconds * 2 ** min(attempt - 1, 16)
        )
        back_off = doubled * random.uniform(0.5, 1.0)
        if error.retry_after is None:
            return back_off
        return error.retry_after if attempt == 1 else max(error.retry_after, back_off)

    def _announce(self, error: TransientError, wait: float, attempt: int) -> None:
        attempts = self.settings.request_attempts
        of_how_many = f" of {attempts}" if attempt < attempts else ""
        log.warning("Waiting %.1f s before attempt %d%s: %s", wait, attempt + 1, of_how_many, error)
        self.counters.add(retries=1, waited_seconds=wait)


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
