"""When to try again, how long to wait before, and when to give up with the cause.

Every wait is said in the log with its reason: a task that sleeps in silence looks like one that
hangs. `Retry-After` is obeyed. Where the server names no wait, or is still busy after it, waits
double; jitter keeps readers that were refused together from coming back together. A server that
throttles is at work, so it is asked again for as long as an answer may take, however often.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar

from opportunity_sync.errors import ThrottledError, TransientError
from opportunity_sync.http.abort import Cancellation
from opportunity_sync.http.time_limits import TimeLimits

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_LONGEST_BACK_OFF_SECONDS: Final = 60.0
_LONG_REST_SECONDS: Final = 60.0

Result = TypeVar("Result")


@dataclass(slots=True)
class RequestCounters:
    """What a client did so far: for the run's summary."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0  # how many of the retries follow an answer of "too many requests"
    waited_seconds: float = 0.0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(
        self,
        *,
        requests: int = 0,
        retries: int = 0,
        throttled: int = 0,
        waited_seconds: float = 0.0,
    ) -> None:
        with self._lock:
            self.requests += requests
            self.retries += retries
            self.throttled += throttled
            self.waited_seconds += waited_seconds


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often one answer is asked for, and how long.

    `answer_seconds` is for all attempts and waits together, `silence_seconds` for each wait for
    bytes. `first_wait_seconds` is the back-off before the second attempt.
    """

    attempts: int
    answer_seconds: float
    silence_seconds: float
    first_wait_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Retries:
    """Runs an action until it succeeds, cannot heal, or its attempts or its time are used up."""

    policy: RetryPolicy
    counters: RequestCounters

    def run(
        self, action: Callable[[TimeLimits], Result], cancellation: Cancellation | None = None
    ) -> Result:
        """The action's result.

        Raises:
            TransientError: the last one of the action, and how often it was tried.
            SyncError: any other error of the action, at once.
        """
        cancellation = cancellation or Cancellation()
        deadline = time.monotonic() + self.policy.answer_seconds
        limits = TimeLimits(self.policy.silence_seconds, deadline, cancellation)
        attempt, earlier = 0, None
        while True:
            attempt += 1
            try:
                return action(limits)
            except TransientError as error:
                if cancellation.is_set:
                    raise
                wait = self._next_wait(error, attempt)
                if self._is_last(error, attempt) or wait >= limits.remaining:
                    # An attempt that only ran out of time says nothing of what used the time up.
                    cause = earlier if earlier and limits.remaining <= 0 else error
                    raise _final_error(cause, attempt) from cause
                self._announce_wait(error, wait, attempt)
                if cancellation.wait(wait):
                    raise
                earlier = error

    def _is_last(self, error: TransientError, attempt: int) -> bool:
        """A server that throttles is asked again until the time is up, others a few times."""
        attempts = self.policy.attempts
        return attempt >= attempts and not (isinstance(error, ThrottledError) and attempts > 1)

    def _next_wait(self, error: TransientError, attempt: int) -> float:
        doubled: float = min(
            _LONGEST_BACK_OFF_SECONDS, self.policy.first_wait_seconds * 2 ** min(attempt - 1, 16)
        )
        back_off = doubled * random.uniform(0.5, 1.0)
        if error.retry_after is None:
            return back_off
        return error.retry_after if attempt == 1 else max(error.retry_after, back_off)

    def _announce_wait(self, error: TransientError, wait: float, attempt: int) -> None:
        attempts = self.policy.attempts
        of_how_many = f" of {attempts}" if attempt < attempts else ""
        log.warning("Waiting %.1f s before attempt %d%s: %s", wait, attempt + 1, of_how_many, error)
        throttled = int(isinstance(error, ThrottledError))
        self.counters.add(retries=1, throttled=throttled, waited_seconds=wait)


def _final_error(error: TransientError, attempts: int) -> TransientError:
    """The same class and cause, and how often it was tried; `retry_after` goes to the scheduler."""
    times = "once" if attempts == 1 else f"{attempts} times"
    return type(error)(
        f"Given up after trying {times}. {error.problem}",
        next_step=_final_step(error),
        request=error.request,
        retry_after=error.retry_after,
    )


def _final_step(error: TransientError) -> str:
    rest = error.retry_after or 0.0
    if isinstance(error, ThrottledError) and rest > _LONG_REST_SECONDS:
        return f"run fewer readers at once: the server asks for {rest:.0f} s of rest"
    return error.next_step
