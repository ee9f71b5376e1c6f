"""Words that the tasks of a run leave for its last one, through Airflow: never errors of their own.

`finish` is another process, perhaps on another machine. What it tells of the others is asked of
Airflow, which drops what an earlier try has left.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from sync_task_outcomes import TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)


def leave_word(context: Mapping[str, Any], key: str, word: Any) -> None:
    """Leave a small JSON value under a key of the task; where that fails, only say so."""
    try:
        context["ti"].xcom_push(key=key, value=word)
    except Exception:
        log.debug("The task's %s can't be told to `finish`.", key, exc_info=True)


def words_of_tasks(context: Mapping[str, Any], key: str) -> dict[str, Any]:
    """What the last tries of the run's tasks have left under a key; the others are absent."""
    task = context["ti"]
    told = {name: task.xcom_pull(task_ids=name, key=key) for name in TASKS}
    return {name: word for name, word in told.items() if word}
