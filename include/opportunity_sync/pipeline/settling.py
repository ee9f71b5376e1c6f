"""What a run's rows leave open, settled with Dynamics before the rules are applied.

Rows that are missing from a whole reading, or that change tracking calls deleted, are *suspects*:
each is asked for by id, and only what Dynamics does not have either is gone. A reconciliation
listed keys and versions only; what the store lacks or has older is fetched here. Absence proves
nothing where the application user does not see every row of the table, and a guard keeps one bad
day of permissions from emptying a store.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from opportunity_sync import store
from opportunity_sync.dynamics import DataverseClient, PageDecoder
from opportunity_sync.entities import ENTITIES, VERSION, Entity
from opportunity_sync.errors import ConfigError, PrivilegeError, StagingError
from opportunity_sync.pipeline.extraction import refused_row
from opportunity_sync.pipeline.run import Run, found_group, gone_group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opportunity_sync.settings import Settings

log = logging.getLogger(__name__)

FEW_ROWS = 50
_HIGHEST = 2**63 - 1


@dataclass(frozen=True)
class Open:
    """What is open of one entity: ids that may be gone, and ids whose rows are wanted.

    `live`: versions of the records that the store believes to be alive, of these ids at least.
    """

    suspects: set[str]
    wanted: set[str]
    live: Mapping[str, int]


def settle(
    client: DataverseClient, connection: store.Connection, run: Run, *, settings: Settings
) -> None:
    """Stage the rows that were asked for by id, and the keys that are gone.

    Raises:
        PrivilegeError: a reconciliation needs to see every row, and may not.
        ConfigError: more rows are gone than the guard lets through, or the organisation went
            back in time.
    """
    noticed_at = client.get("WhoAmI").server_date or datetime.now(UTC)
    for entity in ENTITIES:
        run.folder.remove_group(found_group(entity))
        run.folder.remove_group(gone_group(entity))
        what = _open(connection, run, entity)
        found = fetch(client, run, entity, ids=sorted(what.suspects | what.wanted))
        if not run.new_epoch:
            _refuse_older(entity, found, what.live)
        gone = what.suspects - found.keys()
        _guard(connection, entity, len(gone & what.live.keys()), run=run, settings=settings)
        if gone:
            keys = pa.table({entity.key_column: sorted(gone)})
            state = {"noticed_at": noticed_at.isoformat()}
            run.folder.write_part(gone_group(entity), 0, keys, state=state)
        if what.suspects or what.wanted:
            log.info(
                "%s: %s asked for by id, %s found, %s gone",
                entity.set_name,
                len(what.suspects | what.wanted),
                len(found),
                len(gone),
            )


def fetch(
    client: DataverseClient, run: Run, entity: Entity, *, ids: Sequence[str]
) -> dict[str, int]:
    """Stage the rows with these keys beside the extracted ones; returns their versions."""
    if not ids:
        return {}
    decoder = PageDecoder(entity, run.plan)
    select = run.plan.of(entity).select(entity)
    group = found_group(entity)
    versions: dict[str, int] = {}
    number = len(run.folder.parts(group))
    counted = client.counters.requests
    for page in client.by_ids(entity, ids, select=select):
        decoded = decoder.decode(page.body)
        requests, counted = client.counters.requests - counted, client.counters.requests
        state = {
            "refused": [refused_row(error) for error in decoded.refused],
            "replaced_characters": decoded.replaced,
            "requests": requests,
        }
        run.folder.write_part(group, number, decoded.table, state=state)
        number += 1
        columns = (decoded.table[name].to_pylist() for name in (entity.key_column, VERSION.name))
        versions |= dict(zip(*columns, strict=True))
        # A row that is refused is there all the same: no version of it is lower than another.
        versions |= {error.record_id: _HIGHEST for error in decoded.refused if error.record_id}
    return versions


def _open(connection: store.Connection, run: Run, entity: Entity) -> Open:
    parts = run.folder.parts(run.rows_group(entity))
    if not parts or parts[-1].state["next_link"] is not None:
        raise StagingError(
            f"The staged rows of {entity.set_name} are not complete.",
            next_step="clear the extract task of this run; it goes on after its last part.",
        )
    suspects = {key for part in parts for key in part.state["deleted_ids"]}
    if not (parts[-1].state["is_whole"] and _absence_counts(run, entity)):
        return Open(suspects, set(), store.live_versions(connection, entity, suspects))
    live = store.live_versions(connection, entity)
    listed: dict[str, int] = {}
    for table in run.folder.tables(run.rows_group(entity), [entity.key_column, VERSION.name]):
        listed |= dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
    wanted = set()
    if run.is_listing:
        wanted = {key for key, version in listed.items() if live.get(key) != version}
        _report_drift(entity, listed, live)
    refused = {row["record_id"] for part in parts for row in part.state["refused"]}
    return Open(suspects | (live.keys() - listed.keys() - refused), wanted, live)


def _absence_counts(run: Run, entity: Entity) -> bool:
    """Whether a row that is missing from a whole reading may be gone."""
    sees_all = run.plan.of(entity).reads_every_row
    if sees_all:
        return True
    if run.is_listing:
        raise PrivilegeError(
            f"Whether all rows of {entity.set_name} can be read is "
            f"{'unknown' if sees_all is None else 'denied'}, so no absence proves a deletion.",
            next_step=f"give the application user {entity.privilege} at organisation level.",
        )
    log.warning("%s: not all rows can be seen, so none counts as gone", entity.set_name)
    return False


def _report_drift(entity: Entity, listed: dict[str, int], live: Mapping[str, int]) -> None:
    missing = len(listed.keys() - live.keys())
    other = sum(live.get(key, version) != version for key, version in listed.items())
    gone = len(live.keys() - listed.keys())
    log.info(
        "%s: %s rows compared; drift: %s missing, %s of another version, %s not listed",
        entity.set_name,
        f"{len(listed):,}",
        missing,
        other,
        gone,
    )


def _refuse_older(entity: Entity, found: dict[str, int], live: Mapping[str, int]) -> None:
    older = [key for key, version in found.items() if version < live.get(key, version)]
    if older:
        raise ConfigError(
            f"{entity.name} {older[0]} (and {len(older) - 1} others) has a lower version in "
            "Dynamics than in the store: the organisation was restored from a backup.",
            next_step="trigger the DAG with mode full and new_epoch (docs/runbook.md).",
        )


def _guard(
    connection: store.Connection, entity: Entity, count: int, *, run: Run, settings: Settings
) -> None:
    """Refuse to mark more than the set share of a table, unless told to."""
    if count <= FEW_ROWS or run.accept_deletions:
        return
    live = store.count_live(connection, entity)
    allowed = max(FEW_ROWS, int(live * settings.max_deleted_share))
    if count > allowed:
        raise ConfigError(
            f"{count:,} of {live:,} {entity.set_name} seem to be gone, more than the "
            f"{allowed:,} that are believed without being told to.",
            next_step="look in Dynamics; if they were deleted, trigger the DAG with "
            "accept_deletions, else mend the application user's role.",
        )
