"""When a failed task comes back: at once never, when the server says, or by back-off."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction

from opportunity_sync import errors
from opportunity_sync.errors import ConfigError, ThrottledError, TransientError
from sync_retries import SyncRetryPolicy

CONFIG_ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, ConfigError)
]


@pytest.mark.parametrize("kind", CONFIG_ERRORS)
def test_what_a_person_must_mend_is_not_tried_again(kind: type[ConfigError]) -> None:
    """The task fails at once and the decision repeats the sentence and its next step."""
    decision = SyncRetryPolicy().evaluate(kind("It broke.", next_step="mend it"), 1, 5)

    assert decision.action is RetryAction.FAIL
    assert "It broke. Next step: mend it" in str(decision.reason)


def test_a_named_wait_is_honoured() -> None:
    """The server's Retry-After decides when the task comes back."""
    decision = SyncRetryPolicy().evaluate(ThrottledError("Slow down.", retry_after=90), 1, 5)

    assert (RetryAction.RETRY, timedelta(seconds=90)) == (decision.action, decision.retry_delay)


@pytest.mark.parametrize("error", [TransientError("Gone away."), RuntimeError("a bug")])
def test_everything_else_follows_the_back_off(error: Exception) -> None:
    """Without a named wait, and for what nobody foresaw, the task's own back-off applies."""
    assert SyncRetryPolicy().evaluate(error, 1, 5).action is RetryAction.DEFAULT
