"""What a failed task leaves behind: word for `finish`, and an error that says what it may."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, AirflowTaskTimeout

from opportunity_sync.errors import ConfigError, StoreUnavailableError, SyncError
from sync_report import UnforeseenError
from sync_task_outcomes import FAILURE, STOPPED, TASKS, RunFailedError, failure_of, telling

RUN = "a-run"
PROMISE = "make room; the task is retried by itself."


@dataclass
class Task:
    """What a task asks of Airflow: its name and tries, the run's states, and what others left."""

    task_id: str = "transform"
    try_number: int = 1
    max_tries: int = 6
    states: dict[str, str] = field(default_factory=dict)
    left: dict[str, Any] = field(default_factory=dict)

    def get_task_states(self, *, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str]]:  # noqa: ARG002 - as Airflow's
        """The states of the run's tasks."""
        return dict.fromkeys(run_ids, self.states)

    def xcom_push(self, *, key: str, value: Any) -> None:
        """Leave something under the task's name."""
        assert key == FAILURE
        self.left[self.task_id] = value

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        """What a task left."""
        assert key == FAILURE
        return self.left.get(task_ids)


def a_context(task: Task, **params: Any) -> dict[str, Any]:
    """A task's context, as far as it is looked at."""
    return {"ti": task, "dag_run": SimpleNamespace(dag_id="a-dag", run_id=RUN), "params": params}


def fail(error: BaseException, task: Task, **params: Any) -> BaseException:
    """Let a task fail, with a cause; returns the error that leaves it."""
    context = a_context(task, **params)
    with pytest.raises(BaseException) as raised, telling(context):  # noqa: PT011 - any
        deeply(error)
    return raised.value


def deeply(error: BaseException) -> None:
    """Raise an error in a frame of its own, with a cause that quotes a row."""
    try:
        raise KeyError("jane@example.com")  # noqa: TRY301 - the chain is what is tested
    except KeyError as cause:
        raise error from cause


def printed(error: BaseException) -> str:
    """The error as Airflow prints it."""
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("It broke.", next_step="mend it"), "ConfigError"),
        (StoreUnavailableError("It is full.", next_step="make room"), "StoreUnavailableError"),
        (AirflowTaskTimeout("Timeout, PID: 1"), "AirflowTaskTimeout"),
        (ValueError("Failing row contains (Jane, Doe)"), "ValueError"),
        (SystemExit(1), "SystemExit"),
    ],
    ids=["person", "heals", "time-out", "unforeseen", "ended"],
)
def test_every_failure_is_told_with_its_code(error: BaseException, code: str) -> None:
    """Airflow's time-out, which is no `Exception`, and what nobody foresaw, too."""
    task = Task()

    fail(error, task)

    word = task.left["transform"]
    assert word["error_code"] == code
    assert word["error"].startswith(f"transform: {code}: ")
    assert "Next step: " in word["error"]
    assert "Jane" not in word["error"]


def test_our_own_errors_leave_without_frames_and_causes() -> None:
    """The frames of a full disk say nothing to the one who must make room."""
    error = fail(ConfigError("It broke.", next_step="mend it"), Task())

    assert isinstance(error, ConfigError)
    assert "jane@example.com" not in printed(error)
    assert "in deeply" not in printed(error)


def test_an_unforeseen_error_leaves_with_frames_and_without_values() -> None:
    """The frames are all there is to find it by; the text may quote rows."""
    error = fail(ValueError("Failing row contains (Jane, Doe)"), Task())

    assert isinstance(error, UnforeseenError)
    assert str(error) == "ValueError: Failing row contains …, caused by KeyError: …"
    assert "in deeply" in printed(error)
    assert "KeyError: 'jane@example.com'" not in printed(error)


def test_airflows_own_exceptions_pass_as_they_are() -> None:
    """A skip is no failure."""
    task = Task()

    assert isinstance(fail(AirflowSkipException("not today"), task), AirflowSkipException)
    assert task.left == {}


@pytest.mark.parametrize(("try_number", "promises"), [(1, True), (7, False)])
def test_only_a_try_that_is_not_the_last_promises_another(
    try_number: int, *, promises: bool
) -> None:
    """In the error that is printed, and in what `finish` writes."""
    task = Task(try_number=try_number)

    error = fail(StoreUnavailableError("It is full.", next_step=PROMISE), task)

    assert ("retried by itself" in str(error)) is promises
    assert ("retried by itself" in task.left["transform"]["error"]) is promises


def test_the_first_task_that_failed_says_why() -> None:
    """Word of a try that was followed by a good one does not count."""
    states = dict.fromkeys(TASKS, "success") | {"transform": "failed", "load": "upstream_failed"}
    task = Task("extract_contacts", states=states)
    fail(StoreUnavailableError("An earlier try."), task)
    task.task_id = "transform"
    fail(ConfigError("It broke.", next_step="mend it"), task)

    found = failure_of(a_context(task))
    error = RunFailedError(found)

    assert str(found) == "transform: ConfigError: It broke. Next step: mend it"
    assert error.problem.endswith("nothing of it is in the store. transform: It broke.")
    assert (error.next_step, error.runbook_entry) == ("mend it", "ConfigError")


def test_word_of_an_older_version_is_understood() -> None:
    """An upgrade in the middle of a run leaves a sentence where the parts are now."""
    task = Task("finish", states={"transform": "failed"}, left={"transform": "It broke."})

    assert str(failure_of(a_context(task))).startswith("transform: RunStopped: It broke. Next")


def test_a_run_without_a_word_is_told_by_its_states() -> None:
    """As after a run that somebody marked as failed, or a process that was killed."""
    states = dict.fromkeys(TASKS, "success") | {"extract_contacts": "failed", "load": "skipped"}

    found = failure_of(a_context(Task("finish", states=states)))

    assert found.code == STOPPED
    assert "No task says why: extract_contacts failed, load skipped." in str(found)
    assert isinstance(RunFailedError(found), SyncError)


def test_a_quick_sync_without_a_word_names_no_task_that_it_has_not() -> None:
    """It has no transform, and no scheduled run does its work."""
    states = dict.fromkeys(set(TASKS) - {"transform"}, "success") | {"load": "failed"}

    found = failure_of(a_context(Task("finish", states=states), fields=[]))

    assert found.problem == "No task says why: load failed."
    assert found.next_step.endswith("trigger dynamics_quick_sync again, since nothing else does.")


def test_the_last_try_of_a_quick_sync_promises_no_scheduled_run() -> None:
    """It is started once for each selection, and then waits for a person."""
    error = fail(
        StoreUnavailableError("It is full.", next_step=PROMISE), Task(try_number=7), fields=[]
    )

    assert "trigger dynamics_quick_sync again, since nothing else does." in str(error)
    assert "scheduled run" not in str(error)


def test_word_that_cannot_be_left_hides_no_error() -> None:
    """Airflow's API may be what is away."""

    class Deaf(Task):
        def xcom_push(self, *, key: str, value: Any) -> None:  # noqa: ARG002 - as above
            raise ConnectionError("away")

    error = fail(ConfigError("It broke.", next_step="mend it"), Deaf())

    assert str(error) == "It broke. Next step: mend it"
