"""The transform task: from staged facts to the associations of everything in reach.

Only the fact columns of the staged rows are read, not the wide rows. What it finds is staged
again: beside each staged part one of the same length with what is derived of each row, and the
associations in parts of bounded size. `load` streams them side by side into the store.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from opportunity_sync.core.frames import to_frame, to_table
from opportunity_sync.core.matching import attach
from opportunity_sync.entities import CONTACT, ENTITIES, OPPORTUNITY, VERSION, Entity
from opportunity_sync.errors import StagingError
from opportunity_sync.pipeline.known_facts import KnownFacts
from opportunity_sync.pipeline.resolution import Resolution, resolve_changes
from opportunity_sync.pipeline.run import Run, open_run
from opportunity_sync.store import find_facts, read_state, reading

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

log = logging.getLogger(__name__)

REVISION = "revision.json"
ROWS_PER_PART = 50_000


def transform(engine: Engine, run: dict[str, Any]) -> dict[str, Any]:
    """Resolve what this run brought and affects; returns how much there is of each outcome."""
    begun = open_run(run)
    with reading(engine) as connection:
        return stage_resolution(connection, begun)


def stage_resolution(connection: Connection, run: Run) -> dict[str, Any]:
    """Resolve against the store as this connection sees it, and stage the outcome.

    The store's revision is read first and staged with it: should the store move later, `load`
    notices and calls this again under its lock.
    """
    state = read_state(connection)
    arrived = {entity.name: _staged_facts(run, entity) for entity in ENTITIES}
    is_newest = {entity.name: _is_newest(entity, arrived[entity.name]) for entity in ENTITIES}
    newest = {name: _only(frame, is_newest[name]) for name, frame in arrived.items()}
    resolution = resolve_changes(
        KnownFacts(newest, None if state.is_empty else find_facts(connection))
    )
    accounts = {OPPORTUNITY.name: resolution.accounts, CONTACT.name: resolution.contact_accounts}
    for entity in ENTITIES:
        frame = arrived[entity.name]
        derived = frame[[entity.key_column]].assign(take=is_newest[entity.name])
        if entity.name in accounts:
            found = accounts[entity.name]
            derived = attach(derived, found, on=entity.key_column, columns=["account_id"])
            elsewhere = found[~found[entity.key_column].isin(frame[entity.key_column])]
            _stage(run, f"resolved/{entity.name}_account", elsewhere)
        _stage_beside(run, entity, derived.drop(columns=entity.key_column))
    for name in ("affected", "roles", "unresolved"):
        _stage(run, f"resolved/{name}", getattr(resolution, name))
    run.folder.write_json(REVISION, {"revision": state.revision})
    return _report(resolution)


def _staged_facts(run: Run, entity: Entity) -> pd.DataFrame:
    """Keys, versions and facts of all staged rows of an entity, in the order of the parts."""
    parts = run.folder.parts(entity.name)
    if not parts or parts[-1].state["next_link"] is not None:
        raise StagingError(
            f"The staged rows of {entity.set_name} are not complete.",
            next_step="clear the extract task of this run; it goes on after its last part.",
        )
    columns = [entity.key_column, VERSION.name, *(column.name for column in entity.fact_columns)]
    return to_frame(pa.concat_tables(run.folder.read(part, columns) for part in parts))


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
    for number, part in enumerate(run.folder.parts(entity.name)):
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
