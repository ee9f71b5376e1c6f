"""The load task: everything that the run found, into the store, in one transaction.

Facts, public rows, roles, unresolved references, watermarks and the run's own record commit
together or not at all. The store-wide lock makes loads one after another. If another run has
committed since `transform` looked, the associations are resolved again here, inside the
transaction, so that the slower of two runs cannot put back older roles.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opportunity_sync import store
from opportunity_sync.entities import CONTACT, ENTITIES, OPPORTUNITY, Entity
from opportunity_sync.errors import StagingError
from opportunity_sync.pipeline.run import Run, gone_group, open_run, report_wait
from opportunity_sync.pipeline.transformation import REVISION, stage_resolution
from opportunity_sync.store import Counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from sqlalchemy import Connection, Engine

    from opportunity_sync.settings import Settings
    from opportunity_sync.staging import Part

log = logging.getLogger(__name__)

ROLE = "role"
UNRESOLVED = "unresolved"


def load(engine: Engine, run: dict[str, Any], *, settings: Settings) -> dict[str, Any]:
    """Write the staged run; returns `changed` (rows written) and the counts per table.

    Raises `StoreUnavailableError` when the store cannot take it now; the store is as it was.
    """
    begun = open_run(run)
    with store.locked(
        engine, wait_seconds=settings.store_lock_seconds, on_wait=report_wait
    ) as connection:
        committed = store.rows_changed_by(connection, begun.dag_id, begun.run_id)
        if committed is not None:
            log.info("An earlier try of this task has committed everything; nothing is left to do.")
            return {"changed": committed, "tables": {}}
        counts = _write_everything(connection, begun)
    return _report(counts)


def _write_everything(connection: Connection, run: Run) -> dict[str, Counts]:
    moment = datetime.now(UTC).replace(microsecond=0)
    state = store.read_state(connection)
    if state.epoch != run.epoch:
        raise StagingError(
            "A new epoch has begun since this run read its rows, so their versions count no more.",
            next_step="clear the whole DAG run, from its first task.",
        )
    if run.new_epoch:
        log.warning("A new epoch begins: the versions read now replace all that is stored.")
        store.begin_epoch(connection, run.plan.organization_id)
    if run.new_epoch or state.revision != run.folder.read_json(REVISION)["revision"]:
        log.info("Another run has changed the store since transform: resolving again.")
        stage_resolution(connection, run)
    overtaken = [
        entity
        for entity in ENTITIES
        if _is_overtaken(connection, run, entity, passes=state.whole_passes.get(entity.name))
    ]
    relabelled = store.write_labels(connection, run.plan.labels, moment=moment)
    counts = _write_rows(connection, run, moment)
    counts |= _write_associations(connection, run, moment)
    if relabelled or any(count.changed or count.facts for count in counts.values()):
        store.bump_revision(connection)
    _close(connection, run, counts, overtaken=overtaken)
    return counts


def _is_overtaken(connection: Connection, run: Run, entity: Entity, *, passes: int | None) -> bool:
    """Whether the stored delta link may lie behind the deletion of a row of this run.

    Another run has read the whole table since this one began: `passes`, of the stored link, has
    grown. A row that only this run knows may have been deleted before that, and then no change
    that is read by that link will ever say so. (Of a run that read changes, a tombstone would be
    stored.)
    """
    if passes is None or passes == run.whole_passes.get(entity.name, 0):
        return False
    parts = (run.folder.read(part, [entity.key_column]) for part in run.row_parts(entity))
    if store.holds_all(connection, entity, parts):
        return False
    log.info(
        "%s: another run has read all of them since this one began, and does not know all that "
        "this one brings; the next run reads again what may have been deleted in between.",
        entity.set_name,
    )
    return True


def _write_rows(connection: Connection, run: Run, moment: datetime) -> dict[str, Counts]:
    counts = {}
    for entity in ENTITIES:
        parts = _parts(run, entity)
        counts[entity.name] = store.write_rows(
            connection, entity, parts, moment=moment, read_at=run.started_at
        )
    for entity in ENTITIES:
        for part in run.folder.parts(gone_group(entity)):
            counts[entity.name] += store.write_deleted(
                connection,
                entity,
                [run.folder.read(part)],
                noticed_at=datetime.fromisoformat(part.state["noticed_at"]),
                moment=moment,
            )
    for entity in (OPPORTUNITY, CONTACT):
        for changes in run.folder.tables(f"resolved/{entity.name}_account"):
            moved = store.write_account_changes(connection, entity, changes, moment=moment)
            counts[entity.name] += Counts(updated=moved)
    return counts


def _parts(run: Run, entity: Entity) -> Iterator[pa.Table]:
    """The staged parts with what was derived of each row, without rows that were read twice."""
    derived_parts = run.folder.tables(f"derived/{entity.name}")
    staged_parts = (run.folder.read(part) for part in run.row_parts(entity))
    for rows, derived in zip(staged_parts, derived_parts, strict=True):
        table = rows
        if "account_id" in derived.column_names:
            table = rows.append_column("account_id", derived["account_id"])
        yield table.filter(derived["take"])


def _write_associations(connection: Connection, run: Run, moment: datetime) -> dict[str, Counts]:
    affected = list(run.folder.tables("resolved/affected"))
    if not affected:
        return {ROLE: Counts(), UNRESOLVED: Counts()}
    return {
        ROLE: store.write_roles(
            connection,
            affected=(
                table.filter(table["is_synced"]).select(["opportunity_id"]) for table in affected
            ),
            roles=run.folder.tables("resolved/roles"),
            moment=moment,
        ),
        UNRESOLVED: store.write_unresolved(
            connection,
            affected=(table.select(["opportunity_id"]) for table in affected),
            unresolved=run.folder.tables("resolved/unresolved"),
            moment=moment,
        ),
    }


def _close(
    connection: Connection, run: Run, counts: dict[str, Counts], *, overtaken: Sequence[Entity]
) -> None:
    """Move the watermarks and write the run's own record, still in the transaction."""
    states = [part.state for entity in ENTITIES for part in _all_parts(run, entity)]
    refused = [row for state in states for row in state["refused"]]
    for entity in ENTITIES:
        count = sum(row["entity"] == entity.name for row in refused)
        counts[entity.name] += Counts(read=count, refused=count)
        _move_state(connection, run, entity, is_overtaken=entity in overtaken)
    store.record_errors(connection, run.dag_id, run.run_id, refused=refused)
    store.end_run(
        connection,
        run.dag_id,
        run.run_id,
        outcome="succeeded",
        counts=counts,
        replaced_characters=sum(state["replaced_characters"] for state in states),
        requests=run.requests + sum(state["requests"] for state in states),
    )


