"""What each task of the DAGs does: open its connections, call the pipeline, close them.

The pipeline knows nothing of Airflow and the DAG file holds no logic; between them stand these
few lines. Everything heavy is imported when a task runs, so that parsing the DAGs stays light, and
each task imports no more of the pipeline than its own module: it is a process of its own.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from opportunity_sync.errors import ConfigError, SyncError
from opportunity_sync.settings import settings_from
from sync_alerts import tell_people
from sync_metrics import send_metrics
from sync_patience import with_patience
from sync_report import describe_unforeseen
from sync_request import is_quick_sync, mode_of, request, started_run
from sync_run_notes import leave_note
from sync_task_outcomes import Failure, RunFailedError, failure_of, states_of, telling
from sync_task_times import times_of, timing
from sync_task_waits import noting_waits, waits_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from opportunity_sync.settings import Settings

log = logging.getLogger(__name__)

Summary = dict[str, Any]


def settings() -> Settings:
    """The settings, with the staging folder of a single machine where none is set."""
    from airflow.configuration import AIRFLOW_HOME

    given = settings_from(os.environ)
    if given.staging_url:
        return given
    return given.model_copy(update={"staging_url": f"{AIRFLOW_HOME}/opportunity_sync_staging"})


def begin(context: Mapping[str, Any]) -> Summary:
    """Check both ends, decide the window, plan the columns; what comes back goes to every task."""
    from opportunity_sync.pipeline import beginning
    from sync_run_connections import dynamics_client, store

    quiet_migrations()
    with timing(context), telling(context):
        chosen = with_patience(settings(), context)
        asked = request(started_run(context))
        with (
            dynamics_client(chosen) as client,
            noting_waits(context, client),
            store(chosen) as engine,
        ):
            return beginning.begin(client, engine, request=asked, settings=chosen)


def extract(context: Mapping[str, Any]) -> Summary:
    """Read the task's table (connections: with their roles) into staging."""
    from opportunity_sync.pipeline import extraction
    from opportunity_sync.pipeline.telling.progress import ProgressNotes
    from sync_run_connections import dynamics_client

    with timing(context), telling(context):
        chosen, run = with_patience(settings(), context), require_begun(context)
        notes = ProgressNotes(partial(note_progress, chosen, run))
        with dynamics_client(chosen) as client, noting_waits(context, client):
            task = context["ti"].task_id
            return extraction.extract(client, run, task=task, on_progress=notes)


def note_progress(chosen: Settings, run: Summary, **told: Any) -> None:
    """Write into the store how far a read is; seldom enough to open the store each time."""
    from opportunity_sync.pipeline.bookkeeping.progress import record_progress
    from sync_run_connections import store

    with store(chosen) as engine:
        record_progress(engine, run, **told)


def transform(context: Mapping[str, Any]) -> Summary:
    """Resolve the associations of every opportunity that the staged rows affect."""
    from opportunity_sync.pipeline import transformation
    from sync_run_connections import dynamics_client, store

    with timing(context), telling(context):
        chosen = with_patience(settings(), context)
        with (
            dynamics_client(chosen) as client,
            noting_waits(context, client),
            store(chosen) as engine,
        ):
            return transformation.transform(client, engine, require_begun(context), settings=chosen)


def load(context: Mapping[str, Any]) -> Summary:
    """Write everything in one transaction; the result says how many rows changed."""
    from opportunity_sync.pipeline import loading
    from sync_run_connections import store

    with timing(context), telling(context):
        chosen = settings()
        with store(chosen) as engine:
            return loading.load(engine, require_begun(context), settings=chosen)


def fill(context: Mapping[str, Any]) -> Summary:
    """Write the values that a quick sync has read, part by part."""
    from opportunity_sync.pipeline import filling
    from sync_run_connections import store

    with timing(context), telling(context):
        chosen = settings()
        with store(chosen) as engine:
            return filling.fill(engine, require_begun(context), settings=chosen)


def finish(context: Mapping[str, Any]) -> Summary:
    """Close the run's books and its staging; returns how it went, in words and numbers.

    Raises `ConfigError` for a run without a load.

    Airflow judges the run by this task alone: tasks that were skipped, as they are when somebody
    marks a stuck run as failed, would else leave it green.
    """
    quiet_migrations()
    with telling(context):
        chosen = settings()
        try:
            return close(context, settings=chosen)
        finally:
            # Also where the store can't be opened: that is what has to be told then.
            tell_people(context, settings=chosen)


