"""What each run did, in tables that users can query: `sync_run`, `sync_run_entity`, `sync_error`.

A run is known by its DAG and run id. Cleared and run again it begins its row anew, so that the
table says what the store last got from it. Two deployments may share a store and a run id: what
one has loaded is known by its attempt, an id that nobody else has.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, insert, or_, select

from opportunity_sync.store.schema.tables import (
    COUNTS,
    sync_error,
    sync_run,
    sync_run_entity,
    sync_run_lag,
    sync_run_progress,
    sync_run_task,
)
from opportunity_sync.store.statements.counts import Counts
from opportunity_sync.store.statements.upsert import dialect_insert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Table
    from sqlalchemy.dialects import postgresql, sqlite


RUNNING = "running"
SUCCEEDED = "succeeded"
FAILED = "failed"
_UNKNOWN = "unknown"
_KEY = ("dag_id", "run_id")


def begin_run(connection: Connection, dag_id: str, run_id: str, **given: Any) -> None:
    """Record a run as running; one that begins again (cleared, re-run) starts from nothing.

    `given`: attempt, mode, window_start, window_end, started_at.
    """
    for table in (sync_error, sync_run_entity, sync_run_lag, sync_run_progress, sync_run_task):
        connection.execute(delete(table).where(_is_of_run(table, dag_id, run_id)))
    row = {"dag_id": dag_id, "run_id": run_id, "outcome": RUNNING} | given
    fresh = dict.fromkeys(column.name for column in sync_run.c if column.name not in _KEY)
    counted = {"requests": 0, "replaced_characters": 0}
    statement = _insert(connection, fresh | counted | row)
    connection.execute(_replace_on_conflict(statement, list(fresh)))


def end_run(
    connection: Connection,
    dag_id: str,
    run_id: str,
    *,
    attempt: str | None,
    outcome: str,
    **given: Any,
) -> None:
    """Record how a run ended, also one that another deployment's run of the same name has hidden.

    Success replaces a failure (its task was cleared); a failure never replaces the success of the
    same attempt. `given`: counts (by entity name, or 'role'), requests, replaced_characters,
    error, error_code; and mode and started_at of a run that was never recorded.
    """
    counts = given.pop("counts", None)
    known = select(sync_run.c.attempt).where(_is_of_run(sync_run, dag_id, run_id))
    if connection.scalar(known) != attempt:  # the numbers there are another attempt's
        connection.execute(
            delete(sync_run_entity).where(_is_of_run(sync_run_entity, dag_id, run_id))
        )
    row = {
        "dag_id": dag_id,
        "run_id": run_id,
        "attempt": attempt,
        "outcome": outcome,
        "ended_at": datetime.now(UTC),
        "error": None,
        "error_code": None,
    }
    row |= given
    first = {"mode": _UNKNOWN, "started_at": row["ended_at"]}
    statement = _insert(connection, first | row)
    is_same = sync_run.c.attempt.is_not_distinct_from(statement.excluded.attempt)
    is_succeeded = and_(is_same, sync_run.c.outcome == SUCCEEDED)
    is_success = statement.excluded.outcome == SUCCEEDED
    copied = [name for name in row if name not in _KEY]
    written = connection.execute(
        _replace_on_conflict(statement, copied, where=or_(is_success, ~is_succeeded))
    )
    if counts is not None and written.rowcount:
        _count(connection, counts, dag_id=dag_id, run_id=run_id)


def fail_run(
    connection: Connection, dag_id: str, run_id: str, *, attempt: str | None = None, **given: Any
) -> None:
    """Record a failure, of a run that may have failed before it was recorded as running.

    `given`: mode, started_at, error, error_code. What an earlier attempt left of the same run
    goes, unless this attempt has loaded already.
    """
    known = select(sync_run.c.attempt).where(_is_of_run(sync_run, dag_id, run_id))
    if attempt is None or connection.scalar(known) != attempt:
        begin_run(
            connection,
            dag_id,
            run_id,
            attempt=attempt,
            mode=given.get("mode", _UNKNOWN),
            started_at=given.get("started_at") or datetime.now(UTC),
        )
    end_run(connection, dag_id, run_id, attempt=attempt, outcome=FAILED, **given)


def outcome_of(connection: Connection, dag_id: str, run_id: str) -> str | None:
    """How the run stands: running, succeeded, failed; None for a run that nobody recorded."""
    return connection.scalar(select(sync_run.c.outcome).where(_is_of_run(sync_run, dag_id, run_id)))


def has_synced(connection: Connection) -> bool:
    """Whether a run that reads what is new, or everything, has ended well."""
    modes = sync_run.c.mode.in_(["continue", "full"])
    return bool(connection.scalar(select(exists().where(sync_run.c.outcome == SUCCEEDED, modes))))


def last_failure(connection: Connection, mode: str, *, since: datetime | None = None) -> str | None:
    """Why the newest run of a mode failed; None where it did not, or is under way.

    `since`: of runs that started earlier nothing is asked.
    """
    of_mode = select(sync_run.c.outcome, sync_run.c.error).where(sync_run.c.mode == mode)
    if since is not None:
        of_mode = of_mode.where(sync_run.c.started_at >= since)
    row = connection.execute(of_mode.order_by(sync_run.c.started_at.desc()).limit(1)).one_or_none()
    return (row.error or "") if row is not None and row.outcome == FAILED else None


def seconds_per_request(connection: Connection, *, runs: int = 20) -> float | None:
    """How long the newest succeeded runs took for each request of theirs; None without any."""
    succeeded = select(sync_run).where(sync_run.c.outcome == SUCCEEDED, sync_run.c.requests > 0)
    rows = connection.execute(succeeded.order_by(sync_run.c.started_at.desc()).limit(runs)).all()
    requests = sum(row.requests for row in rows)
    seconds = sum((row.ended_at - row.started_at).total_seconds() for row in rows if row.ended_at)
    return max(0.0, seconds) / requests if requests else None


def counts_of_attempt(connection: Connection, attempt: str) -> dict[str, Counts] | None:
    """What an attempt has done, by its own record; None where it has not committed."""
    is_committed = and_(sync_run.c.attempt == attempt, sync_run.c.outcome == SUCCEEDED)
    run = connection.execute(select(sync_run.c.dag_id, sync_run.c.run_id).where(is_committed))
    found = run.one_or_none()
    if found is None:
        return None
    counted = select(sync_run_entity).where(_is_of_run(sync_run_entity, *found))
    rows = connection.execute(counted.order_by(sync_run_entity.c.entity)).mappings()
    return {row["entity"]: Counts(**{name: row[name] for name in COUNTS}) for row in rows}


def count_filled(
    connection: Connection, run: tuple[str, str], entity: str, *, updated: int
) -> None:
    """Add rows that a run (DAG and run id) has changed to its count, while it is under way."""
    kind = dialect_insert(connection)
    row = {"dag_id": run[0], "run_id": run[1], "entity": entity, "updated": updated}
    statement = kind(sync_run_entity).values(row)
    total = sync_run_entity.c.updated + statement.excluded.updated
    connection.execute(
        statement.on_conflict_do_update(index_elements=[*_KEY, "entity"], set_={"updated": total})
    )


def counted_updates(connection: Connection, dag_id: str, run_id: str) -> dict[str, int]:
    """How many rows a run has changed so far, by entity name."""
    counted = select(sync_run_entity.c.entity, sync_run_entity.c.updated)
    rows = connection.execute(counted.where(_is_of_run(sync_run_entity, dag_id, run_id)))
    return {row[0]: row[1] for row in rows}


def record_errors(  # noqa: PLR0917 - a run is known by two names
    connection: Connection, dag_id: str, run_id: str, refused: Sequence[Mapping[str, Any]]
) -> None:
    """List the rows that were refused: entity, record_id, field, code, message of each."""
    connection.execute(delete(sync_error).where(_is_of_run(sync_error, dag_id, run_id)))
    names = ("entity", "record_id", "field", "code", "message")
    rows = [
        {"dag_id": dag_id, "run_id": run_id, "position": position}
        | {name: row[name] for name in names}
        for position, row in enumerate(refused, start=1)
    ]
    if rows:
        connection.execute(insert(sync_error), rows)


def _count(
    connection: Connection, counts: Mapping[str, Counts], *, dag_id: str, run_id: str
) -> None:
    """One row for each entity and for the roles, zeros where nothing was done."""
    connection.execute(delete(sync_run_entity).where(_is_of_run(sync_run_entity, dag_id, run_id)))
    rows = [
        {"dag_id": dag_id, "run_id": run_id, "entity": name}
        | {count: getattr(of_entity, count) for count in COUNTS}
        for name, of_entity in counts.items()
    ]
    if rows:
        connection.execute(insert(sync_run_entity), rows)


def _insert(connection: Connection, row: Mapping[str, Any]) -> postgresql.Insert | sqlite.Insert:
    kind = dialect_insert(connection)
    return kind(sync_run).values(dict(row))


def _replace_on_conflict(
    statement: postgresql.Insert | sqlite.Insert,
    names: Sequence[str],
    *,
    where: ColumnElement[bool] | None = None,
) -> postgresql.Insert | sqlite.Insert:
    """What stands there of the same run gets these columns: whoever writes last is told of."""
    given = {name: statement.excluded[name] for name in names}
    return statement.on_conflict_do_update(index_elements=_KEY, set_=given, where=where)


def _is_of_run(table: Table, dag_id: str, run_id: str) -> ColumnElement[bool]:
    return and_(table.c.dag_id == dag_id, table.c.run_id == run_id)
