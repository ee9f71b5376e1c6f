"""The load task: everything that the run found, into the store, in one transaction.

Facts, public rows, roles, unresolved references, watermarks and the run's own record commit
together or not at all. The store-wide lock makes loads one after another. If another run has
committed since `transform` looked, the associations are resolved again here, inside the
transaction, so that the slower of two runs cannot put back older roles.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from opportunity_sync import __version__, store
from opportunity_sync.errors import StagingError
from opportunity_sync.model import VERSION, Entity
from opportunity_sync.pipeline.extraction import published_reading
from opportunity_sync.pipeline.run import Run, open_run, report_wait, utc_now
from opportunity_sync.pipeline.transformation import (
    Outcome,
    all_parts,
    read_outcome,
    require_same_sources,
    resolve_again,
    row_parts,
)
from opportunity_sync.store import Change, Counts, StoreState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa
    from sqlalchemy import Connection, Engine

    from opportunity_sync.pipeline.parts import Reading, Refusals, Refused
    from opportunity_sync.settings import Settings
    from opportunity_sync.staging import Part

log = logging.getLogger(__name__)

ROLE = "role"
UNRESOLVED = "unresolved"


@dataclass(frozen=True)
class Write:
    """One load: the transaction, what is written, and by which change of the store."""

    connection: Connection
    run: Run
    outcome: Outcome
    change: Change


def load(
    engine: Engine,
    run: dict[str, Any],
    *,
    settings: Settings,
    clock: Callable[[], datetime] = utc_now,
) -> dict[str, Any]:
    """Write the staged run; returns `changed` (rows written) and the counts per table.

    Raises `StoreUnavailableError` when the store cannot take it now; the store is as it was.
    """
    begun = open_run(run)
    with store.locked(
        engine, wait_seconds=settings.store_lock_seconds, on_wait=report_wait
    ) as connection:
        committed = store.rows_changed_by(connection, begun.attempt)
        if committed is not None:
            log.info("An earlier try of this task has committed everything; nothing is left to do.")
            return {"changed": committed, "tables": {}}
        moment = clock().replace(microsecond=0)
        counts = _write_everything(connection, begun, read_outcome(begun), moment=moment)
    return _report(counts)


def _write_everything(
    connection: Connection, run: Run, outcome: Outcome, *, moment: datetime
) -> dict[str, Counts]:
    state = store.read_state(connection)
    if state.epoch != run.epoch:
        raise StagingError(
            "A new epoch has begun since this run read its rows, so their versions count no more.",
            next_step="clear the whole DAG run, from its first task.",
        )
    store.claim_organization(connection, run.plan.organization_id, handed_to=run.new_organization)
    change = Change(revision=state.revision + 1, begun=run.revision, moment=moment)
    outcome = _as_the_store_is_now(connection, run, outcome, change=change, revision=state.revision)
    write = Write(connection, run, outcome, change)
    overtaken = [
        entity
        for entity in run.model
        if _is_overtaken(write, entity, passes=state.whole_passes.get(entity.name))
    ]
    counts = _write_rows(write, is_moved=state.revision != outcome.settled_at)
    _write_associations(write, counts)
    if any(count.changed or count.facts for count in counts.values()):
        store.bump_revision(connection, change.revision)
    _close(write, counts)
    for entity in run.model:
        _note_columns(write, entity, held=state.columns.get(entity.name))
        _move_state(write, entity, state=state, is_overtaken=entity in overtaken)
    require_same_sources(run, outcome)
    return counts


def _as_the_store_is_now(
    connection: Connection, run: Run, outcome: Outcome, *, change: Change, revision: int
) -> Outcome:
    """The outcome, resolved again where the store, at `revision`, moved since transform's look."""
    if run.new_epoch:
        log.warning("A new epoch begins: the versions read now replace all that is stored.")
        store.begin_epoch(connection, run.plan.organization_id, model=run.model, change=change)
    for name in run.filter_gone:
        log.warning("%s: the sync filter is gone, so rows that it left out are synced.", name)
        if store.forget_filter(connection, run.model[name]):
            store.bump_revision(connection, change.revision)
    if not run.new_epoch and revision == outcome.revision:
        return outcome
    log.info("The store has changed since transform: resolving again.")
    return resolve_again(connection, run, outcome)


