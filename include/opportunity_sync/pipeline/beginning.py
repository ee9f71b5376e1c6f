"""The first task: is everything there, what window, which columns; then the run can start.

All that can be wrong with the configuration is found here, before the first row is read: the
connections, the organisation, the store's schema, the columns.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from opportunity_sync import store
from opportunity_sync.dynamics import DataverseClient, Plan, organization_plan
from opportunity_sync.entities import ENTITIES
from opportunity_sync.pipeline.run import (
    Run,
    RunRequest,
    Window,
    read_run,
    report_wait,
    staging_root,
    windows_for,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from opportunity_sync.settings import Settings
    from opportunity_sync.staging import StagingRoot

log = logging.getLogger(__name__)


def begin(
    client: DataverseClient, engine: Engine, *, request: RunRequest, settings: Settings
) -> dict[str, Any]:
    """Check both ends, fix the windows and the columns, and record the run as running.

    Returns the small JSON dict that every later task takes.

    Raises:
        ConfigError: something that a person must mend.
        TransientError: something that heals.
    """
    started_at = client.get("WhoAmI").server_date or datetime.now(UTC)
    plan = organization_plan(
        client, ENTITIES, language=settings.label_language, time_zone=settings.time_zone
    )
    log.info("Organisation %s at %s", plan.organization_id, client.organization_url)
    wait = settings.store_lock_seconds
    store.migrate(engine, wait_seconds=wait, on_wait=report_wait)
    with store.locked(engine, wait_seconds=wait, on_wait=report_wait) as connection:
        store.claim_organization(
            connection, plan.organization_id, handed_to=request.new_organization
        )
        state = store.read_state(connection)
        run = Run(
            dag_id=request.dag_id,
            run_id=request.run_id,
            mode=request.mode,
            staging="",
            started_at=started_at,
            windows=windows_for(request, _usable_watermarks(plan, state), settings),
            plan=plan,
            requests=client.counters.requests,
            delta_links=_delta_links(request, plan, state, client=client),
            stored_links=state.delta_links,
            whole_passes=state.whole_passes,
            accept_deletions=request.accept_deletions,
            epoch=state.epoch,
            new_epoch=request.new_epoch,
        )
        root, attempt = staging_root(settings), uuid.uuid4().hex[:8]
        earlier = _died_first_sync(root, run, connection) if state.is_empty else None
        if earlier is not None:
            log.info(
                "Going on with the rows that run %s has staged before it died.", earlier.run_id
            )
            run = replace(
                run,
                staging=earlier.staging,
                started_at=earlier.started_at,
                changed_since=earlier.started_at - timedelta(minutes=settings.overlap_minutes),
                resumption=attempt,
            )
        else:
            folder = root.new_folder(request.dag_id, request.run_id, attempt)
            run = replace(run, staging=folder.url)
        _record(run, request, connection)
    _report_windows(run, is_first=state.is_empty)
    return run.save()


def _died_first_sync(root: StagingRoot, run: Run, connection: store.Connection) -> Run | None:
    """An earlier first sync that failed and read just what this one would, so far as it got."""
    if run.mode != "continue":
        return None
    for folder in reversed(root.folders(run.dag_id)):
        earlier = read_run(folder)
        same = (earlier.mode, earlier.windows, earlier.plan, earlier.delta_links, earlier.epoch)
        if same != (run.mode, run.windows, run.plan, run.delta_links, run.epoch):
            continue
        if store.outcome_of(connection, earlier.dag_id, earlier.run_id) == "failed":
            return earlier
    return None


def _usable_watermarks(plan: Plan, state: store.StoreState) -> dict[str, datetime]:
    """Watermarks of the columns that are read now: older rows lack the new ones."""
    return {
        entity.name: state.watermarks[entity.name]
        for entity in ENTITIES
        if entity.name in state.watermarks
        and state.fingerprints.get(entity.name) in {None, plan.fingerprint(entity)}
    }


def _delta_links(
    request: RunRequest, plan: Plan, state: store.StoreState, *, client: DataverseClient
) -> dict[str, str | None]:
    """Entities to read by change tracking, and the link to go on from; None: a full pass first.

    Links of an address that the organisation had before are not followed.
    """
    if request.mode not in {"continue", "full"}:
        return {}
    usable = _usable_watermarks(plan, state) if request.mode == "continue" else {}
    address = f"{client.organization_url}/"
    links = {name: link for name, link in state.delta_links.items() if link.startswith(address)}
    return {
        entity.name: links.get(entity.name) if entity.name in usable else None
        for entity in ENTITIES
        if not entity.is_always_read_whole
        and plan.of(entity).change_tracking_enabled
        and plan.of(entity).reads_every_row
    }


def _record(run: Run, request: RunRequest, connection: store.Connection) -> None:
    starts = [window.start for window in run.windows.values() if window.start]
    store.begin_run(
        connection,
        run.dag_id,
        run.run_id,
        mode=run.mode,
        window_start=min(starts, default=None),
        window_end=request.window_end if run.mode == "range" else None,
        started_at=run.started_at,
    )


def _report_windows(run: Run, *, is_first: bool) -> None:
    if is_first and all(window == Window() for window in run.windows.values()):
        log.info("The store is empty: this is a full sync, every row of every table is read.")
    for name, window in run.windows.items():
        log.info("%-14s %s", name, window)
