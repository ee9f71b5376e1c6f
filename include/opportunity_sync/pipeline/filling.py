"""Quick Sync: values of chosen fields into rows that are there, beside the running sync.

A newly selected field is null in every row that does not change. To fill it, the whole table must
be read. That can take hours, and the five-minute sync must not wait for it. So a run of its own
reads the table and writes nothing but the new columns, part by part. Rows that another run writes
without them meanwhile owe them and are asked for by id.

Where changes are tracked, the pass also brings a link that gives the new columns. It is left for
the running sync. Every row that differs between the pass and the store is owed as a whole, so the
running sync may take the link up wherever its old link stands.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from opportunity_sync import store
from opportunity_sync.errors import StagingError
from opportunity_sync.model import VERSION
from opportunity_sync.pipeline.bookkeeping.events import noting_guard
from opportunity_sync.pipeline.bookkeeping.records import error_row, note_refused
from opportunity_sync.pipeline.reading.readings import (
    published_reading,
    published_table,
    versions_read,
)
from opportunity_sync.pipeline.run import open_run, report_wait, require_same_epoch, utc_now
from opportunity_sync.pipeline.settling import require_few_refused
from opportunity_sync.store import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from sqlalchemy import Engine

    from opportunity_sync.model import Entity
    from opportunity_sync.pipeline.reading.parts import Reading
    from opportunity_sync.pipeline.run import Run
    from opportunity_sync.settings import Settings
    from opportunity_sync.store import StoreState

log = logging.getLogger(__name__)


def fill(
    engine: Engine,
    run: dict[str, Any],
    *,
    settings: Settings,
    clock: Callable[[], datetime] = utc_now,
) -> dict[str, Any]:
    """Write the staged values; returns `changed`, the rows written, and that number per table.

    Each part is a transaction of its own, so a load waits for one page and not for a table. What
    was written stays, so the task can be tried again. Raises `ConfigError` before anything is
    written where more records are newly refused than is believed.
    """
    begun = open_run(run)
    with noting_guard(engine, (begun.dag_id, begun.run_id), moment=clock()):
        _require_few_refused(engine, begun, settings=settings)
    done = {
        entity.name: _fill_table(engine, begun, entity, settings=settings, clock=clock)
        for entity in begun.model.public
        if begun.reads(entity)
    }
    _close(engine, begun, done, settings=settings, moment=clock().replace(microsecond=0))
    changed = {name: counts.updated for name, counts in done.items()}
    return {"changed": sum(changed.values()), "tables": changed}


def _require_few_refused(engine: Engine, run: Run, *, settings: Settings) -> None:
    """Raise `ConfigError` if more records are newly refused than is believed."""
    tables = [entity for entity in run.model.public if run.reads(entity)]
    with store.read_store(engine) as connection:
        known = {entity.name: store.refused_ids(connection, entity) for entity in tables}
    for entity in tables:
        readings = [published_reading(run, entity)]
        require_few_refused(run, entity, readings, known=known[entity.name], settings=settings)


def _fill_table(
    engine: Engine,
    run: Run,
    entity: Entity,
    *,
    settings: Settings,
    clock: Callable[[], datetime],
) -> Counts:
    published, fields = published_table(run, entity), run.fills[entity.name]
    reading = published.reading
    names = [entity.key_column, VERSION.name, *_column_names(entity, fields)]
    done = Counts()
    for part in published.parts:
        with _lock_store(engine, settings) as connection:
            state = _require_current(connection, run, entity)
            moment = clock().replace(microsecond=0)
            of_run = run.dag_id, run.run_id
            change = store.Change(state.revision + 1, run.revision, moment, run=of_run)
            rows = run.folder.read(part, names)
            counts = store.fill_columns(
                connection,
                entity,
                rows,
                fields=fields,
                change=change,
                labels=run.plan.of(entity).labels,
            )
            if counts.updated:
                store.bump_revision(connection, change.revision)
                store.count_filled(connection, of_run, entity.name, updated=counts.updated)
        done += counts
    with _lock_store(engine, settings) as connection:
        state = _require_current(connection, run, entity)
        if reading.is_whole:  # a range fills values, and shows nothing of the table
            _close_pass(connection, run, entity, reading=reading, state=state)
    log.info(
        "%s: %s of %s rows that were read got %s",
        entity.name,
        f"{done.updated:,}",
        f"{reading.rows:,}",
        ", ".join(fields),
    )
    return done


def _close_pass(
    connection: store.Connection, run: Run, entity: Entity, *, reading: Reading, state: StoreState
) -> None:
    """Note what a pass over the whole table has shown."""
    interpretations = run.plan.of(entity).interpretations(entity)
    fields, versions = run.fills[entity.name], versions_read(run, entity)
    live = store.live_versions(connection, entity)
    refused = {each.record_id for each in reading.refusals if each.record_id}
    if reading.delta_link is not None:
        known = versions.keys() - store.erased_ids(connection, entity)
        differs = {key for key in known if live.get(key, -1) < versions[key]}
        absent = live.keys() - versions.keys() - refused
        _remember_owed(connection, entity, differs | absent, columns={store.WHOLE_RECORD})
        link = store.DeltaLink(reading.delta_link, interpretations)
        store.offer_link(connection, entity.name, link)
    elif reading.unidentified:
        _remember_owed(connection, entity, live.keys() - versions.keys(), columns=fields)
    _remember_owed(connection, entity, refused & live.keys(), columns=fields)
    begun = state.fill_begun.get(entity.name, {})
    complete = {name: interpretations[name] for name in fields if name in begun}
    store.complete_columns(connection, entity.name, complete)
    if len(complete) < len(fields):
        log.warning(
            "%s: another run has read %s otherwise meanwhile; the next quick sync fills it again.",
            entity.name,
            ", ".join(name for name in fields if name not in complete),
        )


def _require_current(connection: store.Connection, run: Run, entity: Entity) -> StoreState:
    """The store's state, if what this run has read may still be written.

    Raises:
        StagingError: a new epoch has begun, or a later quick sync that fills a field otherwise.
        WrongOrganizationError: the store is another organisation's by now.
    """
    state = store.read_state(connection)
    require_same_epoch(run, state.epoch)
    store.check_organization(connection, run.plan.organization_id)
    interpretations, fields = run.plan.of(entity).interpretations(entity), run.fills[entity.name]
    begun = state.fill_begun.get(entity.name, {})
    other = [
        name for name in fields if begun.get(name, interpretations[name]) != interpretations[name]
    ]
    if other:
        raise StagingError(
            f"{entity.name}.{', '.join(other)} is read otherwise since this quick sync began.",
            next_step="nothing: a later quick sync fills it. Leave this run as it is.",
        )
    return state


def _remember_owed(
    connection: store.Connection, entity: Entity, ids: Collection[str], *, columns: Collection[str]
) -> None:
    keys = pa.table({entity.key_column: pa.array(sorted(ids), pa.string())})
    if ids:
        store.remember_owed(connection, entity, [keys], columns)


def _close(
    engine: Engine, run: Run, done: Mapping[str, Counts], *, settings: Settings, moment: datetime
) -> None:
    """List what was refused, and write the run's own record."""
    tables = [entity for entity in run.model.public if run.reads(entity)]
    readings = {entity.name: published_reading(run, entity) for entity in tables}
    listed = [
        error_row(entity, each) for entity in tables for each in readings[entity.name].refusals
    ]
    with _lock_store(engine, settings) as connection:
        filled = store.counted_updates(connection, run.dag_id, run.run_id)
        for entity in tables:
            refused = readings[entity.name].refusals
            note_refused(connection, run, entity, entity.read_by, refused, moment=moment)
        store.record_errors(connection, run.dag_id, run.run_id, refused=listed)
        store.end_run(
            connection,
            run.dag_id,
            run.run_id,
            attempt=run.attempt,
            outcome="succeeded",
            counts={
                name: _count_table(readings[name], counts, filled=filled.get(name, 0))
                for name, counts in done.items()
            },
            requests=run.requests + sum(reading.requests for reading in readings.values()),
            replaced_characters=sum(reading.replaced for reading in readings.values()),
        )


def _count_table(reading: Reading, done: Counts, *, filled: int) -> Counts:
    """What became of all that was read, where earlier tries of the task have `filled` some of it.

    A row that one of them has filled may be newer in the store by now, and counts as filled.
    """
    left = max(0, reading.rows - filled)
    filtered = min(done.filtered, left)
    superseded = min(done.superseded, left - filtered)
    refused = len({each.record_id or number for number, each in enumerate(reading.refusals)})
    return Counts(
        read=reading.rows + refused,
        updated=filled,
        unchanged=left - filtered - superseded,
        filtered=filtered,
        refused=refused,
        superseded=superseded,
    )


def _lock_store(engine: Engine, settings: Settings) -> AbstractContextManager[store.Connection]:
    return store.lock_store(engine, wait_seconds=settings.store_lock_seconds, on_wait=report_wait)


def _column_names(entity: Entity, fields: Collection[str]) -> list[str]:
    chosen = (field for field in entity.selected_fields if field.column in fields)
    return [column.name for field in chosen for column in field.columns]