def _is_overtaken(write: Write, entity: Entity, *, passes: int | None) -> bool:
    """Whether the stored delta link may lie behind the deletion of a row of this run.

    Another run has read the whole table since this one began: `passes`, of the stored link, has
    grown. A row that only this run knows may have been deleted before that, and then no change
    that is read by that link will ever say so. (Of a run that read changes, a tombstone would be
    stored.)
    """
    run = write.run
    if passes is None or passes == run.of(entity).whole_passes:
        return False
    parts = run.folder.tables(all_parts(run, entity, write.outcome.groups), [entity.key_column])
    if store.holds_all(write.connection, entity, parts):
        return False
    log.info(
        "%s: another run has read all of them since this one began, and does not know all that "
        "this one brings; the next run reads again what may have been deleted in between.",
        entity.set_name,
    )
    return True


def _write_rows(write: Write, *, is_moved: bool) -> dict[str, Counts]:
    connection, run, outcome, change = write.connection, write.run, write.outcome, write.change
    counts = {entity.name: Counts() for entity in run.model} | {ROLE: Counts()}
    fresh = {entity.name for entity in run.model if store.holds_nothing(connection, entity)}
    for entity in run.model:
        for parts, fields in _readings(run, entity, outcome):
            counts[entity.name] += store.write_rows(
                connection, entity, parts, change=change, columns=fields
            )
    for entity in run.model:
        # If the store moved meanwhile, another run may have read the record later: ask again.
        marked, roles = store.write_deleted(
            connection,
            entity,
            run.folder.tables(outcome.groups[f"gone/{entity.name}"]),
            change=change,
            recheck=is_moved,
        )
        counts[entity.name] += marked
        counts[ROLE] += Counts(deleted=roles)
    for entity in run.model:
        if not entity.carries_account:
            continue
        for changes in run.folder.tables(outcome.groups[f"resolved/{entity.name}_account"]):
            moved = store.write_account_changes(connection, entity, changes, change=change)
            counts[entity.name] += Counts(rewritten=moved)
    for name, relabelled in store.write_labels(
        connection, run.plan.labels, model=run.model, change=change, fresh=fresh
    ).items():
        counts[name] += Counts(rewritten=relabelled)
    return counts


def _readings(
    run: Run, entity: Entity, outcome: Outcome
) -> Iterator[tuple[Iterator[pa.Table], tuple[str, ...]]]:
    """The rows that the extract task brought, then those asked for by id, and their fields."""
    extracted, found = row_parts(run, entity, outcome.groups)
    derived = outcome.groups[f"derived/{entity.name}"]
    fields = published_reading(run, entity).fields
    yield _rows(run, extracted, derived[: len(extracted)]), fields
    yield _rows(run, found, derived[len(extracted) :]), run.plan.of(entity).columns


def _rows(run: Run, parts: Sequence[Part], derived: Sequence[Part]) -> Iterator[pa.Table]:
    """Staged parts with what was derived of each row, without rows that were read twice."""
    staged = (run.folder.tables(parts), run.folder.tables(derived))
    for rows, beside in zip(*staged, strict=True):
        table = rows
        if "account_id" in beside.column_names:
            table = rows.append_column("account_id", beside["account_id"])
        yield table.filter(beside["take"])


def _write_associations(write: Write, counts: dict[str, Counts]) -> None:
    connection, run, outcome, change = write.connection, write.run, write.outcome, write.change
    affected = list(run.folder.tables(outcome.groups["resolved/affected"]))
    counts[UNRESOLVED] = Counts()
    if not affected:
        return
    counts[ROLE] += store.write_roles(
        connection,
        affected=(
            table.filter(table["is_synced"]).select(["opportunity_id"]) for table in affected
        ),
        roles=run.folder.tables(outcome.groups["resolved/roles"]),
        change=change,
    )
    counts[UNRESOLVED] += store.write_unresolved(
        connection,
        affected=(table.select(["opportunity_id"]) for table in affected),
        unresolved=run.folder.tables(outcome.groups["resolved/unresolved"]),
        moment=change.moment,
    )


def _close(write: Write, counts: dict[str, Counts]) -> None:
    """List what was refused and write the run's own record, still in the transaction."""
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
        rows = [_error_row(entity, each) for records in refused.values() for each in records]
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


def _error_row(entity: Entity, refused: Refused) -> dict[str, Any]:
    """A refused row as `sync_error` lists it."""
    return {
        "entity": entity.name,
        "record_id": refused.record_id,
        "field": refused.reason.field,
        "code": refused.reason.code,
        "message": refused.reason.message,
    }


