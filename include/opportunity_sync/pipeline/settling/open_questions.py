"""What a run's rows leave open, found in the store before Dynamics is asked.

Change tracking shows a deletion as a tombstone. A reading of every row shows it by absence. Neither
is believed at once: such records are *suspects*. A reconciliation has listed keys and versions
only, so rows that the store lacks or has in another version are wanted whole. Earlier runs leave
something behind as well: refused records that are due again, and rows without a column that can be
read now. Absence proves nothing where the application user does not see every row of the table.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opportunity_sync import store
from opportunity_sync.errors import PrivilegeError
from opportunity_sync.pipeline.reading.baselines import OWED_AT_ONCE
from opportunity_sync.pipeline.reading.parts import PartState, Reading
from opportunity_sync.pipeline.reading.readings import (
    published_reading,
    published_table,
    versions_read,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from opportunity_sync.model import Entity
    from opportunity_sync.pipeline.run import Run

log = logging.getLogger(__name__)

FEW_ROWS = 50  # so many may always be gone, or refused


@dataclass(frozen=True)
class Drift:
    """How many rows of a listing the store lacks or has otherwise, and how many it has alone."""

    compared: int
    missing: int
    other: int
    gone: int

    @classmethod
    def between(cls, listed: Mapping[str, int], live: Mapping[str, int]) -> Drift:
        """What a listing and the store's live rows, versions by key, differ in."""
        missing = len(listed.keys() - live.keys())
        differing = sum(live.get(key, version) != version for key, version in listed.items())
        return cls(len(listed), missing, differing, len(live.keys() - listed.keys()))

    @property
    def is_any(self) -> bool:
        """Whether the two differ at all."""
        return bool(self.missing or self.other or self.gone)

    def __str__(self) -> str:
        """As logs and events say it."""
        return f"{self.missing} missing, {self.other} of another version, {self.gone} not listed"


@dataclass(frozen=True)
class OpenQuestions:
    """What is open of one entity before Dynamics is asked.

    `suspects`: ids that may be gone; `wanted`: ids whose rows are wanted whole; `again`: ids that
    earlier runs left behind. `live`: the stored version of each of these ids that the store
    believes to be alive; `live_count`: how many records of the entity it believes to be alive, or
    0 where the suspects are so few that no guard asks. `refused`: versions of the records in
    `refused_row`. `drift`: what a listing has shown.
    """

    reading: Reading
    suspects: set[str]
    wanted: set[str]
    again: set[str]
    live: Mapping[str, int]
    live_count: int
    refused: Mapping[str, int | None]
    compared: int = 0
    drift: Drift | None = None


def find_open_questions(
    connection: store.Connection, run: Run, *, moment: datetime, version: str
) -> dict[str, OpenQuestions]:
    """Find what is open, by entity name. `moment` is now, `version` the pipeline's own.

    Raises:
        StagingError: an extract task has not published its table.
        PrivilegeError: the user does not see every row, as a reconciliation must.
    """
    due = store.due_refused(
        connection,
        moment=moment,
        version=version,
        everything=run.mode == "reconcile" or run.retry_refused,
    )
    return {
        entity.name: _open(connection, run, entity, due=set(due.get(entity.name, ())))
        for entity in run.model
    }


def _open(
    connection: store.Connection, run: Run, entity: Entity, *, due: set[str]
) -> OpenQuestions:
    reading = published_reading(run, entity)
    refused = {each.record_id for each in reading.refusals if each.record_id}
    listed = versions_read(run, entity) if reading.is_whole else {}
    # A listing brings no whole row, so it settles nothing of what was left behind.
    read = set() if run.lists(entity) else listed.keys() | refused
    again = _ids_left_behind(connection, run, entity, due=due) - read
    suspects, wanted, drift = _tombstones(run, entity, reading), set[str](), None
    if reading.is_whole and _absence_counts(run, entity):
        live = store.live_versions(connection, entity)
        suspects |= live.keys() - listed.keys() - refused
        if run.lists(entity):
            erased = store.erased_ids(connection, entity)
            listed = {key: version for key, version in listed.items() if key not in erased}
            wanted = {key for key, version in listed.items() if live.get(key) != version}
            drift = Drift.between(listed, live)
            log.info(
                "%s: %s rows compared; drift: %s", entity.set_name, f"{drift.compared:,}", drift
            )
    else:
        live = store.live_versions(connection, entity, suspects | again)
    if run.plan.of(entity).reads_every_row:
        suspects |= again  # such a record is gone if it does not come by id either
    return OpenQuestions(
        reading=reading,
        suspects=suspects,
        wanted=wanted,
        again=again,
        live={key: live[key] for key in suspects | wanted | again if key in live},
        live_count=store.count_live(connection, entity) if len(suspects) > FEW_ROWS else 0,
        refused=store.refused_ids(connection, entity),
        compared=len(listed) if run.lists(entity) else 0,
        drift=drift,
    )


def _ids_left_behind(
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
    states = (run.folder.state(part) for part in published_table(run, entity).parts)
    return {key for state in states for key in PartState.from_dict(state).deleted_ids}


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
