"""What a run's rows leave open, settled with Dynamics before the rules are applied.

Rows that are missing from a whole reading, or that change tracking calls deleted, are *suspects*:
each is asked for by id, and only what Dynamics does not have either is gone. A reconciliation
listed keys and versions only; what the store lacks or has older is asked for here. So is what
earlier runs left behind: records that were refused and are due again, and rows that were loaded
without a column that is back. Absence proves nothing where the application user does not see every
row of the table, and guards keep one bad day of permissions or formats from emptying a store.

The store is looked at first (`look`), then Dynamics is asked (`settle`): no transaction is open
while an answer is waited for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from opportunity_sync import store
from opportunity_sync.dynamics import (
    IDS_PER_REQUEST,
    DataverseClient,
    PageDecoder,
    sees_every_row,
    staged_schema,
)
from opportunity_sync.errors import ConfigError, DataError, PrivilegeError
from opportunity_sync.model import VERSION, Entity
from opportunity_sync.pipeline.extraction import part_state, published_reading, published_rows
from opportunity_sync.pipeline.parts import PartState, Reading, Refusals, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from opportunity_sync.dynamics import DecodedPage, Page
    from opportunity_sync.pipeline.run import Run
    from opportunity_sync.settings import Settings
    from opportunity_sync.staging import PartWriter

log = logging.getLogger(__name__)

FEW_ROWS = 50  # that many may be gone, or refused, without a question
OWED_AT_ONCE = 5_000  # rows that one run asks for again, of one table
_HIGHEST = 2**63 - 1
_UNREADABLE = "is answered without its id, or in a form that can't be read"


@dataclass(frozen=True)
class Open:
    """What is open of one entity before Dynamics is asked.

    `suspects`: ids that may be gone; `wanted`: ids whose rows are wanted; `again`: ids that earlier
    runs left behind. `live`: versions of the records that the store believes to be alive, of these
    ids at least; `live_count`: of all. `refused`: versions of the records in `refused_row`.
    """

    reading: Reading
    suspects: set[str]
    wanted: set[str]
    again: set[str]
    live: Mapping[str, int]
    live_count: int
    refused: Mapping[str, int | None]
    compared: int = 0


@dataclass
class Answers:
    """The rows of one entity that came by id, staged; `versions` of all that are there.

    `refused`: versions of the records in `refused_row`.
    """

    entity: Entity
    writer: PartWriter
    refused: Mapping[str, int | None]
    reading: Reading = field(default_factory=Reading)
    versions: dict[str, int] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def add(self, page: Page, decoded: DecodedPage, *, requests: int) -> None:
        """Stage one page."""
        state = part_state(decoded, requests, page=page)
        self.writer.write(decoded.table, state=state.to_dict())
        self.reading.add(state, decoded.table.num_rows, known=self.refused)
        names = (self.entity.key_column, VERSION.name)
        columns = (decoded.table[name].to_pylist() for name in names)
        self.versions |= dict(zip(*columns, strict=True))
        # A row that is refused is there all the same: no version of it is lower than another.
        self.versions |= {error.record_id: _HIGHEST for error in decoded.refused if error.record_id}

    def refuse(self, ids: Iterable[str]) -> None:
        """List records that Dynamics has and that no answer shows in a form to take."""
        key = self.entity.key
        errors = [
            DataError(_UNREADABLE, entity=self.entity.name, record_id=each, field=key)
            for each in ids
        ]
        state = PartState(refusals=Refusals.of(errors))
        self.writer.write(staged_schema(self.entity).empty_table(), state=state.to_dict())
        self.reading.add(state, 0, known=self.refused)
        self.versions |= {error.record_id: _HIGHEST for error in errors if error.record_id}


def look(
    connection: store.Connection, run: Run, *, moment: datetime, version: str
) -> dict[str, Open]:
    """What is open, by entity name; `moment` is now, `version` the pipeline's own.

    Raises:
        StagingError: an extract task has not published its table.
        PrivilegeError: a reconciliation needs to see every row, and may not.
    """
    due = store.due_refused(
        connection, moment=moment, version=version, everything=run.mode == "reconcile"
    )
    return {
        entity.name: _open(connection, run, entity, due=set(due.get(entity.name, ())))
        for entity in run.model
    }


def settle(
    client: DataverseClient, run: Run, opened: Mapping[str, Open], *, settings: Settings
) -> dict[str, Answers]:
    """Ask for what is open; returns by entity name what came, and which keys are gone.

    Raises:
        ConfigError: more rows are gone or refused than the guards let through, or the
            organisation went back in time.
    """
    answers = {
        entity.name: Answers(
            entity, run.folder.writer(f"found/{entity.name}"), opened[entity.name].refused
        )
        for entity in run.model
    }
    require_few_refusals(run, opened, answers, settings=settings)
    for entity in run.model:
        what, found = opened[entity.name], answers[entity.name]
        asked = what.suspects | what.wanted | what.again
        fetch(client, run, found, ids=sorted(asked))
        if not run.new_epoch:
            _refuse_older(entity, found.versions, what.live)
        found.gone = what.suspects - found.versions.keys()
        _require_sight(client, found)
        _require_few_deletions(entity, what, found, run=run, settings=settings)
        if asked:
            log.info(
                "%s: %s asked for by id, %s found, %s gone",
                entity.set_name,
                len(asked),
                len(asked & found.versions.keys()),
                len(found.gone & what.live.keys()),
            )
    require_few_refusals(run, opened, answers, settings=settings)
    return answers


def fetch(client: DataverseClient, run: Run, found: Answers, *, ids: Sequence[str]) -> None:
    """Stage the rows with these keys beside the extracted ones.

    Where an answer holds a row that can't be told from another, the keys that seem missing from it
    are asked for one by one, and only what Dynamics says does not exist is missing.
    """
    entity = found.entity
    decoder = PageDecoder(entity, run.plan)
    select = run.plan.of(entity).select(entity)
    counted = client.counters.requests
    for start in range(0, len(ids), IDS_PER_REQUEST):
        batch, unidentified = ids[start : start + IDS_PER_REQUEST], 0
        for page in client.by_ids(entity, batch, select=select):
            decoded = decoder.decode(page.body)
            requests, counted = client.counters.requests - counted, client.counters.requests
            found.add(page, decoded, requests=requests)
            unidentified += decoded.unidentified
        if unidentified:
            missing = [each for each in batch if each not in found.versions]
            found.refuse([each for each in missing if not client.is_gone(entity, each)])


def require_few_refusals(
    run: Run, opened: Mapping[str, Open], answers: Mapping[str, Answers], *, settings: Settings
) -> None:
    """Raise `ConfigError` where one run newly refuses so much that its source must be at fault."""
    if run.accept_refusals:
        return
    for entity in run.model:
        what, found = opened[entity.name], answers[entity.name].reading
        refused = [*what.reading.refusals, *found.refusals]
        new = _newly(refused, what.refused)
        read = what.reading.rows + found.rows + len(new)
        has_refused_page = what.reading.has_refused_page or found.has_refused_page
        is_large_share = len(new) > read * settings.max_refused_share
        if len(new) > FEW_ROWS and (has_refused_page or is_large_share):
            raise _too_many_refused(entity, new, read)


def _newly(refused: Iterable[Refused], known: Mapping[str, int | None]) -> list[Refused]:
    """The records refused now that are not listed at the same version; each unnamed one counts."""
    new = {
        each.record_id or number: each
        for number, each in enumerate(refused)
        if not each.is_listed(known)
    }
    return list(new.values())


def _too_many_refused(entity: Entity, new: Sequence[Refused], read: int) -> ConfigError:
    reason = new[0].reason
    where = f"{entity.name}.{reason.field}" if reason.field else entity.name
    return ConfigError(
        f"{len(new):,} of {read:,} {entity.set_name} can't be taken, more than is believed without "
        f"being told to; the first: {where} {reason.message}.",
        next_step="look at the records in Dynamics; if the others shall be loaded without them, "
        "trigger the DAG with accept_refusals.",
    )


def _open(connection: store.Connection, run: Run, entity: Entity, *, due: set[str]) -> Open:
    reading = published_reading(run, entity)
    refused = {each.record_id for each in reading.refusals if each.record_id}
    listed = _listed(run, entity) if reading.is_whole else {}
    # A listing names what is there, and brings no row by which anything left behind is settled.
    read = set() if run.lists(entity) else listed.keys() | refused
    again = _left_behind(connection, run, entity, due=due) - read
    suspects, wanted = _tombstones(run, entity, reading), set[str]()
    if reading.is_whole and _absence_counts(run, entity):
        live = store.live_versions(connection, entity)
        suspects |= live.keys() - listed.keys() - refused
        if run.lists(entity):
            wanted = {key for key, version in listed.items() if live.get(key) != version}
            _report_drift(entity, listed, live)
    else:
        live = store.live_versions(connection, entity, suspects | again)
    if run.plan.of(entity).reads_every_row:
        suspects |= again  # what does not come by id either is gone
    return Open(
        reading=reading,
        suspects=suspects,
        wanted=wanted,
        again=again,
        live={key: live[key] for key in suspects | wanted | again if key in live},
        live_count=store.count_live(connection, entity) if len(suspects) > FEW_ROWS else 0,
        refused=store.refused_ids(connection, entity),
        compared=len(listed) if run.mode == "reconcile" else 0,
    )


def _left_behind(
    connection: store.Connection, run: Run, entity: Entity, *, due: set[str]
) -> set[str]:
    """Records that are due to be tried again, and rows that lack a column which can be read now."""
    if run.mode == "range":
        return set()
    columns = run.plan.of(entity).columns
    return due | set(store.owed_ids(connection, entity, columns, limit=OWED_AT_ONCE))


def _tombstones(run: Run, entity: Entity, reading: Reading) -> set[str]:
    if not reading.deletions:
        return set()
    group = run.rows_group(entity)
    states = (run.folder.state(part) for part in published_rows(run, entity).groups[group])
    return {key for state in states for key in PartState.from_dict(state).deleted_ids}


def _listed(run: Run, entity: Entity) -> dict[str, int]:
    """Version by key of all rows that were read."""
    group, names = run.rows_group(entity), [entity.key_column, VERSION.name]
    listed: dict[str, int] = {}
    for table in run.folder.tables(published_rows(run, entity).groups[group], names):
        listed |= dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return listed


def _absence_counts(run: Run, entity: Entity) -> bool:
    """Whether a row that is missing from a whole reading may be gone."""
    sees_all = run.plan.of(entity).reads_every_row
    if sees_all:
        return True
    if run.mode == "reconcile":
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


def _require_sight(client: DataverseClient, found: Answers) -> None:
    """Ask once more whether every row can be seen, before one counts as gone: roles change.

    Also before a record counts as gone that was never stored: it may be listed as refused.
    """
    entity = found.entity
    if found.gone and not sees_every_row(client, entity):
        raise PrivilegeError(
            f"Not every row of {entity.set_name} can be seen any more, so none counts as gone.",
            next_step=f"give the application user {entity.privilege} at organisation level again, "
            "then clear the task.",
        )


def _require_few_deletions(
    entity: Entity, what: Open, found: Answers, *, run: Run, settings: Settings
) -> None:
    """Refuse to mark more than the set share of a table, unless told to."""
    count = len(found.gone & what.live.keys())
    allowed = max(FEW_ROWS, int(what.live_count * settings.max_deleted_share))
    if count > allowed and not run.accept_deletions:
        raise ConfigError(
            f"{count:,} of {what.live_count:,} {entity.set_name} seem to be gone, more than the "
            f"{allowed:,} that are believed without being told to.",
            next_step="look in Dynamics; if they were deleted, trigger the DAG with "
            "accept_deletions, else mend the application user's role.",
        )


def gone_keys(entity: Entity, gone: set[str]) -> pa.Table:
    """The keys that are gone, as they are staged."""
    return pa.table({entity.key_column: pa.array(sorted(gone), pa.string())})
