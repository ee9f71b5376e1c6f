"""The transform task: from staged facts to the associations of everything in reach.

First what the rows leave open is settled with Dynamics, and only then the store is looked at: no
transaction is open while an answer is waited for. Only the fact columns of the staged rows are
read, not the wide rows. What it finds is staged again: beside each staged part one of the same
length with what is derived of each row, and the associations in parts of bounded size. One manifest
names all of it, and the readings that it was made of, so `load` never mixes two tries.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from opportunity_sync import __version__, store
from opportunity_sync.core.frames import kept, to_frame
from opportunity_sync.core.matching import UniqueKey
from opportunity_sync.dynamics import DataverseClient, require_unsecured, staged_schema
from opportunity_sync.errors import StagingError
from opportunity_sync.model import CONTACT, OPPORTUNITY, VERSION, Entity
from opportunity_sync.pipeline.extraction import published_reading, published_rows
from opportunity_sync.pipeline.known_facts import KnownFacts, News, distinct, without
from opportunity_sync.pipeline.parts import Reading
from opportunity_sync.pipeline.resolution import Resolution, resolve_changes
from opportunity_sync.pipeline.run import Run, open_run, require_same_organization, utc_now
from opportunity_sync.pipeline.settling import (
    Answers,
    fetch,
    gone_keys,
    look,
    require_few_refusals,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from opportunity_sync.core.frames import Ids, Mask
    from opportunity_sync.pipeline.known_facts import FindStored
    from opportunity_sync.settings import Settings
    from opportunity_sync.staging import Manifest, Part

log = logging.getLogger(__name__)

OUTCOME = "outcome"
RESOLVED_AGAIN = "outcome_under_lock"
ROWS_PER_PART = 50_000
_ASSOCIATIONS = ("affected", "roles", "unresolved")

Groups = dict[str, tuple["Part", ...]]


@dataclass(frozen=True)
class Outcome:
    """What transform hands over to load, as its manifest names it.

    `groups` by name: `found/<entity>`, `gone/<entity>`, `derived/<entity>`, `resolved/...`.
    `readings`: what came by id, by entity name. `settled_at` and `revision`: the store's revision
    when it was looked at before Dynamics was asked, and when the associations were resolved.
    """

    groups: Groups
    readings: Mapping[str, Reading]
    settled_at: int
    revision: int
    sources: Mapping[str, str]
    compared: Mapping[str, int]

    @classmethod
    def of(cls, manifest: Manifest) -> Outcome:
        """The outcome that a manifest names."""
        state = manifest.state
        return cls(
            groups=dict(manifest.groups),
            readings={
                name: Reading.from_dict(reading) for name, reading in state["readings"].items()
            },
            settled_at=state["settled_at"],
            revision=state["revision"],
            sources=state["sources"],
            compared=state["compared"],
        )

    def publish(self, run: Run, name: str) -> None:
        """Say that this is what counts, unless it was made of what counts no more."""
        require_same_sources(run, self)
        run.folder.publish(
            name,
            self.groups,
            readings={name: reading.to_dict() for name, reading in self.readings.items()},
            settled_at=self.settled_at,
            revision=self.revision,
            sources=dict(self.sources),
            compared=dict(self.compared),
        )


def transform(
    client: DataverseClient,
    engine: Engine,
    run: dict[str, Any],
    *,
    settings: Settings,
    clock: Callable[[], datetime] = utc_now,
) -> dict[str, Any]:
    """Resolve what this run brought and affects; returns how much there is of each outcome.

    What the rows leave open is asked for by id first: rows that may be gone, rows that differ
    from the store's in a reconciliation, records that are referred to and not known.
    """
    begun = open_run(run)
    require_same_organization(client, begun)
    sources = _sources(begun)
    with store.reading(engine) as connection:
        settled_at = store.read_state(connection).revision
        opened = look(connection, begun, moment=clock(), version=__version__)
    answers = settle(client, begun, opened, settings=settings)
    asked: dict[str, Ids] = {}
    while True:
        groups = _answered_groups(begun, answers)
        readings = {name: answer.reading for name, answer in answers.items()}
        with store.reading(engine) as connection:
            resolved = _resolve(Look(connection, begun, groups, readings))
        if not _fetch_missing(client, begun, resolved.resolution, asked=asked, answers=answers):
            break
    require_few_refusals(begun, opened, answers, settings=settings)
    _require_unsecured(client, begun, readings)
    Outcome(
        groups=groups | _stage_all(begun, groups, resolved),
        readings=readings,
        settled_at=settled_at,
        revision=resolved.revision,
        sources=sources,
        compared={name: what.compared for name, what in opened.items()},
    ).publish(begun, OUTCOME)
    return _report(resolved.resolution)


def _require_unsecured(client: DataverseClient, run: Run, answered: Mapping[str, Reading]) -> None:
    """Refuse rows whose columns were hidden while they were read. Raises `ConfigError`."""
    for entity in run.model:
        brought = 0 if run.lists(entity) else published_reading(run, entity).rows
        if brought or answered[entity.name].rows:
            require_unsecured(client, entity, run.plan.of(entity))


def read_outcome(run: Run, name: str = OUTCOME) -> Outcome:
    """What transform published. Raises `StagingError` where the extracts have changed since."""
    outcome = Outcome.of(run.folder.published(name))
    require_same_sources(run, outcome)
    return outcome


def require_same_sources(run: Run, outcome: Outcome) -> None:
    """Compare what the extract tasks have published with what the outcome was made of.

    A task that Airflow took for dead can publish at any time, also between two looks at its
    manifest: so it is compared again when all is done. Raises `StagingError`.
    """
    if outcome.sources != _sources(run):
        raise StagingError(
            "The staged rows have changed since they were transformed.",
            next_step="clear `transform` and what follows it.",
        )


def resolve_again(connection: Connection, run: Run, outcome: Outcome) -> Outcome:
    """The outcome with associations as the store is now, for a load that finds it moved."""
    kept_groups = {
        name: parts
        for name, parts in outcome.groups.items()
        if name.startswith(("found/", "gone/"))
    }
    resolved = _resolve(Look(connection, run, kept_groups, outcome.readings))
    again = Outcome(
        groups=kept_groups | _stage_all(run, kept_groups, resolved),
        readings=outcome.readings,
        settled_at=outcome.settled_at,
        revision=resolved.revision,
        sources=outcome.sources,
        compared=outcome.compared,
    )
    again.publish(run, RESOLVED_AGAIN)
    return again


def row_parts(run: Run, entity: Entity, groups: Groups) -> tuple[list[Part], list[Part]]:
    """Staged parts of whole rows: those of the extract task, and those asked for by id."""
    group = run.rows_group(entity)
    extracted = () if run.lists(entity) else published_rows(run, entity).groups[group]
    return list(extracted), list(groups[f"found/{entity.name}"])


def all_parts(run: Run, entity: Entity, groups: Groups) -> list[Part]:
    """All staged parts of whole rows, in the order of `row_parts`."""
    extracted, found = row_parts(run, entity, groups)
    return [*extracted, *found]


def _sources(run: Run) -> dict[str, str]:
    """What the extract tasks have published, by checksum."""
    return {entity.name: published_rows(run, entity).checksum for entity in run.model}


def _answered_groups(run: Run, answers: Mapping[str, Answers]) -> Groups:
    groups: Groups = {}
    for entity in run.model:
        answer = answers[entity.name]
        groups[f"found/{entity.name}"] = tuple(answer.writer.parts)
        groups[f"gone/{entity.name}"] = _stage(
            run, f"gone/{entity.name}", gone_keys(entity, answer.gone)
        )
    return groups


@dataclass(frozen=True)
class Resolved:
    """The associations, the staged facts they came from, and the store's revision then."""

    resolution: Resolution
    staged: Mapping[str, Staged]
    revision: int


