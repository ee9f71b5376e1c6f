"""The figures of each table: rows, what changed lately, what waits in Dynamics, how fresh it is.

Nothing here looks at every row: what would need that was counted by runs, which wrote down as of
when.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select

from opportunity_sync.store.books.table_sizes import live_rows
from opportunity_sync.store.journal.lags import lag_quantile
from opportunity_sync.store.schema.tables import (
    sync_run,
    sync_run_entity,
    sync_run_lag,
    table_backlog,
)

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Subquery

    from opportunity_sync.model import Model

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
_COUNTED = ("inserted", "updated", "deleted", "refused")
_UNKNOWN = {"waiting": None, "oldest_waiting_at": None, "as_of": None}
_PERCENTILES = {"median": 0.5, "p95": 0.95}
Counts = dict[str, int]


def table_figures(
    connection: Connection, model: Model, *, now: datetime, last_success_at: datetime | None
) -> list[dict[str, Any]]:
    """One dict for each public table of the model."""
    hour, day = (_counts_since(connection, now - span) for span in (HOUR, DAY))
    backlog, freshness = _backlog(connection), _freshness(connection, since=now - DAY)
    none = dict.fromkeys(_COUNTED, 0)
    return [
        {
            "entity": entity.name,
            "rows": live_rows(connection, entity),
            "last_success_at": last_success_at,
            **backlog.get(entity.name, _UNKNOWN),
            "last_hour": hour.get(entity.name, none),
            "last_day": day.get(entity.name, none),
            "freshness_seconds": freshness.get(entity.name, dict.fromkeys(_PERCENTILES)),
        }
        for entity in model.public
    ]


def _runs_since(moment: datetime) -> Subquery:
    ended = select(sync_run.c.dag_id, sync_run.c.run_id).where(sync_run.c.ended_at >= moment)
    return ended.subquery("lately")


def _counts_since(connection: Connection, moment: datetime) -> dict[str, Counts]:
    """What runs that ended since then did, by table."""
    lately, counts = _runs_since(moment), sync_run_entity.c
    is_of_run = and_(counts.dag_id == lately.c.dag_id, counts.run_id == lately.c.run_id)
    sums = (func.sum(counts[name]).label(name) for name in _COUNTED)
    query = select(counts.entity, *sums).join_from(lately, sync_run_entity, is_of_run)
    rows = connection.execute(query.group_by(counts.entity)).mappings()
    return {row["entity"]: {name: int(row[name]) for name in _COUNTED} for row in rows}


def _backlog(connection: Connection) -> dict[str, dict[str, Any]]:
    rows = connection.execute(select(table_backlog)).mappings()
    return {row["entity"]: {name: row[name] for name in _UNKNOWN} for row in rows}


def _freshness(connection: Connection, *, since: datetime) -> dict[str, dict[str, float | None]]:
    """Median and 95 % of the lags that runs noted since then, by table."""
    lately, lags = _runs_since(since), sync_run_lag.c
    is_of_run = and_(lags.dag_id == lately.c.dag_id, lags.run_id == lately.c.run_id)
    total = func.sum(lags.rows).label("total")
    query = select(lags.entity, lags.seconds, total).join_from(lately, sync_run_lag, is_of_run)
    classes: dict[str, dict[int, int]] = {}
    for row in connection.execute(query.group_by(lags.entity, lags.seconds)):
        classes.setdefault(row.entity, {})[row.seconds] = int(row.total)
    return {
        entity: {name: lag_quantile(found, share) for name, share in _PERCENTILES.items()}
        for entity, found in classes.items()
    }
