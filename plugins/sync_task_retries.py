"""When Airflow tries a failed task again, decided by the error's class, and its log's last lines.

Airflow retries every failure alike, so a wrong password would be tried for a quarter of an hour
and its message buried under the attempts. The policy fails such a task at once; where the server
named a time to wait, the task comes back then, but never sooner than by back-off (a server that
says five seconds again and again would use up all tries in minutes) and never later than in an
hour (a wait is a number from outside). All else follows the task's own back-off. Where the next
scheduled run takes the work over (`sync_patience`), a task is given up after some minutes.

Airflow asks the policy after it has printed the exception with all its frames, so here is also
where the last lines of the log are written.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import RetryAction, RetryPolicy
from airflow.sdk.definitions.retry_policy import RetryDecision

from opportunity_sync.errors import ConfigError, TransientError
from sync_patience import is_taken_over, last_retry
from sync_report import report

if TYPE_CHECKING:
    from airflow.sdk import Context

FIRST_WAIT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(minutes=15)
LONGEST_NAMED_WAIT = timedelta(hours=1)
# Of a run whose work the next one takes over: a longer wait than this is that run's.
LONGEST_BRIEF_WAIT = timedelta(minutes=2)
TAKEN_OVER = "The next scheduled run takes over, from the same place."


class SyncRetryPolicy(RetryPolicy):
    """A person must act: fail now. The server named a time: come back then. Else: back off."""

    def evaluate(  # noqa: PLR0917 the base class's signature, as below
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        decision, outlook = usual_decision(exception, try_number)
        last, is_brief = max_tries, context is not None and is_taken_over(context)
        if context is not None and is_brief:
            last = last_retry(context, max_tries)
            is_long = (decision.retry_delay or timedelta(0)) > LONGEST_BRIEF_WAIT
            if decision.action is not RetryAction.FAIL and (is_long or try_number > last):
                decision, outlook = RetryDecision.fail(), TAKEN_OVER
        if try_number > last and decision.action is not RetryAction.FAIL:
            outlook = "It was the last try."
        report(exception, outlook=f"Try {try_number} of {max(try_number, last + 1)}. {outlook}")
        return decision


def usual_decision(error: BaseException, try_number: int) -> tuple[RetryDecision, str]:
    """What is done about an error where tries are left, and how the log says it.

    Without a reason: Airflow would print it in a line of its own after the report's.
    """
    match error:
        case ConfigError():
            return RetryDecision.fail(), "Not tried again: a person must act."
        case TransientError(retry_after=float() | int() as seconds):
            delay = named_wait(seconds, try_number)
            return RetryDecision.retry(delay), f"Tried again in {delay.total_seconds():.0f} s."
        case _:
            return RetryDecision.default(), "Tried again by itself."


def named_wait(seconds: float, try_number: int) -> timedelta:
    """The wait that the server named, within its bounds."""
    backed_off = min(FIRST_WAIT * (1 << min(try_number - 1, 16)), LONGEST_WAIT)
    if not math.isfinite(seconds):
        return backed_off
    named = timedelta(seconds=min(max(seconds, 0), LONGEST_NAMED_WAIT.total_seconds()))
    return max(named, backed_off)
