"""What each task of the DAGs does: open its connections, call the pipeline, close them.

The pipeline knows nothing of Airflow and the DAG file holds no logic; between them stand these
few lines. Everything heavy is imported when a task runs, so that parsing the DAGs stays light.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from opportunity_sync.errors import ConfigError
from opportunity_sync.settings import settings_from

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    from opportunity_sync import pipeline
    from sync_connections import dynamics_client, store
    from sync_request import request, started_run

    chosen = settings()
    asked = request(started_run(context))
    with dynamics_client(chosen) as client, store(chosen) as engine:
        return pipeline.begin(client, engine, request=asked, settings=chosen)


def extract(context: Mapping[str, Any]) -> Summary:
    """Read the task's table (connections: with their roles) into staging."""
    from opportunity_sync import pipeline
    from sync_connections import dynamics_client

    chosen = settings()
    with dynamics_client(chosen) as client:
        return pipeline.extract(client, begun(context), task=context["ti"].task_id)


def transform(context: Mapping[str, Any]) -> Summary:
    """Resolve the associations of every opportunity that the staged rows affect."""
    from opportunity_sync import pipeline
    from sync_connections import dynamics_client, store

    chosen = settings()
    with dynamics_client(chosen) as client, store(chosen) as engine:
        return pipeline.transform(client, engine, begun(context), settings=chosen)


def load(context: Mapping[str, Any]) -> Summary:
    """Write everything in one transaction; the result says how many rows changed."""
    from opportunity_sync import pipeline
    from sync_connections import store

    chosen = settings()
    with store(chosen) as engine:
        return pipeline.load(engine, begun(context), settings=chosen)


def finish(context: Mapping[str, Any]) -> None:
    """Close the run's books and its staging; a run that never began has neither."""
    from opportunity_sync import pipeline
    from sync_connections import store

    run = result(context, "begin")
    if run is None:
        log.info("The run did not begin: nothing to close.")
        return
    succeeded = result(context, "load") is not None
    chosen = settings()
    try:
        with store(chosen) as engine:
            pipeline.finish(engine, run, succeeded=succeeded, settings=chosen)
    except ConfigError as error:
        log.warning("The run can't be closed in the store: %s", error)
        pipeline.finish(None, run, succeeded=succeeded, settings=chosen)


def begun(context: Mapping[str, Any]) -> Summary:
    """What `begin` decided; raises `ConfigError` where its result is gone."""
    run = result(context, "begin")
    if run is None:
        raise ConfigError(
            "The run's `begin` task left no result.",
            next_step="clear `begin` with everything downstream of it.",
        )
    return run


def result(context: Mapping[str, Any], task_id: str) -> Summary | None:
    """What a task of this run returned, None where it did not succeed."""
    returned: Summary | None = context["ti"].xcom_pull(task_ids=task_id)
    return returned
