"""The transform task: from staged facts to the associations of everything in reach.

Only the fact columns of the staged rows are read, not the wide rows. What it finds is staged
again: beside each staged part one of the same length with what is derived of each row, and the
associations in parts of bounded size. `load` streams them side by side into the store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from opportunity_sync.core.frames import to_frame, to_table
from opportunity_sync.core.matching import attach
from opportunity_sync.dynamics import DataverseClient, staged_schema
from opportunity_sync.entities import CONTACT, ENTITIES, OPPORTUNITY, VERSION, Entity
from opportunity_sync.pipeline.known_facts import KnownFacts, News, distinct
from opportunity_sync.pipeline.resolution import Resolution, resolve_changes
from opportunity_sync.pipeline.run import Run, gone_group, open_run
from opportunity_sync.pipeline.settling import fetch, settle
from opportunity_sync.store import find_facts, read_state, reading

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

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
    asked: dict[str, pd.Series] = {}
    while True:
        staged = {entity.name: _staged_facts(run, entity) for entity in ENTITIES}
        news = {entity.name: _news(run, entity, staged[entity.name]) for entity in ENTITIES}
        resolution = resolve_changes(KnownFacts(news, find_stored))
        if fetch is None or not _fetch_missing(run, resolution, asked=asked, fetch=fetch):
            break
    _stage_all(run, resolution, staged)
    run.folder.write_json(REVISION, {"revision": state.revision})
    return _report(resolution)


def _fetch_missing(
    run: Run, resolution: Resolution, *, asked: dict[str, pd.Series], fetch: Fetch
) -> bool:
    """Ask for references that nobody knows, each once; whether any was found."""
    found = 0
    for entity in ENTITIES:
        missing = resolution.missing.get(entity.name)
        if missing is None or _was_read_whole(run, entity):
            continue
        before = asked.get(entity.name)
        news = missing if before is None else missing[~missing.isin(before)]
        asked[entity.name] = missing if before is None else distinct(before, missing)
        if len(news):
            found += len(fetch(entity, news.tolist()))
            log.info("%s: asked for %s that are referred to", entity.set_name, len(news))
    return found > 0


def _was_read_whole(run: Run, entity: Entity) -> bool:
    parts = run.folder.parts(run.rows_group(entity))
    return bool(parts) and parts[-1].state["is_whole"]


def _stage_all(run: Run, resolution: Resolution, staged: Mapping[str, pd.DataFrame]) -> None:
    accounts = {OPPORTUNITY.name: resolution.accounts, CONTACT.name: resolution.contact_accounts}
    for entity in ENTITIES:
        frame = staged[entity.name]
        derived = frame[[entity.key_column]].assign(take=_is_newest(entity, frame))
        if entity.name in accounts:
            found = accounts[entity.name]
            derived = attach(derived, found, on=entity.key_column, columns=["account_id"])
            elsewhere = found[~found[entity.key_column].isin(frame[entity.key_column])]
            _stage(run, f"resolved/{entity.name}_account", elsewhere)
        _stage_beside(run, entity, derived.drop(columns=entity.key_column))
    for name in ("affected", "roles", "unresolved"):
        _stage(run, f"resolved/{name}", getattr(resolution, name))


def _news(run: Run, entity: Entity, frame: pd.DataFrame) -> News:
    newest = _only(frame, _is_newest(entity, frame))
    gone = [table[entity.key_column] for table in run.folder.tables(gone_group(entity))]
    ids = pa.chunked_array(gone, pa.string()).to_pandas(types_mapper=pd.ArrowDtype)
    return News(newest, ids, run.started_at)


def _staged_facts(run: Run, entity: Entity) -> pd.DataFrame:
    """Keys, versions and facts of all staged rows of an entity, in the order of the parts."""
    names = [entity.key_column, VERSION.name, *(column.name for column in entity.fact_columns)]
    schema = staged_schema(entity)
    empty = pa.schema([schema.field(name) for name in names]).empty_table()
    tables = (run.folder.read(part, names) for part in run.row_parts(entity))
    return to_frame(pa.concat_tables([empty, *tables]))


def _is_newest(entity: Entity, frame: pd.DataFrame) -> pd.Series:
    """Mark one row per key: the newest version, and of equal versions the one read last."""
    if frame[entity.key_column].is_unique:
        return pd.Series(data=True, index=frame.index)
    ordered = frame.sort_values(VERSION.name, kind="stable")
    is_newest = ~ordered.duplicated(entity.key_column, keep="last")
    log.info(
        "%s: %s rows were read twice; the newest of each is taken",
        entity.set_name,
        (~is_newest).sum(),
    )
    return is_newest.reindex(frame.index)


def _only(frame: pd.DataFrame, is_wanted: pd.Series) -> pd.DataFrame:
    """The wanted rows; without a copy of a whole table where, as mostly, that is all of them."""
    return frame if is_wanted.all() else frame[is_wanted].reset_index(drop=True)


def _stage(run: Run, group: str, frame: pd.DataFrame) -> None:
    """Stage a frame in parts of bounded size, at least one."""
    run.folder.remove_group(group)
    table = to_table(frame)
    for number, start in enumerate(range(0, max(len(table), 1), ROWS_PER_PART)):
        run.folder.write_part(group, number, table.slice(start, ROWS_PER_PART))


def _stage_beside(run: Run, entity: Entity, derived: pd.DataFrame) -> None:
    """Stage what is derived of each row in parts that match the staged ones row by row."""
    group = f"derived/{entity.name}"
    run.folder.remove_group(group)
    table, start = to_table(derived), 0
    for number, part in enumerate(run.row_parts(entity)):
        run.folder.write_part(group, number, table.slice(start, part.rows))
        start += part.rows


def _report(resolution: Resolution) -> dict[str, Any]:
    reasons = resolution.unresolved["reason"].value_counts().to_dict()
    log.info(
        "Resolved %s opportunities: %s with an account, %s contact roles, %s unresolved %s",
        f"{len(resolution.affected):,}",
        f"{resolution.accounts['account_id'].notna().sum():,}",
        f"{len(resolution.roles):,}",
        f"{len(resolution.unresolved):,}",
        reasons or "",
    )
    return {
        "opportunities": len(resolution.affected),
        "roles": len(resolution.roles),
        "unresolved": len(resolution.unresolved),
    }
