"""When each task of a run began and ended: told through Airflow, written to the store by `finish`.

Not every task opens the store, so a task leaves its times where its failure goes as well, and
the last task writes them all at once. Airflow drops what an earlier try has left.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sync_task_words import leave_word, words_of_tasks

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        leave_word(self.context, TIMES, word)


def times_of(context: Mapping[str, Any]) -> dict[str, tuple[datetime, datetime | None]]:
    """Start and end of the run's tasks that have ended and left word."""
    return {
        name: (datetime.fromisoformat(started_at), datetime.fromisoformat(ended_at))
        for name, (started_at, ended_at) in words_of_tasks(context, TIMES).items()
    }
