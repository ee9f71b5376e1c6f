"""How a run reads each table: by what the store has of it, and by what the organisation shows.

A table that the store does not have in full is read whole. Of any other table only the changes are
read: by the link of change tracking if there is one that gives what the rules need, else by a
window. A newly selected field never causes a table to be read whole; it waits for a quick sync.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opportunity_sync import store
from opportunity_sync.dynamics import is_own_link
from opportunity_sync.pipeline.run import Baseline, Link, window_for

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from opportunity_sync.dynamics import Plan
    from opportunity_sync.model import Entity, Model
    from opportunity_sync.pipeline.run import RunRequest

log = logging.getLogger(__name__)

OWED_AT_ONCE = 5_000  # owed rows that one run asks for, of one table
# Asking by id costs a request per 100 rows, reading the table a request per 5000.
_OWED_SHARE = 50


@dataclass(frozen=True)
class Findings:
    """What `begin` has found out: what is asked, what can be read, what the store holds.

    `started_at` is the lower of Dynamics' clock and the worker's, `latest` the higher.
    """

    request: RunRequest
    plan: Plan
    state: store.StoreState
    organization_url: str
    started_at: datetime
    latest: datetime
    model: Model


def baseline(
    connection: store.Connection, found: Findings, entity: Entity, *, overlap: timedelta
) -> Baseline:
    """Decide how this run reads a table."""
    request, state, name = found.request, found.state, entity.name
    holds = name in state.watermarks and _holds_rule_columns(found, entity)
    watermark = state.watermarks.get(name) if holds else None
    waiting = _waiting_fields(connection, found, entity) if holds and request.mode != "full" else ()
    link = _usable_link(found, entity) if holds and request.mode == "continue" else None
    offered = _offered_link(found, entity) if holds and request.mode == "continue" else None
    window = window_for(request, entity, watermark=watermark, overlap=overlap)
    can_track = (
        (request.mode in {"continue", "full"} or (request.mode == "fill" and window.is_everything))
        and not entity.is_always_read_whole
        and found.plan.of(entity).change_tracking_enabled
        and found.plan.of(entity).reads_every_row is True
    )
    return Baseline(
        window=window,
        # A whole pass would hold the running sync up while a quick sync is about to make one.
        is_tracked=can_track
        and not (request.mode == "continue" and waiting and link is None and offered is None),
        link=link if can_track else None,
        stored_link=state.delta_links.get(name),
        whole_passes=state.whole_passes.get(name, 0),
        offered=offered if can_track else None,
        waiting=waiting,
        unasked=() if request.mode == "fill" else _unasked_fields(found, entity, waiting),
        is_read_whole=not holds,
    )


def _holds_rule_columns(found: Findings, entity: Entity) -> bool:
    """Whether the stored rows have every column that the rules need, as it is read now."""
    held = found.state.columns.get(entity.name)
    if held is None:
        log.info("%s: read whole, since its columns were not noted so far", entity.set_name)
        return False
    needed = _needed_columns(entity)
    changed = found.plan.of(entity).fields_to_read_again(entity, held)
    new = [name for name in changed if name in needed]
    if new:
        log.info("%s: read whole, for new columns: %s", entity.set_name, ", ".join(sorted(new)))
    return not new


def _waiting_fields(
    connection: store.Connection, found: Findings, entity: Entity
) -> tuple[str, ...]:
    """Fields that can be read and that a quick sync has to fill.

    The stored rows lack them. A field that only a few rows lack is no such field: those rows are
    asked for by id. Where so many rows lack it that this would cost more than a quick sync, the
    field waits for one. So does a field that the stored link of change tracking does not give,
    because the pass of a quick sync brings a link that gives it.
    """
    plan, held = found.plan.of(entity), found.state.columns.get(entity.name) or {}
    interpretations = plan.interpretations(entity)
    waiting = [*plan.fields_to_read_again(entity, held)]
    lacking = interpretations.keys() - _link_columns(found, entity, otherwise=interpretations)
    waiting += sorted(lacking - set(waiting))
    selected = {field.column for field in entity.selected_fields}
    owed = store.count_owed_by_column(connection, entity, plan.columns)
    if max(owed.values(), default=0) > OWED_AT_ONCE:
        most = store.count_live(connection, entity) // _OWED_SHARE
        many = [name for name, count in owed.items() if count > most and name not in waiting]
        store.forget_interpretations(connection, entity.name, many)
        waiting += many
    return tuple(name for name in waiting if name in selected)


def _link_columns(
    found: Findings, entity: Entity, *, otherwise: Mapping[str, str]
) -> Collection[str]:
    """The fields that the newest link of change tracking gives; `otherwise` if there is no link."""
    offered, stored = found.state.offered.get(entity.name), found.state.delta_links
    if offered is not None:
        return (offered.columns or {}).keys()
    if entity.name in stored:
        return (found.state.link_columns.get(entity.name) or {}).keys()
    return otherwise.keys()


def _unasked_fields(found: Findings, entity: Entity, waiting: Sequence[str]) -> tuple[str, ...]:
    """The waiting fields with which no quick sync has begun in their present interpretation."""
    begun = found.state.fill_begun.get(entity.name, {})
    changed = found.plan.of(entity).fields_to_read_again(entity, begun)
    return tuple(name for name in waiting if name in changed)


def _usable_link(found: Findings, entity: Entity) -> Link | None:
    """The stored link by which changes can be followed; the log says if it has to be dropped."""
    url = found.state.delta_links.get(entity.name)
    if url is None:
        return None
    return _link_to_follow(
        found, entity, url, columns=found.state.link_columns.get(entity.name) or {}
    )


def _offered_link(found: Findings, entity: Entity) -> Link | None:
    """The link that a quick sync has left, if it can be followed."""
    offered = found.state.offered.get(entity.name)
    if offered is None or offered.url is None:
        return None
    return _link_to_follow(found, entity, offered.url, columns=offered.columns or {})


def _link_to_follow(
    found: Findings, entity: Entity, url: str, *, columns: Mapping[str, str]
) -> Link | None:
    """A link with the fields that it gives and that can be read; None if it is of no use.

    A row that comes without a selected field owes it. Without a field of the rules it can't come.
    """
    if not is_own_link(url, found.organization_url):
        log.warning(
            "%s: the change tracking link is of another address than the organisation's Web API "
            "and is dropped; a full pass brings a new one.",
            entity.set_name,
        )
        return None
    interpretations = found.plan.of(entity).interpretations(entity)
    given = {name: how for name, how in interpretations.items() if name in columns}
    lacking = sorted(_needed_columns(entity) & interpretations.keys() - given.keys())
    if lacking:
        log.info(
            "%s: the change tracking link lacks %s; a full pass brings a new one.",
            entity.set_name,
            ", ".join(lacking),
        )
        return None
    return Link(url, given)


def _needed_columns(entity: Entity) -> set[str]:
    """The fields that every row must have: the rules need them, or they always stand."""
    standing = (field for field in entity.fields if field.always_stands)
    return {field.column for field in (*entity.facts, *standing)}
