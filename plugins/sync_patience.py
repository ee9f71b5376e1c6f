"""How long a failing task is tried: briefly where the next scheduled run takes its work over.

One run of the five-minute sync at a time: while a task of it is tried again for half an hour,
nothing comes in, and the run list shows blue where it should show red. The next run starts from
the same watermark, so giving up after some minutes costs nothing. But a run that reads a table
whole would begin its hours of pages anew, and nobody repeats a backfill or a run by hand: those
are tried for long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opportunity_sync.settings import Settings

SYNC = "dynamics_opportunity_sync"
RETRIES = 6
BRIEF_RETRIES = 2


def is_taken_over(context: Mapping[str, Any]) -> bool:
    """Whether the next scheduled run does the same work again if this one fails."""
    run = context["dag_run"]
    if run.dag_id != SYNC or str(getattr(run.run_type, "value", run.run_type)) != "scheduled":
        return False
    begun = context["ti"].xcom_pull(task_ids="begin", key="return_value")
    return begun is None or begun.get("reads_whole") is False


def is_last_try(context: Mapping[str, Any]) -> bool:
    """Whether the task is not tried again, whatever comes of this try."""
    task = context["ti"]
    return bool(task.try_number > last_retry(context, task.max_tries))


def last_retry(context: Mapping[str, Any], max_tries: int) -> int:
    """The number of the last try but one, of a task that Airflow would retry `max_tries` times.

    A clear raises `max_tries` beyond the tries that are over, so what is taken off is a number.
    """
    return max_tries - (RETRIES - BRIEF_RETRIES) if is_taken_over(context) else max_tries


def with_patience(settings: Settings, context: Mapping[str, Any]) -> Settings:
    """The settings, with the shorter time for a page where the next run takes the work over."""
    if not is_taken_over(context):
        return settings
    brief = min(settings.page_timeout_seconds, settings.scheduled_page_timeout_seconds)
    return settings.model_copy(update={"page_timeout_seconds": brief})
