"""Forgets what the store remembers of old runs: books that nobody reads any more, and no row.

A run every five minutes leaves 288 lines a day in `sync_run`, more in the tables beside it, and
nothing else removes them. A run is known again by its own line only while its tasks may still be
retried or cleared, so what began many days ago can go. Events and the history of opportunities go
by the time at which they were written.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, exists, inspect

from opportunity_sync.errors import ConfigError
from opportunity_sync.store.schema.tables import (
    METADATA,
    backlog_sample,
    history,
    sync_event,
    sync_run,
)
from opportunity_sync.store.sessions.lock import writing

if TYPE_CHECKING:
    from sqlalchemy import Engine, Table

FEWEST_DAYS = 7


def forget_runs(engine: Engine, *, keep_days: int) -> int:
    """Delete what was noted of runs that began more than `keep_days` ago; returns how many runs.

    Raises:
        ConfigError: fewer than `FEWEST_DAYS`, in which a failed run may still be cleared.
    """
    if keep_days < FEWEST_DAYS:
        raise ConfigError(
            f"The books of runs can't be kept for {keep_days} days only.",
            next_step=f"keep them for {FEWEST_DAYS} days or more: till then a run may be cleared.",
        )
    before = datetime.now(UTC) - timedelta(days=keep_days)
    with writing(engine) as connection:
        if not inspect(connection).has_table(sync_run.name):
            return 0
        for table in _tables_by_run():
            is_its_run = and_(
                sync_run.c.dag_id == table.c.dag_id, sync_run.c.run_id == table.c.run_id
            )
            connection.execute(
                delete(table).where(exists().where(is_its_run, sync_run.c.started_at < before))
            )
        for noted_at in (history.c.at, sync_event.c.at, backlog_sample.c.as_of):
            connection.execute(delete(noted_at.table).where(noted_at < before))
        return connection.execute(delete(sync_run).where(sync_run.c.started_at < before)).rowcount


def _tables_by_run() -> list[Table]:
    """The tables beside `sync_run` whose rows belong to one run."""
    return [
        table
        for table in METADATA.sorted_tables
        if table is not sync_run and {"dag_id", "run_id"} <= set(table.primary_key.columns.keys())
    ]
