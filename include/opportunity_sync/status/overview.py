"""How the sync stands, in one word, one sentence, and the figures of each table.

A stalled sync is silent: nothing fails, the tables just stop changing. So what counts first is how
long ago a run ended well, whoever is at fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from opportunity_sync import errors
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.status.figures import table_figures
from opportunity_sync.status.progress import running_runs
from opportunity_sync.store.books.runs import FAILED, SUCCEEDED
from opportunity_sync.store.schema.tables import sync_alert, sync_run

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy import Connection, Row

    from opportunity_sync.model import Model

SYNC_DAG = "dynamics_opportunity_sync"
# Runs after which the store has all that had changed by then.
_CONTINUING = ("continue", "full")
_HEALING = {
    each.__name__
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, errors.TransientError)
}


@dataclass(frozen=True, slots=True)
class Overview:
    """`state`: well, late, broken, empty or paused; `code` is None when all is well."""

    state: str
    sentence: str
    code: str | None
    entities: list[dict[str, Any]] = field(default_factory=list)
    running: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)


def overview(
    connection: Connection,
    *,
    now: datetime,
    late_after: timedelta,
    is_paused: bool,
    model: Model = DEFAULT_MODEL,
) -> Overview:
    """How the sync stands; `is_paused`: the DAG of the running sync is switched off."""
    success, last = _last_success(connection), _last_ended(connection)
    succeeded_at = success.ended_at if success else None
    failure = last if last is not None and last.outcome == FAILED else None
    state, sentence, code = _verdict(
        succeeded_at, failure, now=now, late_after=late_after, is_paused=is_paused
    )
    return Overview(
        state=state,
        sentence=sentence,
        code=code,
        entities=table_figures(connection, model, now=now, last_success_at=succeeded_at),
        running=running_runs(connection, now=now),
        alerts=_alerts(connection),
    )


def broken_overview(error: errors.SyncError) -> Overview:
    """How the sync stands where the store can't be asked."""
    return Overview("broken", f"Broken: {error.problem} {_as_step(error.next_step)}", error.code)


def empty_overview() -> Overview:
    """How the sync stands where no run has made the store yet."""
    return Overview(*_EMPTY)


_EMPTY = (
    "empty",
    f"Empty: no sync has ended yet. Next step: switch on DAG {SYNC_DAG}, or wait for its run.",
    "sync.empty",
)


def _verdict(
    succeeded_at: datetime | None,
    failure: Row[Any] | None,
    *,
    now: datetime,
    late_after: timedelta,
    is_paused: bool,
) -> tuple[str, str, str | None]:
    """State, sentence and code.

    A failure that heals by itself is no more than lateness, which tells of it once it lasts.
    """
    needs_a_person = failure is not None and failure.error_code not in _HEALING
    if succeeded_at is None and not needs_a_person:
        return _EMPTY
    if is_paused:
        step = f"Next step: switch on DAG {SYNC_DAG}."
        return "paused", f"Paused: the sync is switched off. {step}", "sync.paused"
    if failure is not None and needs_a_person:
        return "broken", f"Broken: the last sync failed. {_reason(failure)}", _code(failure)
    age = now - (succeeded_at or now)
    if age <= late_after:
        return "well", f"All is well: the last sync ended {_in_words(age)} ago.", None
    sentence = f"Late: the last successful sync ended {_in_words(age)} ago."
    if failure is not None:
        return "late", f"{sentence} {_reason(failure)}", _code(failure)
    step = f"Next step: see that the scheduler runs, and what holds up DAG {SYNC_DAG}."
    return "late", f"{sentence} {step}", "sync.late"


def _reason(failure: Row[Any]) -> str:
    return failure.error or "Next step: look into the log of its failed task."


def _code(failure: Row[Any]) -> str:
    return failure.error_code or "sync.failed"


def _as_step(next_step: str) -> str:
    return f"Next step: {next_step}"


def _in_words(span: timedelta) -> str:
    minutes = max(0, int(span.total_seconds() // 60))
    for size, noun in ((1440, "day"), (60, "hour")):
        if minutes >= 2 * size:
            return f"{minutes // size} {noun}s"
    return f"{minutes} minute" if minutes == 1 else f"{minutes} minutes"


def _last_success(connection: Connection) -> Row[Any] | None:
    succeeded = select(sync_run).where(
        sync_run.c.outcome == SUCCEEDED, sync_run.c.mode.in_(_CONTINUING)
    )
    return connection.execute(succeeded.order_by(sync_run.c.ended_at.desc()).limit(1)).one_or_none()


def _last_ended(connection: Connection) -> Row[Any] | None:
    ended = select(sync_run).where(
        sync_run.c.ended_at.is_not(None), sync_run.c.mode.in_(_CONTINUING)
    )
    return connection.execute(ended.order_by(sync_run.c.ended_at.desc()).limit(1)).one_or_none()


def _alerts(connection: Connection) -> list[dict[str, Any]]:
    rows = connection.execute(select(sync_alert).order_by(sync_alert.c.since))
    return [dict(row) for row in rows.mappings()]