def _all_parts(run: Run, entity: Entity) -> list[Part]:
    listed = run.folder.parts(run.rows_group(entity)) if run.is_listing else []
    return [*listed, *run.row_parts(entity)]


def _move_state(connection: Connection, run: Run, entity: Entity, *, is_overtaken: bool) -> None:
    """Move the watermark, and the delta link where the entity is tracked: compare and set."""
    if is_overtaken:
        store.forget_delta_link(connection, entity.name)
    if run.mode in {"range", "reconcile"}:
        return
    last = run.folder.parts(run.rows_group(entity))[-1].state
    start = None if last["is_whole"] else run.window(entity).start
    store.move_watermark(connection, entity.name, window_start=start, to=run.started_at)
    store.move_delta_link(
        connection,
        entity.name,
        began_with=None if is_overtaken else run.stored_links.get(entity.name),
        to=store.DeltaLink(
            last["delta_link"], run.plan.fingerprint(entity), is_whole=last["is_whole"]
        ),
    )


def _report(counts: dict[str, Counts]) -> dict[str, Any]:
    log.info(
        "%-16s %10s %10s %10s %10s %10s",
        "table",
        "read",
        "inserted",
        "updated",
        "deleted",
        "refused",
    )
    for name, count in counts.items():
        numbers = (count.read, count.inserted, count.updated, count.deleted, count.refused)
        log.info("%-16s %10s %10s %10s %10s %10s", name, *(f"{number:,}" for number in numbers))
    changed = sum(count.changed for count in counts.values())
    if not changed:
        log.info("Nothing has changed: no row was written.")
    return {
        "changed": changed,
        "tables": {
            name: {"inserted": count.inserted, "updated": count.updated, "deleted": count.deleted}
            for name, count in counts.items()
        },
    }