@dataclass(frozen=True)
class Look:
    """What the rules are applied to: a view of the store, and what this run has staged."""

    connection: Connection
    run: Run
    groups: Groups
    readings: Mapping[str, Reading]


def _resolve(look: Look) -> Resolved:
    """Resolve against the store as this connection sees it."""
    state = store.read_state(look.connection)
    find_stored = None if state.is_empty else _find_stored(look.connection, look.run)
    staged = {entity.name: _staged(look.run, entity, look.groups) for entity in look.run.model}
    news = {entity.name: _news(look, entity, staged[entity.name]) for entity in look.run.model}
    return Resolved(
        resolve_changes(KnownFacts(look.run.model, news, find_stored)), staged, state.revision
    )


def _find_stored(connection: Connection, run: Run) -> FindStored:
    """Look-ups in the store, without the sync filter of tables that have lost theirs for good."""
    find = store.find_facts(connection)

    def find_without_filter(entity: Entity, column: str, ids: Ids) -> pa.Table:
        found = find(entity, column, ids)
        if entity.name not in run.filter_gone:
            return found
        at = found.column_names.index("sync_filter")
        return found.set_column(at, found.field(at), pa.nulls(found.num_rows, pa.bool_()))

    return find_without_filter


def _fetch_missing(
    client: DataverseClient,
    run: Run,
    resolution: Resolution,
    *,
    asked: dict[str, Ids],
    answers: Mapping[str, Answers],
) -> bool:
    """Ask for references that nobody knows, each once; whether any was found or refused."""
    found = 0
    for entity in run.model:
        missing = resolution.missing.get(entity.name)
        if missing is None or _was_read_whole(run, entity):
            continue
        news = without(missing, asked[entity.name]) if entity.name in asked else missing
        asked[entity.name] = distinct(missing, news)
        if len(news):
            answer = answers[entity.name]
            before = len(answer.versions)
            fetch(client, run, answer, ids=news.to_pylist())
            found += len(answer.versions) - before
            log.info("%s: asked for %s that are referred to", entity.set_name, len(news))
    return found > 0


