"""Applies the rules to this run's staged rows and the store's facts, and makes tables to stage.

Only the fact columns of the staged rows are read, not the wide rows. What is derived for each row
goes into one table per staged part, row by row. The associations go into tables of bounded size.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from opportunity_sync import store
from opportunity_sync.core.frames import keep_rows
from opportunity_sync.core.ids import IdSet
from opportunity_sync.core.matching import UniqueKey
from opportunity_sync.core.versions import newest_of_each
from opportunity_sync.dynamics import staged_schema
from opportunity_sync.model import VERSION, Entity
from opportunity_sync.pipeline.reading.readings import published_reading
from opportunity_sync.pipeline.resolving.known_facts import KnownFacts, News
from opportunity_sync.pipeline.resolving.outcome import all_parts
from opportunity_sync.pipeline.resolving.resolution import Resolution, resolve_changes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from opportunity_sync.core.frames import Mask
    from opportunity_sync.pipeline.reading.parts import Reading
    from opportunity_sync.pipeline.resolving.known_facts import FindStored
    from opportunity_sync.pipeline.resolving.outcome import Groups, Outcome, Tables
    from opportunity_sync.pipeline.run import Run

log = logging.getLogger(__name__)

_ROWS_PER_TABLE = 50_000
_ASSOCIATIONS = ("affected", "roles", "unresolved")


@dataclass(frozen=True)
class View:
    """What the rules are applied to: the store, and what this run has staged."""

    connection: Connection
    run: Run
    groups: Groups
    readings: Mapping[str, Reading]


@dataclass(frozen=True)
class Staged:
    """Keys, versions and facts of all staged rows of an entity, in the order of the parts.

    `is_newest` marks one row per key: the newest version, and of equal versions the one read last.
    """

    facts: pa.Table
    is_newest: Mask


@dataclass(frozen=True)
class Resolved:
    """The associations, the staged facts they follow from, and the store's revision then."""

    resolution: Resolution
    staged: Mapping[str, Staged]
    revision: int


def resolve_staged(view: View) -> Resolved:
    """Resolve against the store as the view's connection sees it."""
    run = view.run
    state = store.read_state(view.connection)
    find_stored = None if state.is_empty else _find_stored(view.connection, run)
    staged = {entity.name: _read_staged(run, entity, view.groups) for entity in run.model}
    news = {entity.name: _news(view, entity, staged[entity.name]) for entity in run.model}
    known = KnownFacts(run.model, news, find_stored)
    return Resolved(resolve_changes(known), staged, state.revision)


def resolve_again(connection: Connection, run: Run, outcome: Outcome) -> Outcome:
    """The outcome, resolved against the store as it is now: for a load that finds it changed."""
    resolved = resolve_staged(View(connection, run, outcome.groups, outcome.readings))
    again = resolved_tables(run, outcome.groups, resolved)
    return replace(outcome, revision=resolved.revision, resolved_again=again)


def resolved_tables(run: Run, groups: Groups, resolved: Resolved) -> Tables:
    """What is derived for each staged row, and the associations, by the name of their group."""
    resolution, staged = resolved.resolution, resolved.staged
    tables: Tables = {}
    for entity in run.model:
        keys = staged[entity.name].facts[entity.key_column]
        derived = {"is_newest": staged[entity.name].is_newest}
        if entity.carries_account:
            found = resolution.accounts[entity.name]
            own = found[entity.key_column]
            derived["account_id"] = found["account_id"].take(UniqueKey(own).matches(keys))
            elsewhere = found.filter(pc.invert(pc.is_in(own, value_set=keys)))
            tables[f"resolved/{entity.name}_account"] = in_pieces(elsewhere)
        beside = _slice_like_parts(run, entity, pa.table(derived), groups=groups)
        tables[f"derived/{entity.name}"] = beside
    for name in _ASSOCIATIONS:
        tables[f"resolved/{name}"] = in_pieces(getattr(resolution, name))
    return tables


def _find_stored(connection: Connection, run: Run) -> FindStored:
    """Look-ups in the store. Where a sync filter was removed on purpose, its values are null."""
    find = store.find_facts(connection)

    def find_without_filter(entity: Entity, column: str, ids: IdSet) -> pa.Table:
        found = find(entity, column, ids)
        if entity.name not in run.filter_gone or entity.sync_filter is None:
            return found
        at = found.column_names.index(entity.sync_filter)
        return found.set_column(at, found.field(at), pa.nulls(found.num_rows, pa.bool_()))

    return find_without_filter


def _read_staged(run: Run, entity: Entity, groups: Groups) -> Staged:
    names = [entity.key_column, VERSION.name, *(column.name for column in entity.fact_columns)]
    schema = staged_schema(entity)
    empty = pa.schema([schema.field(name) for name in names]).empty_table()
    tables = run.folder.tables(all_parts(run, entity, groups), names)
    facts = pa.concat_tables([empty, *tables])
    return Staged(facts, _is_newest(entity, facts))


def _is_newest(entity: Entity, facts: pa.Table) -> Mask:
    keys = facts[entity.key_column]
    if pc.count_distinct(keys).as_py() == len(facts):
        return pa.repeat(pa.scalar(value=True), len(facts))
    is_newest = newest_of_each(keys, facts[VERSION.name])
    log.info(
        "%s: %s rows were read twice; the newest of each is taken",
        entity.set_name,
        len(facts) - pc.sum(is_newest).as_py(),
    )
    return is_newest


def _news(view: View, entity: Entity, staged: Staged) -> News:
    run, group = view.run, view.groups[f"gone/{entity.name}"]
    gone = IdSet.of(*(table[entity.key_column] for table in run.folder.tables(group)))
    arrived = keep_rows(staged.facts, staged.is_newest)
    settled = IdSet.of(arrived[entity.key_column]) | gone  # what is gone is no longer refused
    refused_now = _refused_ids(view, entity) - settled
    listed = IdSet.from_strings(store.refused_ids(view.connection, entity))
    return News(
        arrived=arrived,
        gone=gone,
        refused=(listed - settled) | refused_now,
        refused_now=refused_now,
        columns=run.plan.of(entity).columns,
        begun=run.revision,
    )


def _refused_ids(view: View, entity: Entity) -> IdSet:
    """Ids of the records that this run could not take, extracted or asked for by id."""
    readings = (published_reading(view.run, entity), view.readings[entity.name])
    refused = (each.record_id for reading in readings for each in reading.refusals)
    return IdSet.from_strings({record_id for record_id in refused if record_id})


def in_pieces(table: pa.Table) -> tuple[pa.Table, ...]:
    """The table in slices of bounded size; none where it is empty."""
    starts = range(0, len(table), _ROWS_PER_TABLE)
    return tuple(table.slice(start, _ROWS_PER_TABLE) for start in starts)


def _slice_like_parts(
    run: Run, entity: Entity, derived: pa.Table, *, groups: Groups
) -> tuple[pa.Table, ...]:
    """What is derived for each row, in tables that match the staged parts row by row."""
    start, tables = 0, []
    for part in all_parts(run, entity, groups):
        tables.append(derived.slice(start, part.rows))
        start += part.rows
    return tuple(tables)
