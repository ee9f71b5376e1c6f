"""The first task: is everything there, what window, which columns; then the run can start.

All that can be wrong with the configuration is found here, before the first row is read: the
connections, the organisation, the store's schema, the columns, the clocks. The store is looked at
and the run recorded in one short transaction, which waits for no load.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from opportunity_sync import store
from opportunity_sync.dynamics import DataverseClient, LeftOut, Plan
from opportunity_sync.errors import ConfigError
from opportunity_sync.model.fields_reader import read_selection
from opportunity_sync.pipeline.bookkeeping.events import Events, noting_guard
from opportunity_sync.pipeline.bookkeeping.left_out import unread_fields
from opportunity_sync.pipeline.reading.backlog import record_backlog
from opportunity_sync.pipeline.reading.baselines import OWED_AT_ONCE, Findings, baseline
from opportunity_sync.pipeline.run import (
    Baseline,
    Run,
    RunRequest,
    move_back,
    report_wait,
    staging_root,
    utc_now,
)
from opportunity_sync.pipeline.selecting.fields_to_fill import fields_asked_for, require_columns
from opportunity_sync.pipeline.selecting.selected_model import read_selected

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sqlalchemy import Engine

    from opportunity_sync.model import Entity, Selection
    from opportunity_sync.settings import Settings

log = logging.getLogger(__name__)

_CLOCK_TOLERANCE = timedelta(minutes=1)


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
    selection = read_selection(settings.fields, request.model)
    started_at, latest = _start(client.get("WhoAmI").server_date, clock())
    model, plan = read_selected(client, selection, settings=settings, model=request.model)
    log.info("Organisation %s at %s", plan.organization_id, client.organization_url)
    wait = settings.store_lock_seconds
    fitted = store.migrate(
        engine,
        model,
        wait_seconds=wait,
        on_wait=report_wait,
        needs_columns=request.mode == "fill",
    )
    require_columns(request.fields, model, fitted.misfits)
    plan = _fitted_plan(plan, fitted)
    record_backlog(
        client,
        engine,
        model=fitted.model,
        organization_id=plan.organization_id,
        moment=started_at,
        wait_seconds=wait,
    )
    name = request.dag_id, request.run_id
    with (
        noting_guard(engine, name, moment=started_at),
        store.writing(engine, wait_seconds=wait, on_wait=report_wait) as connection,
    ):
        store.check_organization(
            connection, plan.organization_id, handed_to=request.new_organization
        )
        url = client.organization_url
        store.note_organization_url(connection, plan.organization_id, url)
        found = Findings(
            request,
            plan.with_labels(store.known_labels(connection)),
            store.read_state(connection),
            organization_url=url,
            started_at=started_at,
            latest=latest,
            model=fitted.model,
        )
        events = Events(connection, name, started_at)
        _report_selection(connection, selection, events=events, settings=settings)
        store.note_left_out(connection, unread_fields(selection, plan))
        events.note_columns(fitted.added)
        run = _make_run(connection, found, requests=client.counters.requests, settings=settings)
        _record(run, request, connection)
        failure = None
        if any(table.waiting for table in run.tables.values()):
            failure = store.last_failure(connection, "fill")
            run = _without_start(run) if _waits_for_a_person(connection) else run
    _report_windows(run)
    _report_waiting(run, failure=failure)
    root = staging_root(settings)
    folder = root.new_folder(request.dag_id, request.run_id, run.attempt[:8])
    return msgspec.structs.replace(run, staging=folder.url).save()


def _report_selection(
    connection: store.Connection, selection: Selection, *, events: Events, settings: Settings
) -> None:
    """Say what has changed in the selection since the run before."""
    fields = [f"{each.name}.{field.column}" for each in selection for field in each.wanted]
    change = store.note_selection(
        connection,
        selection.fingerprint,
        fields,
        moment=events.moment,
        read_by={
            "time zone": settings.time_zone or "UTC",
            "label language": str(settings.label_language or "of the organisation"),
        },
    )
    for each in selection:
        if stopped := store.stopped_fields(connection, each.name, each.columns):
            log.info("%s: columns that have stopped changing: %s", each.name, ", ".join(stopped))
    if change is None:
        return
    log.info(
        "The selection of fields has changed. New: %s. No longer: %s (their columns stay). "
        "Read otherwise: %s.",
        ", ".join(change.added) or "none",
        ", ".join(change.stopped) or "none",
        ", ".join(change.otherwise) or "none",
    )
    events.note_selection(change)
    if change.is_return:
        log.warning(
            "The selection is again one of the last hour. Next step: if nobody changed it, see "
            "that all workers read the same fields file (OPPORTUNITY_SYNC_FIELDS)."
        )


def _fitted_plan(plan: Plan, fitted: store.FittedModel) -> Plan:
    """The plan of what the store has columns for; the rest is said by name."""
    new: dict[str, list[str]] = {}
    for name in fitted.added:
        table, _, column = name.partition(".")
        new.setdefault(table, []).append(column)
    for table, columns in new.items():
        log.info("%s: new in the store: %s", table, ", ".join(columns))
    for misfit in fitted.misfits:
        out = LeftOut(misfit.source, misfit.reason, misfit.state)
        plan = plan.without_field(misfit.entity, misfit.field, out)
        log.warning(
            "%s.%s is left out (%s): %s.",
            misfit.entity,
            misfit.field,
            misfit.state,
            misfit.reason.rstrip("."),
        )
    return plan


def _start(server: datetime | None, worker: datetime) -> tuple[datetime, datetime]:
    """The lower of both clocks and the higher.

    Whatever is modified from the lower one on belongs to the next run.
    """
    worker = worker.replace(microsecond=0)
    if server is None:
        return worker, worker
    ahead = server - worker
    if abs(ahead) > _CLOCK_TOLERANCE:
        log.warning(
            "Dynamics' clock (%s) and this worker's (%s) differ by %s; the lower one counts. "
            "Next step: let the worker's clock follow a time server.",
            f"{server:%Y-%m-%d %H:%M:%S}",
            f"{worker:%Y-%m-%d %H:%M:%S}",
            abs(ahead),
        )
    return min(server, worker), max(server, worker)


def _make_run(
    connection: store.Connection, found: Findings, *, requests: int, settings: Settings
) -> Run:
    filter_gone = _lost_filters(connection, found)
    found = _with_rows(_with_past_watermarks(connection, found, settings=settings))
    request, state = found.request, found.state
    for entity in found.model:
        read = found.plan.of(entity).columns
        store.want_columns(connection, entity, _columns_to_want(entity, read))
        store.let_go_of_unread(connection, entity, read, most_owed=OWED_AT_ONCE)
    overlap = timedelta(minutes=settings.overlap_minutes)
    tables = {
        entity.name: baseline(connection, found, entity, overlap=overlap) for entity in found.model
    }
    fills: dict[str, tuple[str, ...]] = {}
    if request.mode == "fill":
        fills = fields_asked_for(request.fields, found.model, tables)
        _note_fills(connection, found, tables, fills=fills)
    return Run(
        dag_id=request.dag_id,
        run_id=request.run_id,
        attempt=uuid.uuid4().hex,
        mode=request.mode,
        staging="",
        started_at=found.started_at,
        model=found.model,
        plan=found.plan,
        tables=tables,
        fills=fills,
        requests=requests,
        accept_deletions=request.accept_deletions,
        accept_refusals=request.accept_refusals,
        retry_refused=request.retry_refused,
        filter_gone=filter_gone,
        revision=state.revision,
        epoch=state.epoch,
        new_epoch=request.new_epoch,
        new_organization=request.new_organization,
    )


def _columns_to_want(entity: Entity, read: Collection[str]) -> set[str]:
    """What rows owe that are written without it: all that was selected, now to be read or not.

    What comes with some other solution is owed only where it is there.
    """
    selected = (field for field in (*entity.fields, *entity.facts) if not field.optional)
    return {*read, *(field.column for field in selected)}


def _note_fills(
    connection: store.Connection,
    found: Findings,
    tables: Mapping[str, Baseline],
    *,
    fills: Mapping[str, Sequence[str]],
) -> None:
    """Remember what a quick sync over whole tables began to fill, so that it begins but once."""
    for name, fields in fills.items():
        if tables[name].window.is_everything:
            interpretations = found.plan.of(found.model[name]).interpretations(found.model[name])
            store.note_fill(connection, name, {each: interpretations[each] for each in fields})


def _with_rows(found: Findings) -> Findings:
    """Where nothing was read whole yet there is nothing to compare with: every row is read."""
    if found.request.mode != "reconcile" or found.state.watermarks:
        return found
    log.info("No table has a watermark yet, so every row is read and none is compared.")
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
        names = " and ".join(f"{entity.filter_source} of {entity.name}" for entity in lost)
        raise ConfigError(
            f"The sync filter {names} is not there any more, and rows of the "
            "store were left out by it.",
            next_step="let the application user read the column, or, if it was deleted on purpose "
            "and all rows shall be synced, trigger the DAG with mode full and accept_filter_gone.",
            is_guard=True,
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
    ahead = [name for name, mark in marks.items() if mark > found.latest]
    if not ahead:
        return found
    newest = store.newest_modified_at(connection, found.model)
    surely = min(found.started_at, newest) if newest else found.started_at
    to = move_back(surely, timedelta(minutes=settings.overlap_minutes))
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


def _waits_for_a_person(connection: store.Connection) -> bool:
    """Whether a quick sync has failed since the selection changed, perhaps before it had begun."""
    since = store.selection_changed_at(connection)
    return store.last_failure(connection, "fill", since=since) is not None


def _without_start(run: Run) -> Run:
    """The run, which starts no quick sync."""
    tables = {
        name: msgspec.structs.replace(table, unasked=()) for name, table in run.tables.items()
    }
    return msgspec.structs.replace(run, tables=tables)


def _record(run: Run, request: RunRequest, connection: store.Connection) -> None:
    starts = [table.window.start for table in run.tables.values() if table.window.start]
    store.begin_run(
        connection,
        run.dag_id,
        run.run_id,
        attempt=run.attempt,
        mode=run.mode,
        window_start=min(starts, default=None),
        window_end=request.window_end,
        started_at=run.started_at,
    )


def _report_windows(run: Run) -> None:
    if run.is_first:
        log.info("The store is empty: this is a full sync, every row of every table is read.")
    for name, table in run.tables.items():
        link = "what changed since the last run (change tracking)"
        log.info("%-14s %s", name, link if table.link or table.offered else table.window)


def _report_waiting(run: Run, *, failure: str | None) -> None:
    """Say which fields the stored rows have yet to get, and what has become of it."""
    waiting = [f"{name}.{field}" for name, table in run.tables.items() for field in table.waiting]
    if not waiting or run.mode == "fill":
        return
    log.info(
        "Rows that are stored already have yet to get %s; new and changed ones have them.",
        ", ".join(waiting),
    )
    if any(table.unasked for table in run.tables.values()):
        log.info("dynamics_quick_sync fills them: it is started by this run, if it is not paused.")
    elif failure is not None:
        log.warning(
            "The last quick sync failed, and is not started again by itself: %s Next step: mend "
            "the cause, then clear it or trigger dynamics_quick_sync.",
            failure,
        )
