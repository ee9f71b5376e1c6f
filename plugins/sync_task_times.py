"""When each task of a run began and ended: told through Airflow, written to the store by `finish`.

Not every task opens the store, so a task leaves its times where its failure goes as well, and
the last task writes them all at once. Airflow drops what an earlier try has left.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sync_task_outcomes import TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

TIMES = "times"  # the XCom key


class timing:  # noqa: N801 - read as a word: with timing(context)
    """Leave word of when the task began and ended, however it ends; never an error of its own."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        """Whose times are told."""
        self.context = context
        self.started_at = datetime.now(UTC)

    def __enter__(self) -> None:
        """The task begins."""
        self.started_at = datetime.now(UTC)

    def __exit__(self, *_error: object) -> None:
        """Tell the times."""
        word = [self.started_at.isoformat(), datetime.now(UTC).isoformat()]
        try:
            self.context["ti"].xcom_push(key=TIMES, value=word)
        except Exception:
            log.debug("The task's times can't be told to `finish`.", exc_info=True)


def times_of(context: Mapping[str, Any]) -> dict[str, tuple[datetime, datetime | None]]:
    """Start and end of the run's tasks that have ended and left word."""
    task = context["ti"]
    told = {name: task.xcom_pull(task_ids=name, key=TIMES) for name in TASKS}
    return {
        name: (datetime.fromisoformat(word[0]), datetime.fromisoformat(word[1]))
        for name, word in told.items()
        if word
    }