def _was_read_whole(run: Run, entity: Entity) -> bool:
    return published_reading(run, entity).is_whole


def _stage_all(run: Run, groups: Groups, resolved: Resolved) -> Groups:
    resolution, staged = resolved.resolution, resolved.staged
    accounts = {OPPORTUNITY.name: resolution.accounts, CONTACT.name: resolution.contact_accounts}
    made: Groups = {}
    for entity in run.model:
        keys = staged[entity.name].facts[entity.key_column]
        derived = {"take": staged[entity.name].is_newest}
        if entity.name in accounts:
            found = accounts[entity.name]
            own = found[entity.key_column]
            derived["account_id"] = found["account_id"].take(UniqueKey(own).matches(keys))
            elsewhere = found.filter(pc.invert(pc.is_in(own, value_set=keys)))
            group = f"resolved/{entity.name}_account"
            made[group] = _stage(run, group, elsewhere)
        made |= _stage_beside(run, entity, pa.table(derived), groups=groups)
    for name in _ASSOCIATIONS:
        group = f"resolved/{name}"
        made[group] = _stage(run, group, getattr(resolution, name))
    return made


@dataclass(frozen=True)
class Staged:
    """Keys, versions and facts of all staged rows of an entity, in the order of the parts.

    `is_newest` marks one row per key: the newest version, and of equal versions the one read last.
    """

    facts: pa.Table
    is_newest: Mask


def _staged(run: Run, entity: Entity, groups: Groups) -> Staged:
    names = [entity.key_column, VERSION.name, *(column.name for column in entity.fact_columns)]
    schema = staged_schema(entity)
    empty = pa.schema([schema.field(name) for name in names]).empty_table()
    tables = run.folder.tables(all_parts(run, entity, groups), names)
    facts = pa.concat_tables([empty, *tables])
    return Staged(facts, _is_newest(entity, facts))


def _is_newest(entity: Entity, facts: pa.Table) -> Mask:
    key = entity.key_column
    if pc.count_distinct(facts[key]).as_py() == len(facts):
        return pa.repeat(pa.scalar(value=True), len(facts))
    ordered = to_frame(facts.select([key, VERSION.name])).sort_values(VERSION.name, kind="stable")
    is_newest = ~ordered.duplicated(key, keep="last").sort_index()
    log.info(
        "%s: %s rows were read twice; the newest of each is taken",
        entity.set_name,
        (~is_newest).sum(),
    )
    return pa.array(is_newest)


def _news(look: Look, entity: Entity, staged: Staged) -> News:
    run, group = look.run, look.groups[f"gone/{entity.name}"]
    gone = [table[entity.key_column] for table in run.folder.tables(group)]
    arrived = kept(staged.facts, staged.is_newest)
    settled = distinct(arrived[entity.key_column], *gone)  # what is gone can be refused no more
    refused_now = without(_refused_ids(look, entity), settled)
    listed = pa.array(list(store.refused_ids(look.connection, entity)), pa.string())
    return News(
        arrived=arrived,
        gone=distinct(*gone),
        refused=distinct(without(listed, settled), refused_now),
        refused_now=refused_now,
        columns=run.plan.of(entity).columns,
        begun=run.revision,
    )


def _refused_ids(look: Look, entity: Entity) -> Ids:
    """Ids of the records that this run could not take at some time."""
    readings = (published_reading(look.run, entity), look.readings[entity.name])
    ids = {each.record_id for reading in readings for each in reading.refusals if each.record_id}
    return pa.array(sorted(ids), pa.string())


def _stage(run: Run, group: str, table: pa.Table) -> tuple[Part, ...]:
    """Stage a table in parts of bounded size."""
    writer = run.folder.writer(group)
    for start in range(0, len(table), ROWS_PER_PART):
        writer.write(table.slice(start, ROWS_PER_PART))
    return tuple(writer.parts)


def _stage_beside(run: Run, entity: Entity, derived: pa.Table, *, groups: Groups) -> Groups:
    """Stage what is derived of each row in parts that match the staged ones row by row."""
    start, writer = 0, run.folder.writer(f"derived/{entity.name}")
    for part in all_parts(run, entity, groups):
        writer.write(derived.slice(start, part.rows))
        start += part.rows
    return {writer.group: tuple(writer.parts)}


def _report(resolution: Resolution) -> dict[str, Any]:
    counted = pc.value_counts(resolution.unresolved["reason"]).to_pylist()
    reasons = ", ".join(f"{each['counts']:,} {each['values']}" for each in counted)
    log.info(
        "Resolved %s opportunities: %s with an account, %s contact roles, %s unresolved%s",
        f"{len(resolution.affected):,}",
        f"{pc.count(resolution.accounts['account_id']).as_py():,}",
        f"{len(resolution.roles):,}",
        f"{len(resolution.unresolved):,}",
        f" ({reasons})" if reasons else "",
    )
    return {
        "opportunities": len(resolution.affected),
        "roles": len(resolution.roles),
        "unresolved": len(resolution.unresolved),
    }
