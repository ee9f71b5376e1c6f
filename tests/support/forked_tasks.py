"""A run that finds no rows, its tasks forked one by one, as an executor does: what each imports.

    python forked_tasks.py pandas aiohttp ...

The parent imports no more than Airflow has before a task begins, so a module that a task has at
its end was imported for that task. Prints, by task, which of the named modules it had. Both
connections and the staging folder are in the environment.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import airflow.sdk  # noqa: F401 what every task's process has

import sync_tasks
from opportunity_sync.model import EXTRACT_TASKS

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

FORK = multiprocessing.get_context("fork")
WORK: dict[str, Callable[[dict[str, Any]], Any]] = {
    "begin": sync_tasks.begin,
    **dict.fromkeys(EXTRACT_TASKS, sync_tasks.extract),
    "transform": sync_tasks.transform,
    "load": sync_tasks.load,
    "finish": sync_tasks.finish,
}


@dataclass(frozen=True)
class Run:
    """What the tasks ask of Airflow's `dag_run`."""

    dag_id: str = "dynamics_opportunity_backfill"
    run_id: str = "a-day-before-dynamics"
    run_type: str = "backfill"
    data_interval_start: datetime = datetime(1990, 1, 1, tzinfo=UTC)
    data_interval_end: datetime = datetime(1990, 1, 2, tzinfo=UTC)
    run_after: datetime = data_interval_end
    conf: dict[str, Any] | None = None


@dataclass(frozen=True)
class Task:
    """What they ask of their task instance."""

    task_id: str
    results: dict[str, Any]
    try_number: int = 1
    max_tries: int = 0

    @staticmethod
    def get_task_states(*, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str]]:  # noqa: ARG004 - as Airflow's
        """Every task that was before has succeeded."""
        return {run_id: dict.fromkeys(WORK, "success") for run_id in run_ids}

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        """What an earlier task returned."""
        return self.results.get(task_ids) if key == "return_value" else None


def fork_task(run: Run, name: str, results: dict[str, Any]) -> tuple[Any, list[str]]:
    """A task's result and the modules it had, from a process of its own."""
    receiving, sending = FORK.Pipe(duplex=False)
    process = FORK.Process(target=work, args=(run, Task(name, results), sending))
    process.start()
    sending.close()
    result, modules = receiving.recv()
    process.join()
    return result, modules


def work(run: Run, task: Task, sending: Connection) -> None:
    """Do the task here, and say what it came to."""
    result = WORK[task.task_id]({"dag_run": run, "ti": task, "params": {"mode": "interval"}})
    sending.send((result, sorted(sys.modules)))


def play_run(run: Run) -> dict[str, list[str]]:
    """All tasks of a run, one after another; the modules that each had."""
    results: dict[str, Any] = {}
    modules = {}
    for name in WORK:
        results[name], modules[name] = fork_task(run, name, results)
    return modules


if __name__ == "__main__":
    asked = set(sys.argv[1:])
    had = {name: sorted(asked & set(modules)) for name, modules in play_run(Run()).items()}
    sys.stdout.write(json.dumps(had))
