"""The first task: is everything there, what window, which columns; then the run can start.

All that can be wrong with the configuration is found here, before the first row is read: the
connections, the organisation, the store's schema, the columns, the clocks. The store is looked at
and the run recorded in one short transaction, which waits for no load.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from opportunity_sync import store
from opportunity_sync.dynamics import DataverseClient, Plan, organization_plan, same_origin
from opportunity_sync.errors import ConfigError
from opportunity_sync.model import DEFAULT_MODEL, Entity, Model
from opportunity_sync.pipeline.run import (
    Run,
    RunRequest,
    Window,
    less,
    report_wait,
    staging_root,
    utc_now,
    windows_for,
)
from opportunity_sync.pipeline.settling import OWED_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Engine

    from opportunity_sync.settings import Settings

log = logging.getLogger(__name__)

_CLOCK_TOLERANCE = timedelta(minutes=1)
# Asking by id costs a request for 100 rows, reading the table one for 5000.
_OWED_SHARE = 50


@dataclass(frozen=True)
class Findings:
    """What `begin` found at both ends: what is asked, what can be read, what the store holds."""

    request: RunRequest
    plan: Plan
    state: store.StoreState
    organization_url: str
    started_at: datetime
    model: Model


def begin(
    client: DataverseClient,
    engine: Engine,
    *,
    request: RunRequest,
    settings: Settings,
    clock: Callable[[], datetime] = utc_now,
) -> dict[str, Any]:
    """Check both ends, fix the windows and the columns, and record the run as running.

    Returns the small JSON dict that every later task takes.

    Raises:
        ConfigError: something that a person must mend.
        TransientError: something that heals.
    """
    model = DEFAULT_MODEL
    started_at = _start(client.get("WhoAmI").server_date, clock())
    plan = organization_plan(
        client, model.entities, language=settings.label_language, time_zone=settings.time_zone
    )
    log.info("Organisation %s at %s", plan.organization_id, client.organization_url)
    wait = settings.store_lock_seconds
    store.migrate(engine, model, wait_seconds=wait, on_wait=report_wait)
    with store.writing(engine, wait_seconds=wait, on_wait=report_wait) as connection:
        store.check_organization(
            connection, plan.organization_id, handed_to=request.new_organization
        )
        found = Findings(
            request,
            plan.with_labels(store.known_labels(connection)),
            store.read_state(connection),
            organization_url=client.organization_url,
            started_at=started_at,
            model=model,
        )
        run = _begun(connection, found, requests=client.counters.requests, settings=settings)
        _record(run, request, connection)
    _report_windows(run)
    root = staging_root(settings)
    folder = root.new_folder(request.dag_id, request.run_id, run.attempt[:8])
    return msgspec.structs.replace(run, staging=folder.url).save()


def _start(server: datetime | None, worker: datetime) -> datetime:
    """The lower of both clocks: whatever is modified from then on belongs to the next run."""
    worker = worker.replace(microsecond=0)
    if server is None:
        return worker
    ahead = server - worker
    if abs(ahead) > _CLOCK_TOLERANCE:
        log.warning(
            "Dynamics' clock (%s) and this worker's (%s) differ by %s; the lower one counts. "
            "Next step: let the worker's clock follow a time server.",
            f"{server:%Y-%m-%d %H:%M:%S}",
            f"{worker:%Y-%m-%d %H:%M:%S}",
            abs(ahead),
        )
    return min(server, worker)


def _begun(
    connection: store.Connection, found: Findings, *, requests: int, settings: Settings
) -> Run:
    filter_gone = _lost_filters(connection, found)
    found = _with_rows(_with_past_watermarks(connection, found, settings=settings))
    for entity in found.model:
        store.want_columns(connection, entity.name, found.plan.of(entity).columns)
    request, state = found.request, found.state
    watermarks = {
        entity.name: state.watermarks[entity.name]
        for entity in found.model
        if entity.name in state.watermarks and _holds_columns(connection, found, entity)
    }
    return Run(
        dag_id=request.dag_id,
        run_id=request.run_id,
        attempt=uuid.uuid4().hex,
        mode=request.mode,
        staging="",
        started_at=found.started_at,
        windows=windows_for(request, found.model, watermarks=watermarks, settings=settings),
        model=found.model,
        plan=found.plan,
        requests=requests,
        delta_links=_delta_links(found, watermarks),
        stored_links=state.delta_links,
        whole_passes=state.whole_passes,
        whole=tuple(entity.name for entity in found.model if entity.name not in watermarks),
        accept_deletions=request.accept_deletions,
        accept_refusals=request.accept_refusals,
        filter_gone=filter_gone,
        revision=state.revision,
        epoch=state.epoch,
        new_epoch=request.new_epoch,
        new_organization=request.new_organization,
    )


def _with_rows(found: Findings) -> Findings:
    """Where the store holds nothing to compare with, everything is read instead."""
    if found.request.mode != "reconcile" or not found.state.is_empty:
        return found
    log.info("The store is empty, so there is nothing to compare: every row is read.")
    return replace(found, request=replace(found.request, mode="full"))


def _lost_filters(connection: store.Connection, found: Findings) -> tuple[str, ...]:
    """Tables whose sync filter is gone, if that is accepted. Raises `ConfigError` if not.

    Without the filter every row counts as synced, also those that it left out on purpose.
    """
    lost = [
        entity
        for entity in found.model
        if entity.sync_filter is not None
        and entity.sync_filter not in found.plan.of(entity).columns
        and store.holds_no(connection, entity)
    ]
    if lost and not found.request.accept_filter_gone:
        names = ", ".join(entity.name for entity in lost)
        raise ConfigError(
            f"The sync filter new_synctomkto of {names} is not there any more, and rows of the "
            "store were left out by it.",
            next_step="let the application user read the column, or, if it was deleted on purpose "
            "and all rows shall be synced, trigger the DAG with mode full and accept_filter_gone.",
        )
    return tuple(entity.name for entity in lost)


def _with_past_watermarks(
    connection: store.Connection, found: Findings, *, settings: Settings
) -> Findings:
    """The findings without watermarks that lie ahead of every clock: their windows are empty.

    Some server's clock was wrong once. Such a watermark goes back to what surely was read: the
    newest row that is stored, less the overlap.
    """
    marks = found.state.watermarks
    ahead = [name for name, mark in marks.items() if mark > found.started_at]
    if not ahead:
        return found
    newest = store.newest_modified_at(connection, found.model)
    surely = min(found.started_at, newest) if newest else found.started_at
    to = less(surely, timedelta(minutes=settings.overlap_minutes))
    for name in ahead:
        log.warning(
            "%s: the watermark %s lies ahead of Dynamics' clock and this worker's; it goes back "
            "to %s.",
            name,
            f"{marks[name]:%Y-%m-%d %H:%M:%S}",
            f"{to:%Y-%m-%d %H:%M:%S}",
        )
        store.correct_watermark(connection, name, to)
    corrected = {**marks, **dict.fromkeys(ahead, to)}
    return replace(found, state=replace(found.state, watermarks=corrected))


def _holds_columns(connection: store.Connection, found: Findings, entity: Entity) -> bool:
    """Whether the stored rows have every column that is read now.

    But for a few that lack one, which are asked for by id.
    """
    plan, held = found.plan.of(entity), found.state.columns.get(entity.name)
    if held is None:
        log.info("%s: read whole, since its columns were not noted so far", entity.set_name)
        return False
    readings = plan.readings(entity)
    new = [name for name in readings if held.get(name) != readings[name]]
    if new:
        log.info("%s: read whole, for new columns: %s", entity.set_name, ", ".join(sorted(new)))
        return False
    owed = store.count_owed(connection, entity, plan.columns)
    if owed <= OWED_AT_ONCE or owed * _OWED_SHARE <= store.count_live(connection, entity):
        return True
    log.info("%s: read whole, since %s rows lack a column", entity.set_name, f"{owed:,}")
    return False


def _delta_links(found: Findings, watermarks: Mapping[str, datetime]) -> dict[str, str | None]:
    """Entities to read by change tracking, and the link to go on from; None: a full pass first."""
    if found.request.mode not in {"continue", "full"}:
        return {}
    goes_on = watermarks if found.request.mode == "continue" else {}
    return {
        entity.name: _usable_link(found, entity) if entity.name in goes_on else None
        for entity in found.model
        if not entity.is_always_read_whole
        and found.plan.of(entity).change_tracking_enabled
        and found.plan.of(entity).reads_every_row
    }


def _usable_link(found: Findings, entity: Entity) -> str | None:
    """The stored link by which changes can be followed; where it is dropped, that is said."""
    link = found.state.delta_links.get(entity.name)
    if link is None:
        return None
    if not same_origin(link, found.organization_url):
        log.warning(
            "%s: the change tracking link is of another address of the organisation and is "
            "dropped; a full pass brings a new one.",
            entity.set_name,
        )
        return None
    columns = found.state.link_columns.get(entity.name) or {}
    readings = found.plan.of(entity).readings(entity)
    if not readings.items() <= columns.items():
        log.info(
            "%s: the change tracking link lacks a column that is read now; a full pass brings "
            "a new one.",
            entity.set_name,
        )
        return None
    return link


def _record(run: Run, request: RunRequest, connection: store.Connection) -> None:
    starts = [window.start for window in run.windows.values() if window.start]
    store.begin_run(
        connection,
        run.dag_id,
        run.run_id,
        attempt=run.attempt,
        mode=run.mode,
        window_start=min(starts, default=None),
        window_end=request.window_end if run.mode == "range" else None,
        started_at=run.started_at,
    )


def _report_windows(run: Run) -> None:
    if run.revision == 0 and all(window == Window() for window in run.windows.values()):
        log.info("The store is empty: this is a full sync, every row of every table is read.")
    for name, window in run.windows.items():
        link = run.delta_links.get(name)
        what = "what changed since the last run (change tracking)" if link else str(window)
        log.info("%-14s %s", name, what)
