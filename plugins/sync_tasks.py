"""What each task of the DAGs does: open its connections, call the pipeline, close them.

The pipeline knows nothing of Airflow and the DAG file holds no logic; between them stand these
few lines. Everything heavy is imported when a task runs, so that parsing the DAGs stays light, and
each task imports no more of the pipeline than its own module: it is a process of its own.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opportunity_sync.entities import EXTRACTS
from opportunity_sync.errors import ConfigError, SyncError
from opportunity_sync.settings import settings_from

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opportunity_sync.settings import Settings

log = logging.getLogger(__name__)

Summary = dict[str, Any]

FAILURE = "failure"  # the XCom key of a failed try's error; Airflow drops it when the next begins


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
    from sync_connections import dynamics_client, store
    from sync_request import request, started_run

    chosen = settings()
    asked = request(started_run(context))
    with dynamics_client(chosen) as client, store(chosen) as engine:
        return beginning.begin(client, engine, request=asked, settings=chosen)


def extract(context: Mapping[str, Any]) -> Summary:
    """Read the task's table (connections: with their roles) into staging."""
    from opportunity_sync.pipeline import extraction
    from sync_connections import dynamics_client

    chosen = settings()
    with told(context), dynamics_client(chosen) as client:
        return extraction.extract(client, begun(context), task=context["ti"].task_id)


def transform(context: Mapping[str, Any]) -> Summary:
    """Resolve the associations of every opportunity that the staged rows affect."""
    from opportunity_sync.pipeline import transformation
    from sync_connections import dynamics_client, store

    chosen = settings()
    with told(context), dynamics_client(chosen) as client, store(chosen) as engine:
        return transformation.transform(client, engine, begun(context), settings=chosen)


def load(context: Mapping[str, Any]) -> Summary:
    """Write everything in one transaction; the result says how many rows changed."""
    from opportunity_sync.pipeline import loading
    from sync_connections import store

    chosen = settings()
    with told(context), store(chosen) as engine:
        return loading.load(engine, begun(context), settings=chosen)


def finish(context: Mapping[str, Any]) -> None:
    """Close the run's books and its staging; a run that never began has neither."""
    from opportunity_sync.pipeline import ending
    from sync_connections import store

    run = result(context, "begin")
    if run is None:
        log.info("The run did not begin: nothing to close.")
        return
    succeeded = result(context, "load") is not None
    error = None if succeeded else failure(context)
    chosen = settings()
    try:
        with store(chosen) as engine:
            ending.finish(engine, run, succeeded=succeeded, settings=chosen, error=error)
    except ConfigError as error:
        log.warning("The run can't be closed in the store: %s", error)
        ending.finish(None, run, succeeded=succeeded, settings=chosen)


@contextmanager
def told(context: Mapping[str, Any]) -> Iterator[None]:
    """Leave word of a failure for `finish`, which writes it into the run's record.

    An error that we did not raise may quote rows or addresses, so only its class is told.
    """
    try:
        yield
    except Exception as error:
        said = str(error) if isinstance(error, SyncError) else "its log says more."
        text = f"{context['ti'].task_id}: {type(error).__name__}: {said}"
        try:
            context["ti"].xcom_push(key=FAILURE, value=text)
        except Exception:  # the task's own error is the one that counts
            log.warning("The failure can't be told to `finish`.", exc_info=True)
        raise


def failure(context: Mapping[str, Any]) -> str | None:
    """Why the run failed; None where a task's process died without a word."""
    names = [*EXTRACTS, "transform", "load"]
    said = (result(context, name, key=FAILURE) for name in names)
    return next((str(text) for text in said if text), None)


def begun(context: Mapping[str, Any]) -> Summary:
    """What `begin` decided; raises `ConfigError` where its result is gone."""
    run: Summary | None = result(context, "begin")
    if run is None:
        raise ConfigError(
            "The run's `begin` task left no result.",
            next_step="clear `begin` with everything downstream of it.",
        )
    return run


def result(context: Mapping[str, Any], task_id: str, *, key: str = "return_value") -> Any:
    """What a task of this run returned, or left under a key; None where there is nothing."""
    return context["ti"].xcom_pull(task_ids=task_id, key=key)
