"""A task tells when it began and ended, however it ends, and is never stopped by that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from sync_task_times import times_of, timing


@dataclass
class Task:
    """What a task leaves with Airflow, by its name."""

    task_id: str
    left: dict[str, Any] = field(default_factory=dict)
    is_down: bool = False

    def xcom_push(self, *, key: str, value: Any) -> None:
        """Leave something, unless Airflow is away."""
        if self.is_down:
            raise ConnectionError
        assert key == "times"
        self.left[self.task_id] = value

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        """What a task left."""
        assert key == "times"
        return self.left.get(task_ids)


def test_tasks_that_ended_are_told_also_one_that_failed() -> None:
    """A task that never ran is not among them."""
    left: dict[str, Any] = {}
    with timing({"ti": Task("begin", left)}):
        pass
    with pytest.raises(ValueError, match="no"), timing({"ti": Task("load", left)}):
        raise ValueError("no")

    times = times_of({"ti": Task("finish", left)})
    assert list(times) == ["begin", "load"]
    assert all(ended is not None and started <= ended for started, ended in times.values())


def test_a_task_goes_on_though_its_times_cannot_be_told() -> None:
    """What it did counts, not how long that took."""
    task = Task("load", is_down=True)
    with timing({"ti": task}):
        pass
    assert task.left == {}