def close(context: Mapping[str, Any], *, settings: Settings) -> Summary:
    """Close the books and tidy up. Raises `RunFailedError` for a run without a load."""
    from opportunity_sync.pipeline.telling.metrics import metrics_of_failure
    from opportunity_sync.pipeline.telling.summary import say_waits

    if has_loaded(context):
        summary = close_succeeded(context, settings=settings)
        leave_note(context, summary["summary"])
        record_times(context, settings=settings)
        return summary
    failure = failure_of(context)
    if waited := say_waits(waits_of(context)):
        log.info("%s", waited)
    leave_note(context, str(failure))
    close_failed(context, failure, settings=settings)
    record_times(context, settings=settings)
    send_metrics(metrics_of_failure(failure.code))
    if is_quick_sync(context["params"]):
        raise RunFailedError(failure, left="the pages that it wrote stay")
    raise RunFailedError(failure)


def has_loaded(context: Mapping[str, Any]) -> bool:
    """Whether `load` has come to its end in this run, and is not about to be done again."""
    return states_of(context).get("load") == "success" and result(context, "load") is not None


def close_succeeded(context: Mapping[str, Any], *, settings: Settings) -> Summary:
    """Remove the staged rows and say how the run went.

    Where that fails the run has still done its work, and stays green.
    """
    from opportunity_sync.pipeline import ending
    from opportunity_sync.pipeline.telling.metrics import metrics_of_run
    from opportunity_sync.pipeline.telling.summary import figures_of, report_run
    from sync_run_connections import store

    try:
        with store(settings) as engine:
            run = require_begun(context)
            ending.finish(engine, run, succeeded=True, settings=settings)
            figures = figures_of(engine, run)
            send_metrics(metrics_of_run(figures) if figures else ())
            return report_run(figures, run, waits=waits_of(context))
    except Exception as error:  # noqa: BLE001 - whatever it is: the rows are in the store
        log.warning(
            "The run has loaded, but its end is not tidy: %s. A later run removes what is staged.",
            error if isinstance(error, SyncError) else describe_unforeseen(error),
        )
        return {"summary": "The run has loaded; its books can't be read now."}


def close_failed(context: Mapping[str, Any], failure: Failure, *, settings: Settings) -> None:
    """Write into the store how the run failed, also one that never began; tidy the staging."""
    from opportunity_sync.pipeline import ending
    from sync_run_connections import books

    run = result(context, "begin")
    told = {"error": str(failure), "error_code": failure.code}
    try:
        with books(settings) as engine:
            if run is None:
                record_failed_begin(context, engine, settings=settings, **told)
            else:
                ending.finish(engine, run, succeeded=False, settings=settings, **told)
    except ConfigError as error:
        log.warning("The run can't be closed in the store: %s", error)
        if run is not None:
            ending.finish(None, run, succeeded=False, settings=settings)


def record_times(context: Mapping[str, Any], *, settings: Settings) -> None:
    """Write into the store when the run's tasks began and ended; where that fails, only say so."""
    from opportunity_sync.pipeline import ending
    from sync_run_connections import books

    run = context["dag_run"]
    try:
        with books(settings) as engine:
            ending.record_tasks(engine, run.dag_id, run.run_id, times_of(context))
    except SyncError as error:
        log.info("The times of the run's tasks can't be written: %s", error)


def record_failed_begin(
    context: Mapping[str, Any], engine: Engine, *, settings: Settings, error: str, error_code: str
) -> None:
    """Give a run that never began its row in the store."""
    from opportunity_sync.pipeline import ending

    run = context["dag_run"]
    ending.record_failed_begin(
        engine,
        run.dag_id,
        run.run_id,
        mode=mode_of(context["params"]),
        started_at=run.start_date or run.run_after,
        error=error,
        error_code=error_code,
        settings=settings,
    )


def require_begun(context: Mapping[str, Any]) -> Summary:
    """What `begin` decided; raises `ConfigError` where its result is gone."""
    run: Summary | None = result(context, "begin")
    if run is None:
        raise ConfigError(
            "The run's `begin` task left no result.",
            next_step="clear `begin` with everything downstream of it.",
        )
    return run


def result(context: Mapping[str, Any], task_id: str) -> Any:
    """What a task of this run returned; None where there is nothing."""
    return context["ti"].xcom_pull(task_ids=task_id, key="return_value")


def quiet_migrations() -> None:
    """Leave the migrations' own chatter out of the log; `migrate` says what it did."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
