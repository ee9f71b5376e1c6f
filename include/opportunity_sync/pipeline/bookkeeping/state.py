"""Notes where the next runs go on: watermarks, delta links, and which columns are complete."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from opportunity_sync import store
from opportunity_sync.pipeline.reading.readings import published_reading
from opportunity_sync.pipeline.resolving.outcome import all_parts

if TYPE_CHECKING:
    from opportunity_sync.model import Entity
    from opportunity_sync.pipeline.bookkeeping.write import Write
    from opportunity_sync.pipeline.run import Run
    from opportunity_sync.store import StoreState

log = logging.getLogger(__name__)


def is_overtaken(write: Write, entity: Entity, *, passes: int | None) -> bool:
    """Whether the stored delta link may have missed the deletion of a row of this run.

    That can be when another run has read the whole table since this one began, so that there are
    more `passes` behind the stored link. A row that only this run has seen may have been deleted
    before that pass, and then the changes after the link will never show the deletion. (Had the
    other run read changes instead, the tombstone would be stored.)
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


def note_columns(write: Write, entity: Entity) -> None:
    """Note which columns all rows of the table now have, and in which interpretation.

    A run may interpret a column otherwise than the stored rows do, or than a quick sync that is
    filling it (another time zone, say). Then the table has values of both kinds. The column counts
    as incomplete from then on and is filled again.
    """
    connection, run = write.connection, write.run
    reading, interpretations = published_reading(run, entity), _interpretations_of(run, entity)
    has_rows_by_id = bool(write.outcome.readings[entity.name].rows)
    # Rows that were asked for by id have every planned field, whatever the extract has read.
    written = run.plan.of(entity).interpretations(entity) if has_rows_by_id else interpretations
    store.forget_other_interpretations(connection, entity.name, written)
    if reading.is_whole and not run.lists(entity):
        store.complete_columns(connection, entity.name, interpretations)


def _interpretations_of(run: Run, entity: Entity) -> dict[str, str]:
    """The fields that the extract task has read, each with its interpretation."""
    interpretations = run.plan.of(entity).interpretations(entity)
    return {name: interpretations[name] for name in published_reading(run, entity).fields}


def move_state(write: Write, entity: Entity, *, state: StoreState, overtaken: bool) -> None:
    """Move the watermark and the delta link, unless another run has moved them meanwhile."""
    connection, run, name = write.connection, write.run, entity.name
    if overtaken:
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
        # A link that was forgotten in this transaction is not there to be replaced.
        began_with=None if overtaken or run.new_epoch else run.of(entity).stored_link,
        to=_next_link(write, entity, state=state),
    )
    if is_moved and (reading.way != "window"):
        store.withdraw_offer(connection, name)


def _next_link(write: Write, entity: Entity, *, state: StoreState) -> store.DeltaLink:
    """The link from which the next run goes on.

    The link that a quick sync has offered is taken up when the old link has been followed to its
    end. If the old one could not be followed, rows that were written since the offer are asked for
    again: the offered link tells what changed, but not what other runs have missed before it.
    """
    run, reading = write.run, published_reading(write.run, entity)
    offered, known = state.offered.get(entity.name), run.of(entity).offered
    if reading.way == "link" and offered and known and offered.url == known.url:
        return replace(offered, is_whole=True)
    if reading.way == "offer" and known is not None:
        store.owe_rows_since(write.connection, entity, state.offered_at.get(entity.name, 0))
        return store.DeltaLink(reading.delta_link, known.columns, is_whole=True)
    # A link that was only followed goes on with the columns that it was made with.
    columns = _interpretations_of(run, entity) if reading.is_whole else None
    return store.DeltaLink(reading.delta_link, columns, is_whole=reading.is_whole)
