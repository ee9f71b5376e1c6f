"""When the tasks of a run began and ended, as their last tries told it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync.store.schema.tables import sync_run_task
from opportunity_sync.store.statements.upsert import dialect_insert

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection


def record_tasks(  # noqa: PLR0917 - a run is known by two names
    connection: Connection,
    dag_id: str,
    run_id: str,
    times: Mapping[str, tuple[datetime, datetime | None]],
) -> None:
    """Write start and end of these tasks; what was known of an earlier try is replaced."""
    insert = dialect_insert(connection)
    for task_id, (started_at, ended_at) in times.items():
        key = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id}
        known = {"started_at": started_at, "ended_at": ended_at}
        statement = insert(sync_run_task).values(key | known)
        connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=known))
