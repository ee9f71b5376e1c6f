"""How the sync stands, in one word, one sentence, and the figures of each table.

A stalled sync is silent: nothing fails, the tables just stop changing. So what counts first is how
long ago a run ended well, whoever is at fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from opportunity_sync import codes
from opportunity_sync.core.standing import code_of_failure, is_late
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.status.figures import table_figures
from opportunity_sync.status.progress import running_runs
from opportunity_sync.store.journal.signs import EndedRun, read_ended_runs, read_last_success
from opportunity_sync.store.schema.tables import sync_alert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import Connection

    from opportunity_sync.errors import SyncError
    from opportunity_sync.model import Model

SYNC_DAG = "dynamics_opportunity_sync"


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
    succeeded_at = read_last_success(connection)
    state, sentence, code = _verdict(
        succeeded_at,
        read_ended_runs(connection),
        now=now,
        late_after=late_after,
        is_paused=is_paused,
    )
    return Overview(
        state=state,
        sentence=sentence,
        code=code,
        entities=table_figures(connection, model, now=now, last_success_at=succeeded_at),
        running=running_runs(connection, now=now),
        alerts=_alerts(connection),
    )


def broken_overview(error: SyncError) -> Overview:
    """How the sync stands where the store can't be asked."""
    sentence = f"Broken: {error.problem} Next step: {error.next_step}"
    return Overview("broken", sentence, codes.STORE_AWAY.name)


def empty_overview() -> Overview:
    """How the sync stands where no run has made the store yet."""
    return Overview(*_EMPTY)


_EMPTY = (
    "empty",
    f"Empty: no sync has ended yet. Next step: switch on DAG {SYNC_DAG}, or wait for its run.",
    codes.SYNC_EMPTY.name,
)


def _verdict(
    succeeded_at: datetime | None,
    ended: Sequence[EndedRun],
    *,
    now: datetime,
    late_after: timedelta,
    is_paused: bool,
) -> tuple[str, str, str | None]:
    """State, sentence and code, the latter as that of an alert about the same."""
    failing = code_of_failure([run.failure for run in ended])
    if succeeded_at is None and failing is None:
        return _EMPTY
    if is_paused:
        step = f"Next step: switch on DAG {SYNC_DAG}."
        return "paused", f"Paused: the sync is switched off. {step}", codes.SYNC_PAUSED.name
    if failing is not None:
        return "broken", f"Broken: the sync fails. {_reason(ended[0])}", failing
    age = _in_words(now - (succeeded_at or now))
    if not is_late(succeeded_at, now=now, after=late_after):
        return "well", f"All is well: the last sync ended {age} ago.", None
    sentence = f"Late: the last successful sync ended {age} ago."
    if ended[0].is_failed:
        return "late", f"{sentence} {_reason(ended[0])}", codes.SYNC_LATE.name
    step = f"Next step: see that the scheduler runs, and what holds up DAG {SYNC_DAG}."
    return "late", f"{sentence} {step}", codes.SYNC_LATE.name


def _reason(failure: EndedRun) -> str:
    return failure.error or "Next step: look into the log of its failed task."


def _in_words(span: timedelta) -> str:
    minutes = max(0, int(span.total_seconds() // 60))
    for size, noun in ((1440, "day"), (60, "hour")):
        if minutes >= 2 * size:
            return f"{minutes // size} {noun}s"
    return f"{minutes} minute" if minutes == 1 else f"{minutes} minutes"


def _alerts(connection: Connection) -> list[dict[str, Any]]:
    told = [column for column in sync_alert.c if column is not sync_alert.c.claimed_at]
    rows = connection.execute(select(*told).order_by(sync_alert.c.since))
    return [dict(row) for row in rows.mappings()]
