"""The transform task: from staged facts to the associations of everything in reach.

Only the fact columns of the staged rows are read, not the wide rows. What it finds is staged
again: beside each staged part one of the same length with what is derived of each row, and the
associations in parts of bounded size. `load` streams them side by side into the store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from opportunity_sync.core.frames import kept, to_frame
from opportunity_sync.core.matching import UniqueKey
from opportunity_sync.dynamics import DataverseClient, staged_schema
from opportunity_sync.entities import CONTACT, ENTITIES, OPPORTUNITY, VERSION, Entity
from opportunity_sync.pipeline.known_facts import KnownFacts, News, distinct, without
from opportunity_sync.pipeline.resolution import Resolution, resolve_changes
from opportunity_sync.pipeline.run import Run, gone_group, open_run
from opportunity_sync.pipeline.settling import fetch, settle
from opportunity_sync.store import find_facts, read_state, reading

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from opportunity_sync.core.frames import Ids, Mask
    from opportunity_sync.settings import Settings

log = logging.getLogger(__name__)

REVISION = "revision.json"
ROWS_PER_PART = 50_000

# Stages the rows with these keys; returns their versions by key.
Fetch = Callable[[Entity, Sequence[str]], dict[str, int]]


def transform(
    client: DataverseClient, engine: Engine, run: dict[str, Any], *, settings: Settings
) -> dict[str, Any]:
    """Resolve what this run brought and affects; returns how much there is of each outcome.

    What the rows leave open is asked for by id first: rows that may be gone, rows that differ
    from the store's in a reconciliation, records that are referred to and not known.
    """
    begun = open_run(run)
    with reading(engine) as connection:
        settle(client, connection, begun, settings=settings)
        return stage_resolution(
            connection, begun, fetch=lambda entity, ids: fetch(client, begun, entity, ids=ids)
        )


def stage_resolution(
    connection: Connection, run: Run, *, fetch: Fetch | None = None
) -> dict[str, Any]:
    """Resolve against the store as this connection sees it, and stage the outcome.

    The store's revision is read first and staged with it: should the store move later, `load`
    notices and calls this again under its lock, then without asking Dynamics for more.
    """
    state = read_state(connection)
    find_stored = None if state.is_empty else find_facts(connection)
    asked: dict[str, Ids] = {}
    while True:
        staged = {entity.name: _staged(run, entity) for entity in ENTITIES}
        news = {entity.name: _news(run, entity, staged[entity.name]) for entity in ENTITIES}
        resolution = resolve_changes(KnownFacts(news, find_stored))
        if fetch is None or not _fetch_missing(run, resolution, asked=asked, fetch=fetch):
            break
    _stage_all(run, resolution, staged)
    run.folder.write_json(REVISION, {"revision": state.revision})
    return _report(resolution)


def _fetch_missing(
    run: Run, resolution: Resolution, *, asked: dict[str, Ids], fetch: Fetch
) -> bool:
    """Ask for references that nobody knows, each once; whether any was found."""
    found = 0
    for entity in ENTITIES:
        missing = resolution.missing.get(entity.name)
        if missing is None or _was_read_whole(run, entity):
            continue
        news = without(missing, asked[entity.name]) if entity.name in asked else missing
        asked[entity.name] = distinct(missing, news)
        if len(news):
            found += len(fetch(entity, news.to_pylist()))
            log.info("%s: asked for %s that are referred to", entity.set_name, len(news))
    return found > 0


def _was_read_whole(run: Run, entity: Entity) -> bool:
    parts = run.folder.parts(run.rows_group(entity))
    return bool(parts) and parts[-1].state["is_whole"]


def _stage_all(run: Run, resolution: Resolution, staged: Mapping[str, Staged]) -> None:
    accounts = {OPPORTUNITY.name: resolution.accounts, CONTACT.name: resolution.contact_accounts}
    for entity in ENTITIES:
        keys = staged[entity.name].facts[entity.key_column]
        derived = {"take": staged[entity.name].is_newest}
        if entity.name in accounts:
            found = accounts[entity.name]
            own = found[entity.key_column]
            derived["account_id"] = found["account_id"].take(UniqueKey(own).matches(keys))
            elsewhere = found.filter(pc.invert(pc.is_in(own, value_set=keys)))
            _stage(run, f"resolved/{entity.name}_account", elsewhere)
        _stage_beside(run, entity, pa.table(derived))
    for name in ("affected", "roles", "unresolved"):
        _stage(run, f"resolved/{name}", getattr(resolution, name))


@dataclass(frozen=True)
class Staged:
    """Keys, versions and facts of all staged rows of an entity, in the order of the parts.

    `is_newest` marks one row per key: the newest version, and of equal versions the one read last.
    """

    facts: pa.Table
    is_newest: Mask


def _staged(run: Run, entity: Entity) -> Staged:
    names = [entity.key_column, VERSION.name, *(column.name for column in entity.fact_columns)]
    schema = staged_schema(entity)
    empty = pa.schema([schema.field(name) for name in names]).empty_table()
    tables = (run.folder.read(part, names) for part in run.row_parts(entity))
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


def _news(run: Run, entity: Entity, staged: Staged) -> News:
    gone = [table[entity.key_column] for table in run.folder.tables(gone_group(entity))]
    return News(kept(staged.facts, staged.is_newest), distinct(*gone), run.started_at)


def _stage(run: Run, group: str, table: pa.Table) -> None:
    """Stage a table in parts of bounded size."""
    run.folder.remove_group(group)
    for number, start in enumerate(range(0, len(table), ROWS_PER_PART)):
        run.folder.write_part(group, number, table.slice(start, ROWS_PER_PART))


def _stage_beside(run: Run, entity: Entity, derived: pa.Table) -> None:
    """Stage what is derived of each row in parts that match the staged ones row by row."""
    group, start = f"derived/{entity.name}", 0
    run.folder.remove_group(group)
    for number, part in enumerate(run.row_parts(entity)):
        run.folder.write_part(group, number, derived.slice(start, part.rows))
        start += part.rows


def _report(resolution: Resolution) -> dict[str, Any]:
    counted = pc.value_counts(resolution.unresolved["reason"]).to_pylist()
    reasons = {each["values"]: each["counts"] for each in counted}
    log.info(
        "Resolved %s opportunities: %s with an account, %s contact roles, %s unresolved %s",
        f"{len(resolution.affected):,}",
        f"{pc.count(resolution.accounts['account_id']).as_py():,}",
        f"{len(resolution.roles):,}",
        f"{len(resolution.unresolved):,}",
        reasons or "",
    )
    return {
        "opportunities": len(resolution.affected),
        "roles": len(resolution.roles),
        "unresolved": len(resolution.unresolved),
    }
