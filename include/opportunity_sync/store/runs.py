"""What each run did, in tables that users can query: `sync_run` and `sync_error`.

A run is known by its DAG and run id. Cleared and run again it begins its row anew, so that the
table says what the store last got from it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, insert, literal, select, update

from opportunity_sync.store.tables import CHANGES, COUNTED, COUNTS, sync_error, sync_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Table

    from opportunity_sync.store.counts import Counts

RUNNING = "running"
SUCCEEDED = "succeeded"


def begin_run(connection: Connection, dag_id: str, run_id: str, **given: Any) -> None:
    """Record a run as running; one that begins again (cleared, re-run) starts from nothing.

    `given`: mode, window_start, window_end, started_at.
    """
    for table in (sync_error, sync_run):
        connection.execute(delete(table).where(_is(table, dag_id, run_id)))
    row = {"dag_id": dag_id, "run_id": run_id, "outcome": RUNNING}
    connection.execute(insert(sync_run), row | given)


def end_run(
    connection: Connection,
    dag_id: str,
    run_id: str,
    *,
    outcome: str,
    counts: Mapping[str, Counts] | None = None,
    **given: Any,
) -> None:
    """Record how a run ended; success replaces a failure (its task was cleared), never the reverse.

    `given`: requests, replaced_characters, error. Counts are by entity name, or 'role'.
    """
    numbers = {
        f"{name}_{count}": getattr(counted, count)
        for name, counted in (counts or {}).items()
        if name in COUNTED
        for count in COUNTS
    }
    connection.execute(
        update(sync_run)
        .where(_is(sync_run, dag_id, run_id), sync_run.c.outcome != SUCCEEDED)
        .values(
            {"outcome": outcome, "ended_at": datetime.now(UTC), "error": None, **numbers, **given}
        )
    )


def outcome_of(connection: Connection, dag_id: str, run_id: str) -> str | None:
    """How the run stands: running, succeeded, failed; None for a run that nobody recorded."""
    return connection.scalar(select(sync_run.c.outcome).where(_is(sync_run, dag_id, run_id)))


def rows_changed_by(connection: Connection, dag_id: str, run_id: str) -> int | None:
    """How many rows the run changed by its own record; None where its rows are not committed."""
    changes = (f"{name}_{count}" for name in COUNTED for count in CHANGES)
    changed = sum((sync_run.c[change] for change in changes), start=literal(0))
    is_committed = sync_run.c.outcome == SUCCEEDED
    return connection.scalar(select(changed).where(_is(sync_run, dag_id, run_id), is_committed))


def record_errors(  # noqa: PLR0917 - a run is known by two names
    connection: Connection, dag_id: str, run_id: str, refused: Sequence[Mapping[str, Any]]
) -> None:
    """List the rows that were refused: entity, record_id, field, code, message of each."""
    connection.execute(delete(sync_error).where(_is(sync_error, dag_id, run_id)))
    rows = [
        {"dag_id": dag_id, "run_id": run_id, "position": position, **row}
        for position, row in enumerate(refused, start=1)
    ]
    if rows:
        connection.execute(insert(sync_error), rows)


def _is(table: Table, dag_id: str, run_id: str) -> ColumnElement[bool]:
    return and_(table.c.dag_id == dag_id, table.c.run_id == run_id)
