"""The last task, whatever happened: the run's record says how it ended, staging is tidied.

A succeeded run needs its staged rows no more. Those of a failed run stay for a while: its
cleared tasks go on from them, and they show what was read.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from opportunity_sync import store
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.pipeline.run import report_wait, staging_root
from opportunity_sync.staging import RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    if engine is not None and succeeded and run.get("mode") == "reconcile":
        _keep_house(engine, settings=settings)
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


def _keep_house(engine: Engine, *, settings: Settings) -> None:
    """Once a day: forget what was noted long ago, and empty rows that were deleted long ago."""
    store.forget_runs(engine, keep_days=settings.keep_days)
    if settings.purge_deleted_after is None:
        return
    now = datetime.now(UTC).replace(microsecond=0)
    before = now - timedelta(days=settings.purge_deleted_after)
    wait = settings.store_lock_seconds
    with store.lock_store(engine, wait_seconds=wait, on_wait=report_wait) as connection:
        revision = store.read_state(connection).revision
        change = store.Change(revision + 1, revision, now)
        for entity in DEFAULT_MODEL.public:
            if count := store.purge_deleted(connection, entity, before=before, change=change):
                store.bump_revision(connection, change.revision)
                log.info("%s: %s rows deleted long ago were emptied", entity.name, f"{count:,}")


def record_tasks(  # noqa: PLR0917 - a run is known by two names
    engine: Engine,
    dag_id: str,
    run_id: str,
    times: Mapping[str, tuple[datetime, datetime | None]],
) -> None:
    """Record when the run's tasks began and ended. Raises `SyncError` where it can't."""
    with store.writing(engine, on_wait=report_wait) as connection:
        store.record_tasks(connection, dag_id, run_id, times)


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
    # Which fields are selected may be what the run could not find out.
    store.upgrade_tables(engine, wait_seconds=wait, on_wait=report_wait)
    with store.writing(engine, on_wait=report_wait) as connection:
        store.fail_run(connection, dag_id, run_id, error=error, error_code=error_code, **given)
