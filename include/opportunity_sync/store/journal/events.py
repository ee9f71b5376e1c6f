"""What happens beside the runs' own numbers: selections, columns, guards, drift.

A page shows them on one line of time with the runs. Numbers are given in the order of writing;
transactions that write at the same time take turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sqlalchemy import delete, func, literal, select

from opportunity_sync.store.schema.tables import sync_event
from opportunity_sync.store.statements.upsert import dialect_insert

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    EventKind = Literal["selection", "columns", "guard", "alert", "drift"]


def note_event(  # noqa: PLR0913 - an event is a row of plain values
    connection: Connection,
    kind: EventKind,
    message: str,
    *,
    at: datetime,
    entity: str | None = None,
    run: tuple[str, str] | None = None,
) -> None:
    """Write an event; `run` is DAG and run id. Of one run, what is told twice is written once."""
    dag_id, run_id = run or (None, None)
    row = {"at": at, "kind": kind, "entity": entity, "message": message}
    row |= {"dag_id": dag_id, "run_id": run_id}
    if run is not None:
        same = [sync_event.c[name].is_not_distinct_from(row[name]) for name in row if name != "at"]
        connection.execute(delete(sync_event).where(*same))
    insert = dialect_insert(connection)
    position = select(func.coalesce(func.max(sync_event.c.position), 0) + 1).scalar_subquery()
    values = [literal(value, sync_event.c[name].type) for name, value in row.items()]
    statement = insert(sync_event).from_select(
        ["position", *row], select(position.label("position"), *values)
    )
    # Somebody else may take the same number: then the next one is free.
    while not connection.execute(
        statement.on_conflict_do_nothing(), execution_options={"preserve_rowcount": True}
    ).rowcount:
        continue
