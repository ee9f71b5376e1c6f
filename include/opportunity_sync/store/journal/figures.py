"""What the books say of one run and of the state it left behind, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, select

from opportunity_sync.store.journal.lags import lag_quantile
from opportunity_sync.store.schema.tables import (
    COUNTS,
    ROLE,
    refused_row,
    sync_run,
    sync_run_entity,
    sync_run_lag,
    table_backlog,
    unresolved_association,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Figures:
    """One run in numbers, and what is not as it should be after it.

    `counts`: by table, roles too, the counts of `sync_run_entity`. `lags`: rows by class of lags.
    `waiting`: rows in Dynamics by table, None where that is not known. `refused` and `unresolved`:
    how many there are now, by table and by reason.
    """

    mode: str
    requests: int
    seconds: float
    counts: dict[str, dict[str, int]]
    lags: dict[int, int]
    waiting: dict[str, int | None]
    refused: dict[str, int]
    unresolved: dict[str, int]

    def total(self, count: str) -> int:
        """A count of all records; roles are made of them, so they are none."""
        return sum(counts[count] for name, counts in self.counts.items() if name != ROLE)

    def roles(self, count: str) -> int:
        """A count of contact roles."""
        return self.counts.get(ROLE, {}).get(count, 0)

    def freshness(self, share: float) -> float | None:
        """Seconds within which that share of the changed rows were in the store."""
        return lag_quantile(self.lags, share)


def read_figures(connection: Connection, dag_id: str, run_id: str) -> Figures | None:
    """The figures of a run; None of one that the store does not know."""
    is_run = and_(sync_run.c.dag_id == dag_id, sync_run.c.run_id == run_id)
    run = connection.execute(select(sync_run).where(is_run)).one_or_none()
    if run is None:
        return None
    is_its = and_(sync_run_entity.c.dag_id == dag_id, sync_run_entity.c.run_id == run_id)
    counted = connection.execute(select(sync_run_entity).where(is_its)).mappings()
    is_lag = and_(sync_run_lag.c.dag_id == dag_id, sync_run_lag.c.run_id == run_id)
    lags = select(sync_run_lag.c.seconds, func.sum(sync_run_lag.c.rows)).where(is_lag)
    backlog = select(table_backlog.c.entity, table_backlog.c.waiting)
    refused = select(refused_row.c.entity, func.count())
    unresolved = select(unresolved_association.c.reason, func.count())
    return Figures(
        mode=run.mode,
        requests=run.requests,
        seconds=(run.ended_at - run.started_at).total_seconds() if run.ended_at else 0.0,
        counts={row["entity"]: {name: row[name] for name in COUNTS} for row in counted},
        lags={row[0]: int(row[1]) for row in connection.execute(lags.group_by("seconds"))},
        waiting={row[0]: row[1] for row in connection.execute(backlog)},
        refused={row[0]: row[1] for row in connection.execute(refused.group_by("entity"))},
        unresolved={row[0]: row[1] for row in connection.execute(unresolved.group_by("reason"))},
    )
