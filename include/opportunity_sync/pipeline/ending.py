"""The last task, whatever happened: the run's record says how it ended, staging is tidied.

A succeeded run needs its staged rows no more. Those of a failed run stay for a while: its
cleared tasks go on from them, and they show what was read.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from opportunity_sync import store
from opportunity_sync.pipeline.run import report_wait, staging_root
from opportunity_sync.staging import RunFolder

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from opportunity_sync.settings import Settings

log = logging.getLogger(__name__)


def finish(  # noqa: PLR0913 - what the teardown knows, in plain values
    engine: Engine | None,
    run: dict[str, Any],
    *,
    succeeded: bool,
    settings: Settings,
    error: str | None = None,
    error_code: str | None = None,
) -> None:
    """Record a failure (`load` has recorded success already), and remove what nobody needs.

    `error` and `error_code`: why it failed, where that is known. Without an engine (the store
    cannot even be configured) only staging is tidied.
    """
    if succeeded or settings.staging_keep_days == 0:
        RunFolder(run["staging"]).remove()
    else:
        log.warning("The run has failed; its staged rows stay in %s", run["staging"])
    if engine is not None and not succeeded:
        with store.writing(engine, on_wait=report_wait) as connection:
            store.end_run(
                connection,
                run["dag_id"],
                run["run_id"],
                attempt=run.get("attempt"),  # a run that an earlier version began has none
                outcome="failed",
                error=error,
                error_code=error_code,
            )
    age = timedelta(days=settings.staging_keep_days)
    for name in staging_root(settings).remove_older_than(age, datetime.now(UTC)):
        log.info("Removed the staged rows of %s: nobody wrote to them for long.", name)


def record_failed_begin(  # noqa: PLR0913 - a run is known by two names
    engine: Engine,
    dag_id: str,
    run_id: str,
    *,
    settings: Settings,
    error: str,
    error_code: str,
    **given: Any,
) -> None:
    """Record a run that failed in its first task, so that the store knows of every run.

    `given`: mode and started_at. Raises `SyncError` where the store can't be written: then the log
    alone says it.
    """
    wait = settings.store_lock_seconds
    store.migrate(engine, wait_seconds=wait, on_wait=report_wait)
    with store.writing(engine, on_wait=report_wait) as connection:
        store.fail_run(connection, dag_id, run_id, error=error, error_code=error_code, **given)
