"""How far a run in progress is with a table that takes it long to read: the last word counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync.store.schema.tables import sync_run_progress
from opportunity_sync.store.statements.upsert import dialect_insert

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection


def note_progress(  # noqa: PLR0913 - a run is known by two names
    connection: Connection,
    dag_id: str,
    run_id: str,
    *,
    entity: str,
    rows_read: int,
    rows_expected: int | None,
    is_whole: bool,
    as_of: datetime,
) -> None:
    """Replace what the run said of the table before; `is_whole`: it is read to its end."""
    key = {"dag_id": dag_id, "run_id": run_id, "entity": entity}
    known = {
        "rows_read": rows_read,
        "rows_expected": rows_expected,
        "is_whole": is_whole,
        "as_of": as_of,
    }
    statement = dialect_insert(connection)(sync_run_progress).values(key | known)
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=known))
