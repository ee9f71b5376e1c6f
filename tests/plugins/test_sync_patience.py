"""Whose failing tasks are tried for long: those whose work nobody else does."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import RetryAction

from opportunity_sync.errors import ConfigError, SyncError, ThrottledError, TransientError
from opportunity_sync.settings import Settings
from sync_patience import BRIEF_RETRIES, RETRIES, is_last_try, is_taken_over, with_patience
from sync_task_retries import SyncRetryPolicy

SYNC = "dynamics_opportunity_sync"
BRIEF = {"reads_whole": False}
WHOLE = {"reads_whole": True}


@dataclass
class Task:
    """What is asked of a task instance: its tries, and what `begin` has returned."""

    begun: dict[str, Any] | None = field(default_factory=lambda: BRIEF)
    try_number: int = 1
    max_tries: int = RETRIES

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        """The result of `begin`."""
        assert (task_ids, key) == ("begin", "return_value")
        return self.begun


def a_context(
    task: Task | None = None, *, dag_id: str = SYNC, run_type: str = "scheduled"
) -> dict[str, Any]:
    """A task's context, of a scheduled run of the sync unless told otherwise."""
    return {
        "ti": task or Task(),
        "dag_run": SimpleNamespace(dag_id=dag_id, run_id="a-run", run_type=run_type),
    }


def decide(error: SyncError, task: Task) -> tuple[RetryAction, timedelta | None]:
    """What the policy makes of an error of a scheduled run."""
    context: Any = a_context(task)
    decision = SyncRetryPolicy().evaluate(error, task.try_number, task.max_tries, context)
    return decision.action, decision.retry_delay


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (a_context(), True),
        (a_context(Task(begun=None)), True),
        (a_context(Task(begun=WHOLE)), False),
        (a_context(Task(begun={})), False),
        (a_context(run_type="manual"), False),
        (a_context(dag_id="dynamics_opportunity_backfill"), False),
        (a_context(dag_id="dynamics_opportunity_reconcile"), False),
    ],
    ids=["scheduled", "not begun", "whole", "older version", "by hand", "backfill", "reconcile"],
)
def test_the_next_run_takes_over_what_is_scheduled_and_short(
    context: dict[str, Any], expected: object
) -> None:
    """A table that is read whole, a run by hand and a backfill are nobody else's work."""
    assert is_taken_over(context) is expected


def test_a_short_run_is_given_up_within_minutes() -> None:
    """After the brief retries the task fails, though Airflow would go on."""
    actions = [
        decide(TransientError("Gone."), Task(try_number=number))[0]
        for number in range(1, BRIEF_RETRIES + 2)
    ]

    assert actions == [RetryAction.DEFAULT] * BRIEF_RETRIES + [RetryAction.FAIL]


def test_a_cleared_task_has_its_brief_retries_again() -> None:
    """A clear raises Airflow's number of tries, and ours with it."""
    last = Task(try_number=3, max_tries=RETRIES)
    cleared = Task(try_number=4, max_tries=RETRIES + 3)

    assert (is_last_try(a_context(last)), is_last_try(a_context(cleared))) == (True, False)


def test_a_whole_read_is_tried_for_long() -> None:
    """Its tries are Airflow's, with Airflow's back-off."""
    decision = decide(TransientError("Gone."), Task(begun=WHOLE, try_number=RETRIES))

    assert decision == (RetryAction.DEFAULT, None)


@pytest.mark.parametrize(
    ("begun", "seconds", "expected"),
    [
        (BRIEF, 90, (RetryAction.RETRY, timedelta(seconds=90))),
        (BRIEF, 300, (RetryAction.FAIL, None)),
        (WHOLE, 300, (RetryAction.RETRY, timedelta(seconds=300))),
    ],
    ids=["brief", "longer than the lane waits", "whole"],
)
def test_a_long_named_wait_is_the_next_runs(
    begun: dict[str, Any], seconds: float, expected: tuple[RetryAction, timedelta | None]
) -> None:
    """Where Dynamics asks for five minutes, the next scheduled run is there by then."""
    assert decide(ThrottledError("Slow.", retry_after=seconds), Task(begun=begun)) == expected


@pytest.mark.parametrize(
    ("error", "number", "told"),
    [
        (TransientError("Gone."), 3, "Try 3 of 3. The next scheduled run takes over"),
        (TransientError("Gone."), 1, "Try 1 of 3. Tried again by itself."),
        (ConfigError("No.", next_step="mend it"), 3, "Try 3 of 3. Not tried again: a person"),
    ],
)
def test_the_log_says_who_goes_on(
    error: SyncError, number: int, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The details name the try and who takes over, not a try that never comes."""
    decide(error, Task(try_number=number))

    [details] = [line for line in caplog.messages if line.startswith("Details: ")]
    assert details.startswith(f"Details: {told}")


@pytest.mark.parametrize(("begun", "seconds"), [(BRIEF, 180), (WHOLE, 900)], ids=["brief", "whole"])
def test_a_page_may_take_less_of_a_short_run(begun: dict[str, Any], seconds: float) -> None:
    """The setting for scheduled runs applies where the next run takes over, and only there."""
    chosen = with_patience(Settings(), a_context(Task(begun=begun)))

    assert chosen.page_timeout_seconds == seconds
