"""How a failed task tells `finish` why, and how an error leaves a task.

`finish` writes the run's record, but it is another process, perhaps on another machine: what it
knows of the failure went through Airflow. There it may be read by many, so only our own
sentences are passed on, which quote no row; the same holds for what Airflow prints of the error.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException, AirflowTaskTimeout

from opportunity_sync.errors import ConfigError, SyncError, TransientError
from opportunity_sync.model import EXTRACT_TASKS
from sync_patience import is_last_try
from sync_report import describe_unforeseen, without_promise
from sync_request import is_quick_sync

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

FAILURE = "failure"  # the XCom key of a failed try's error; Airflow drops it when the next begins
TASKS = ("begin", *EXTRACT_TASKS, "transform", "load")
STOPPED = "RunStopped"  # the code of a run whose tasks left no word
RUN_STOPPED = "A run that nobody explains"  # the runbook's heading of it
SEE_LOG = "see the task's log; then clear it with everything downstream."
NEXT_RUN = "the next scheduled run starts from the same place"
TRIGGER_AGAIN = "trigger dynamics_quick_sync again, since nothing else does"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run failed: the task, in words, what to do, and the error's code."""

    task: str
    problem: str
    next_step: str
    code: str

    def __str__(self) -> str:
        """As the run's record has it."""
        said = f"{self.problem} Next step: {self.next_step}"
        return f"{self.task}: {self.code}: {said}" if self.task else said


class RunFailedError(ConfigError):
    """Why `finish` is red: the run has no load."""

    def __init__(self, failure: Failure, *, left: str = "nothing of it is in the store") -> None:
        """As the task said that failed, whose entry of the runbook is the one to read."""
        self.failure = failure
        self.runbook_entry = RUN_STOPPED if failure.code == STOPPED else failure.code
        why = f"{failure.task}: {failure.problem}" if failure.task else failure.problem
        super().__init__(
            f"The run has failed, and {left}. {why}",
            next_step=failure.next_step,
        )


class telling:  # noqa: N801 - read as a word: with telling(context)
    """Leave word of a failure for `finish`; let the error go without what need not be printed.

    A class, because a generator's context manager gives an error its frames back.
    """

    def __init__(self, context: Mapping[str, Any]) -> None:
        """Whose failure would be told."""
        self.context = context

    def __enter__(self) -> None:
        """Nothing has failed yet."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: object
    ) -> None:
        """Tell the failure. `BaseException`, for Airflow's own time-out is no `Exception`."""
        match error:
            case None | AirflowException():
                return
            case SyncError():
                if isinstance(error, TransientError) and is_last_try(self.context):
                    without_promise(error, outlook=outlook(self.context))
                self.leave_word(error.problem, error.next_step, error_code(error))
                log.debug("The error with all its frames and causes:", exc_info=error)
                raise error.with_traceback(None) from None
            case AirflowTaskTimeout():
                self.leave_word("The task took longer than it may.", SEE_LOG, type(error).__name__)
            case Exception():
                self.leave_word("An error that was not foreseen.", SEE_LOG, type(error).__name__)
                raise describe_unforeseen(error).with_traceback(error.__traceback__) from None
            case _:
                self.leave_word("Its process was told to end.", SEE_LOG, type(error).__name__)

    def leave_word(self, problem: str, next_step: str, code: str) -> None:
        """Push what `finish` reads with `failure_of`; never an error of its own."""
        task = self.context["ti"]
        failure = Failure(task.task_id, problem, next_step, code)
        word = {"error": str(failure), "error_code": code, **asdict(failure)}
        try:
            task.xcom_push(key=FAILURE, value=word)
        except Exception:  # the task's own error is the one that counts
            log.warning("The failure can't be told to `finish`.", exc_info=True)


def error_code(error: SyncError) -> str:
    """The error's stable name."""
    return str(getattr(error, "code", type(error).__name__))


def failure_of(context: Mapping[str, Any]) -> Failure:
    """Why the run failed, of the first task that left word; else what became of its tasks."""
    states = states_of(context)
    said = context["ti"]
    for name in TASKS:
        word = said.xcom_pull(task_ids=name, key=FAILURE)
        if word and states.get(name) != "success":
            return read_word(name, word)
    # A run without load has none of its state either; a quick sync has no transform at all.
    left = ", ".join(
        f"{name} {states.get(name)}"
        for name in TASKS
        if states.get(name) != "success" and (name in states or name == "load")
    )
    return Failure(
        "",
        f"No task says why: {left or 'load left no result'}.",
        f"find out who marked the run as failed or ended a process; {outlook(context)}.",
        STOPPED,
    )


def read_word(task: str, word: object) -> Failure:
    """The failure that a task told; a version before this one told a sentence."""
    if isinstance(word, dict) and all(field.name in word for field in fields(Failure)):
        return Failure(*(str(word[field.name]) for field in fields(Failure)))
    return Failure(task, str(word), SEE_LOG, STOPPED)


def outlook(context: Mapping[str, Any]) -> str:
    """What becomes of the work of a failed run: a quick sync is started once, and then waits."""
    return TRIGGER_AGAIN if is_quick_sync(context.get("params", {})) else NEXT_RUN


def states_of(context: Mapping[str, Any]) -> Mapping[str, str | None]:
    """The state of each task of the run, as Airflow has it now."""
    run = context["dag_run"]
    found = context["ti"].get_task_states(dag_id=run.dag_id, run_ids=[run.run_id])
    states: Mapping[str, str | None] = found.get(run.run_id, {})
    return states