def _list_refused(write: Write, entity: Entity, refused: Mapping[str, Refusals]) -> None:
    """Keep records that can't be taken in `refused_row`, and drop those that have passed."""
    connection, run = write.connection, write.run
    if not any(refused.values()) and not store.refused_ids(connection, entity):
        return
    names = [entity.key_column, VERSION.name]
    for part in run.folder.tables(all_parts(run, entity, write.outcome.groups), names):
        store.pass_refused(connection, entity, part)
    for task_id, records in refused.items():
        by = {
            "dag_id": run.dag_id,
            "run_id": run.run_id,
            "task_id": task_id,
            "map_index": -1,
            "tried_by": __version__,
        }
        rows = [
            _error_row(entity, each) | {"version": each.version_number}
            for each in records
            if each.record_id
        ]
        store.note_refused(connection, entity, rows, moment=write.change.moment, by=by)


def _note_columns(write: Write, entity: Entity, *, held: Mapping[str, str] | None) -> None:
    """Say how the whole table has its columns now; `held`: how it had them until now.

    A run that brings a part of the table, with a column read otherwise than it is held (in another
    time zone), leaves rows of both kinds: that column is held no more, and is read whole again.
    """
    connection, run = write.connection, write.run
    reading, readings = published_reading(run, entity), _readings_of(run, entity)
    if reading.is_whole and not run.lists(entity):
        store.complete_columns(connection, entity.name, readings)
        return
    other = {name for name, how in readings.items() if held and held.get(name, how) != how}
    if other:
        store.forget_readings(connection, entity.name, other)


def _readings_of(run: Run, entity: Entity) -> dict[str, str]:
    """The fields that the extract task has read, and how."""
    readings = run.plan.of(entity).readings(entity)
    return {name: readings[name] for name in published_reading(run, entity).fields}


def _move_state(write: Write, entity: Entity, *, state: StoreState, is_overtaken: bool) -> None:
    """Move the watermark, and the delta link where the entity is tracked: compare and set."""
    connection, run, name = write.connection, write.run, entity.name
    if is_overtaken:
        store.forget_delta_link(connection, name)
        store.withdraw_offer(connection, name)
    if run.mode in {"range", "reconcile"}:
        return
    reading = published_reading(run, entity)
    start = None if reading.is_whole else run.of(entity).window.start
    store.move_watermark(connection, name, window_start=start, to=run.started_at)
    is_moved = store.move_delta_link(
        connection,
        name,
        # Where it was forgotten in this very transaction, none is there to be replaced.
        began_with=None if is_overtaken or run.new_epoch else run.of(entity).stored_link,
        to=_next_link(write, entity, state=state),
    )
    if is_moved and (reading.way != "window"):
        store.withdraw_offer(connection, name)


def _next_link(write: Write, entity: Entity, *, state: StoreState) -> store.DeltaLink:
    """The link from which the next run goes on.

    What a quick sync has offered is taken up when the old link has been followed to its end. Where
    the old one could not be followed, rows that were written since the offer are asked for again:
    the offered link tells what changed, and not what their runs may have missed before.
    """
    run, reading = write.run, published_reading(write.run, entity)
    offered, known = state.offered.get(entity.name), run.of(entity).offered
    if reading.way == "link" and offered and known and offered.url == known.url:
        return replace(offered, is_whole=True)
    if reading.way == "offer" and known is not None:
        store.owe_rows_since(write.connection, entity, state.offered_at.get(entity.name, 0))
        return store.DeltaLink(reading.delta_link, known.columns, is_whole=True)
    # A link that was only followed goes on with the columns that it was made with.
    columns = _readings_of(run, entity) if reading.is_whole else None
    return store.DeltaLink(reading.delta_link, columns, is_whole=reading.is_whole)


def _report(counts: dict[str, Counts]) -> dict[str, Any]:
    columns = (
        "read",
        "inserted",
        "updated",
        "unchanged",
        "filtered",
        "superseded",
        "refused",
        "deleted",
        "rewritten",
    )
    log.info("%s", _line("table", columns))
    for name, count in counts.items():
        log.info("%s", _line(name, [f"{getattr(count, column):,}" for column in columns]))
    changed = sum(count.changed for count in counts.values())
    log.info("%s", _sentence(counts, changed))
    return {
        "changed": changed,
        "tables": {
            name: {column: getattr(count, column) for column in columns}
            for name, count in counts.items()
        },
    }


def _line(name: str, cells: Sequence[str]) -> str:
    return f"{name:16}" + "".join(f" {cell:>10}" for cell in cells)


def _sentence(counts: Mapping[str, Counts], changed: int) -> str:
    """What the load came to, in words."""
    read = sum(count.read for name, count in counts.items() if name not in {ROLE, UNRESOLVED})
    refused = sum(count.refused for count in counts.values())
    tail = f", {refused:,} could not be taken (refused_row names them)" if refused else ""
    if not changed:
        return f"Nothing has changed: of {read:,} records read, no row was written{tail}."
    return f"{read:,} records were read and {changed:,} rows of the store changed{tail}."
