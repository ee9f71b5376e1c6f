"""Writes what a run did, and which records it could not take, in the transaction of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opportunity_sync import __version__, store
from opportunity_sync.model import VERSION, Entity
from opportunity_sync.pipeline.reading.readings import published_reading
from opportunity_sync.pipeline.resolving.outcome import all_parts
from opportunity_sync.store import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from opportunity_sync.pipeline.bookkeeping.write import Write
    from opportunity_sync.pipeline.reading.parts import Reading, Refusals, Refused
    from opportunity_sync.pipeline.run import Run

UNRESOLVED = "unresolved"


def close_run(write: Write, counts: dict[str, Counts]) -> None:
    """List what was refused, and write the run's own record."""
    connection, run, outcome = write.connection, write.run, write.outcome
    readings: list[Reading] = []
    listed: list[dict[str, Any]] = []
    for entity in run.model:
        extracted, found = published_reading(run, entity), outcome.readings[entity.name]
        readings += [extracted, found]
        refused = {
            entity.read_by: extracted.refusals,
            "transform": found.refusals,
        }
        _list_refused(write, entity, refused)
        rows = [error_row(entity, each) for records in refused.values() for each in records]
        listed += rows
        count = len({row["record_id"] or number for number, row in enumerate(rows)})
        counts[entity.name] += Counts(
            read=count, refused=count, compared=outcome.compared.get(entity.name, 0)
        )
    store.record_errors(connection, run.dag_id, run.run_id, refused=listed)
    store.end_run(
        connection,
        run.dag_id,
        run.run_id,
        attempt=run.attempt,
        outcome="succeeded",
        counts={name: count for name, count in counts.items() if name != UNRESOLVED},
        replaced_characters=sum(reading.replaced for reading in readings),
        requests=run.requests + sum(reading.requests for reading in readings),
    )


def error_row(entity: Entity, refused: Refused) -> dict[str, Any]:
    """A refused row as `sync_error` lists it."""
    return {
        "entity": entity.name,
        "record_id": refused.record_id,
        "field": refused.reason.field,
        "code": refused.reason.code,
        "message": refused.reason.message,
    }


def _list_refused(write: Write, entity: Entity, refused: Mapping[str, Refusals]) -> None:
    """List records that can't be taken in `refused_row`, and drop those that were taken now."""
    connection, run = write.connection, write.run
    if not any(refused.values()) and not store.refused_ids(connection, entity):
        return
    names = [entity.key_column, VERSION.name]
    for part in run.folder.tables(all_parts(run, entity, write.outcome.groups), names):
        store.pass_refused(connection, entity, part)
    for task_id, records in refused.items():
        note_refused(connection, run, entity, task_id, records, moment=write.change.moment)


def note_refused(  # noqa: PLR0913, PLR0917 - a task is known by run and name
    connection: store.Connection,
    run: Run,
    entity: Entity,
    task_id: str,
    records: Refusals,
    *,
    moment: datetime,
) -> None:
    """List records that a task of the run could not take in `refused_row`."""
    by = {
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "task_id": task_id,
        "map_index": -1,
        "tried_by": __version__,
    }
    rows = [
        error_row(entity, each) | {"version": each.version_number}
        for each in records
        if each.record_id
    ]
    store.note_refused(connection, entity, rows, moment=moment, by=by)
