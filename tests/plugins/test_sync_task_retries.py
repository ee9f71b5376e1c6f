"""When a failed task comes back: at once never, when the server says, or by back-off."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowTaskTimeout

from opportunity_sync import errors
from opportunity_sync.errors import (
    ConfigError,
    FieldsFileError,
    FileFault,
    ThrottledError,
    TransientError,
)
from sync_task_retries import SyncRetryPolicy

CONFIG_ERRORS = [
    FieldsFileError([FileFault(3, "it has no such table", "take the line out")]),
    *(
        kind("It broke.", next_step="mend it")
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, ConfigError)
        and not issubclass(kind, FieldsFileError)
    ),
]


@pytest.mark.parametrize("error", CONFIG_ERRORS, ids=lambda error: type(error).__name__)
def test_what_a_person_must_mend_is_not_tried_again(error: ConfigError) -> None:
    """The task fails at once; a reason would be a line after the report's last."""
    decision = SyncRetryPolicy().evaluate(error, 1, 5)

    assert decision.action is RetryAction.FAIL
    assert decision.reason is None


def test_a_named_wait_is_honoured() -> None:
    """The server's Retry-After decides when the task comes back."""
    decision = SyncRetryPolicy().evaluate(ThrottledError("Slow down.", retry_after=90), 1, 5)

    assert (RetryAction.RETRY, timedelta(seconds=90)) == (decision.action, decision.retry_delay)


@pytest.mark.parametrize("error", [TransientError("Gone away."), RuntimeError("a bug")])
def test_everything_else_follows_the_back_off(error: Exception) -> None:
    """Without a named wait, and for what nobody foresaw, the task's own back-off applies."""
    assert SyncRetryPolicy().evaluate(error, 1, 5).action is RetryAction.DEFAULT


@pytest.mark.parametrize(
    ("seconds", "try_number", "wait"),
    [
        (5, 1, timedelta(seconds=15)),
        (5, 4, timedelta(minutes=2)),
        (5, 60, timedelta(minutes=15)),
        (600, 2, timedelta(minutes=10)),
        (1_795_000_000, 1, timedelta(hours=1)),
        (1e300, 1, timedelta(hours=1)),
        (float("inf"), 1, timedelta(seconds=15)),
        (float("nan"), 1, timedelta(seconds=15)),
        (-3, 1, timedelta(seconds=15)),
        (0, 2, timedelta(seconds=30)),
    ],
    ids=["short", "again", "for ever", "long", "epoch", "huge", "inf", "nan", "negative", "zero"],
)
def test_a_named_wait_has_bounds(seconds: float, try_number: int, wait: timedelta) -> None:
    """Never sooner than by back-off, so that tries last; never later than in an hour."""
    decision = SyncRetryPolicy().evaluate(
        ThrottledError("Slow down.", retry_after=seconds), try_number, 6
    )

    assert (RetryAction.RETRY, wait) == (decision.action, decision.retry_delay)


@pytest.mark.parametrize(
    ("error", "try_number", "outlook"),
    [
        (ConfigError("No.", next_step="mend it"), 1, "Try 1 of 7. Not tried again: a person"),
        (ThrottledError("Slow down.", retry_after=90), 2, "Try 2 of 7. Tried again in 90 s."),
        (TransientError("Gone away."), 3, "Try 3 of 7. Tried again by itself."),
        (TransientError("Gone away."), 7, "Try 7 of 7. It was the last try."),
        (ThrottledError("Slow down.", retry_after=90), 7, "Try 7 of 7. It was the last try."),
        (RuntimeError("a bug"), 7, "Try 7 of 7. It was the last try."),
        (AirflowTaskTimeout("Timeout, PID: 1"), 1, "Try 1 of 7. Tried again by itself."),
    ],
)
def test_the_log_ends_with_what_becomes_of_the_task(
    error: BaseException, try_number: int, outlook: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Four lines, whatever the error; the third says which try it was."""
    caplog.set_level("INFO")

    SyncRetryPolicy().evaluate(error, try_number, 6)

    group, happened, step, details, runbook = caplog.messages
    assert group == "::endgroup::"
    assert happened.startswith("What happened: ")
    assert step.startswith("Next step: ")
    assert f"Details: {outlook}" in details
    assert runbook.startswith("Runbook: docs/runbook.md#")
