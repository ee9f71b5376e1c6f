"""The load task writes everything that the run found into the store, in one transaction.

Facts, public rows, roles, unresolved references, watermarks and the run's own record commit
together or not at all. The store's lock lets one load write at a time. If another run has
committed since `transform` looked at the store, the associations are resolved again here, inside
the transaction. So the slower of two runs can't put back older roles.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opportunity_sync import store
from opportunity_sync.errors import SyncError
from opportunity_sync.model import OPPORTUNITY
from opportunity_sync.pipeline.bookkeeping.records import UNRESOLVED, close_run
from opportunity_sync.pipeline.bookkeeping.report import report_counts
from opportunity_sync.pipeline.bookkeeping.state import is_overtaken, move_state, note_columns
from opportunity_sync.pipeline.bookkeeping.write import Write
from opportunity_sync.pipeline.reading.readings import published_reading
from opportunity_sync.pipeline.resolving.outcome import (
    Outcome,
    read_outcome,
    require_same_sources,
    row_parts,
)
from opportunity_sync.pipeline.resolving.staged_facts import resolve_again
from opportunity_sync.pipeline.run import (
    Run,
    open_run,
    report_wait,
    require_same_epoch,
    utc_now,
)
from opportunity_sync.store import ROLE, Change, Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    import pyarrow as pa
    from sqlalchemy import Connection, Engine

    from opportunity_sync.model import Entity
    from opportunity_sync.settings import Settings
    from opportunity_sync.staging import Part
    from opportunity_sync.store import StoreState

log = logging.getLogger(__name__)


def load(
    engine: Engine,
    run: dict[str, Any],
    *,
    settings: Settings,
    clock: Callable[[], datetime] = utc_now,
) -> dict[str, Any]:
    """Write the staged run; returns `changed` (rows written) and the counts per table.

    Raises `StoreUnavailableError` when the store can't take it now. The store is then as before.
    """
    begun = open_run(run)
    with store.lock_store(
        engine, wait_seconds=settings.store_lock_seconds, on_wait=report_wait
    ) as connection:
        committed = store.counts_of_attempt(connection, begun.attempt)
        if committed is not None:
            log.info("An earlier try of this task has committed everything:")
            return report_counts(committed)
        moment = clock().replace(microsecond=0)
        counts = _write_everything(connection, begun, read_outcome(begun), moment=moment)
        if begun.mode == "reconcile":
            for entity in begun.model.public:
                store.count_rows(connection, entity)
    if begun.mode == "reconcile":
        _measure_columns(engine, begun, moment=moment)
    return report_counts(counts)


def _measure_columns(engine: Engine, run: Run, *, moment: datetime) -> None:
    """Leave the share of rows that have a value, column by column; no other run waits for it."""
    try:
        with store.read_store(engine) as connection:
            shares = {
                entity.name: store.measure_shares(connection, entity) for entity in run.model.public
            }
        with store.writing(engine, on_wait=report_wait) as connection:
            for name, of_table in shares.items():
                store.record_shares(connection, name, of_table, as_of=moment)
    except SyncError as error:
        # All rows are committed, so the load has not failed.
        log.warning("How full the columns are could not be measured this time: %s", error)


def _write_everything(
    connection: Connection, run: Run, outcome: Outcome, *, moment: datetime
) -> dict[str, Counts]:
    state = store.read_state(connection)
    require_same_epoch(run, state.epoch)
    store.claim_organization(connection, run.plan.organization_id, handed_to=run.new_organization)
    fresh = {entity.name for entity in run.model if store.holds_nothing(connection, entity)}
    is_first = _is_first_sync(connection, run, state)
    change = Change(
        state.revision + 1,
        run.revision,
        moment,
        run=(run.dag_id, run.run_id),
        leaves_history=not is_first and OPPORTUNITY.name not in fresh,
    )
    outcome = _as_the_store_is_now(connection, run, outcome, change=change, state=state)
    write = Write(connection, run, outcome, change)
    overtaken = [
        entity
        for entity in run.model
        if is_overtaken(write, entity, passes=state.whole_passes.get(entity.name))
    ]
    counts = _write_rows(write, fresh=fresh, is_moved=state.revision != outcome.settled_at)
    _write_associations(write, counts)
    if is_first or any(not store.holds_nothing(connection, run.model[name]) for name in fresh):
        store.take_statistics(connection, run.model)
    if counts[ROLE].changed:
        store.note_roles(connection, change)
    if any(count.changed or count.facts for count in counts.values()):
        store.bump_revision(connection, change.revision)
    close_run(write, counts)
    for entity in run.model:
        note_columns(write, entity)
        move_state(write, entity, state=state, overtaken=entity in overtaken)
    require_same_sources(run, outcome)
    return counts


def _as_the_store_is_now(
    connection: Connection, run: Run, outcome: Outcome, *, change: Change, state: StoreState
) -> Outcome:
    """The outcome, resolved again if the store has changed since `transform` looked at it."""
    if run.new_epoch:
        log.warning("A new epoch begins: the versions read now replace all that is stored.")
        store.begin_epoch(connection, run.plan.organization_id, model=run.model, change=change)
    for name in run.filter_gone:
        log.warning("%s: the sync filter is gone, so rows that it left out are synced.", name)
        if store.forget_filter(connection, run.model[name]):
            store.bump_revision(connection, change.revision)
    is_as_seen = state.revision == outcome.revision and not state.is_erased_before
    if is_as_seen and not run.new_epoch:
        return outcome
    log.info("The store has changed since transform: resolving again.")
    return resolve_again(connection, run, outcome)


def _is_first_sync(connection: Connection, run: Run, state: StoreState) -> bool:
    """Whether no run but backfills has brought opportunities yet, and this one brings all of them.

    Airflow starts all DAGs at once, so a backfill's day may be there first.
    """
    if OPPORTUNITY.name in state.watermarks or run.lists(OPPORTUNITY):
        return False
    return published_reading(run, OPPORTUNITY).is_whole and not store.has_synced(connection)


def _write_rows(write: Write, *, fresh: set[str], is_moved: bool) -> dict[str, Counts]:
    connection, run, outcome, change = write.connection, write.run, write.outcome, write.change
    counts = {entity.name: Counts() for entity in run.model} | {ROLE: Counts()}
    for entity in run.model:
        for parts, fields in _readings(run, entity, outcome):
            counts[entity.name] += store.write_rows(
                connection,
                entity,
                parts,
                change=replace(change, fresh_since=_fresh_since(run, entity)),
                columns=fields,
            )
    for entity in run.model:
        # If the store moved meanwhile, another run may have read the record later: ask again.
        marked, roles = store.write_deleted(
            connection,
            entity,
            outcome.tables(run, f"gone/{entity.name}"),
            change=change,
            recheck=is_moved,
        )
        store.note_deleted_rows(connection, entity, change)
        counts[entity.name] += marked
        counts[ROLE] += Counts(deleted=roles)
    for entity in run.model:
        if not entity.carries_account:
            continue
        for changes in outcome.tables(run, f"resolved/{entity.name}_account"):
            moved = store.write_account_changes(connection, entity, changes, change=change)
            counts[entity.name] += Counts(rewritten=moved)
    for name, relabelled in store.write_labels(
        connection, run.plan.labels, model=run.model, change=change, fresh=fresh
    ).items():
        counts[name] += Counts(rewritten=relabelled)
    return counts


def _fresh_since(run: Run, entity: Entity) -> datetime | None:
    """Since when rows of this run are news; None where it reads for another reason than changes."""
    reads_changes = run.mode == "continue" and not published_reading(run, entity).is_whole
    return run.of(entity).window.start if reads_changes else None


def _readings(
    run: Run, entity: Entity, outcome: Outcome
) -> Iterator[tuple[Iterator[pa.Table], tuple[str, ...]]]:
    """First the rows of the extract task, then those asked for by id; each with its fields."""
    extracted, found = row_parts(run, entity, outcome.groups)
    group, count = f"derived/{entity.name}", len(extracted)
    fields = published_reading(run, entity).fields
    yield _rows(run, extracted, outcome.tables(run, group, numbers=slice(count))), fields
    yield (
        _rows(run, found, outcome.tables(run, group, numbers=slice(count, None))),
        run.plan.of(entity).columns,
    )


def _rows(run: Run, parts: Sequence[Part], derived: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Staged rows with the account derived for each. Of rows read twice only the newest stays."""
    for rows, beside in zip(run.folder.tables(parts), derived, strict=True):
        table = rows
        if "account_id" in beside.column_names:
            table = rows.append_column("account_id", beside["account_id"])
        yield table.filter(beside["is_newest"])


def _write_associations(write: Write, counts: dict[str, Counts]) -> None:
    connection, run, outcome, change = write.connection, write.run, write.outcome, write.change
    affected = list(outcome.tables(run, "resolved/affected"))
    counts[UNRESOLVED] = Counts()
    if not affected:
        return
    counts[ROLE] += store.write_roles(
        connection,
        affected=(
            table.filter(table["is_synced"]).select(["opportunity_id"]) for table in affected
        ),
        roles=outcome.tables(run, "resolved/roles"),
        change=change,
    )
    counts[UNRESOLVED] += store.write_unresolved(
        connection,
        affected=(table.select(["opportunity_id"]) for table in affected),
        unresolved=outcome.tables(run, "resolved/unresolved"),
        moment=change.moment,
    )
