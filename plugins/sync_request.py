"""What a run is asked to bring: decided by how Airflow started it, or by its form.

Airflow starts runs in many ways, and the data interval means something different in each: it is
exact for backfills, only a tick for a schedule that shall heal gaps, and missing altogether for
manual runs without a logical date. Here each way becomes one of four requests: continue from
the watermark, take exactly a range, take everything, compare everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opportunity_sync.pipeline.run import RunRequest

Mode = Literal["continue", "range", "full", "reconcile"]
Interval = tuple[datetime | None, datetime | None]


@dataclass(frozen=True, slots=True)
class StartedRun:
    """How Airflow started a run, and what its form says."""

    dag_id: str
    run_id: str
    run_type: str
    interval: Interval
    params: Mapping[str, Any]
    run_after: datetime


def started_run(context: Mapping[str, Any]) -> StartedRun:
    """The facts of the run that a task's context belongs to."""
    dag_run = context["dag_run"]
    return StartedRun(
        dag_id=dag_run.dag_id,
        run_id=dag_run.run_id,
        run_type=str(getattr(dag_run.run_type, "value", dag_run.run_type)),
        interval=(dag_run.data_interval_start, dag_run.data_interval_end),
        params=context["params"],
        run_after=dag_run.run_after,
    )


def request(run: StartedRun) -> RunRequest:
    """What the run shall bring; raises `ConfigError` when the form contradicts itself."""
    from opportunity_sync.pipeline.run import RunRequest

    mode, (start, end) = window(run)
    return RunRequest(
        dag_id=run.dag_id,
        run_id=run.run_id,
        mode=mode,
        window_start=start,
        window_end=end,
        accept_deletions=accepts_deletions(run, mode),
        new_epoch=run.run_type != "backfill" and bool(run.params.get("new_epoch")),
        new_organization=new_organization(run),
    )


def window(run: StartedRun) -> tuple[Mode, Interval]:
    """The mode and its bounds, UTC; bounds are given for `range` only.

    A backfill takes exactly its interval on any DAG and whatever its form says; the form's mode
    `interval` does the same for the backfill DAG's own runs.
    """
    if run.run_type == "backfill" or run.params["mode"] == "interval":
        return "range", ordered(interval(run), told_by="the run's data interval")
    mode: Mode = run.params["mode"]
    # A form without `range` has no window either.
    given = (instant(run.params.get("window_start")), instant(run.params.get("window_end")))
    if mode == "range":
        return mode, ordered(given, told_by="the form's window_start and window_end")
    if any(given):
        raise ConfigError(
            f"The form gives a window, but its mode is '{mode}', which takes none.",
            next_step="trigger again with mode 'range', or without window_start and window_end.",
        )
    return mode, (None, None)


def interval(run: StartedRun) -> Interval:
    """The run's data interval; of a run without a logical date, the last whole day (UTC)."""
    if run.interval != (None, None):
        return run.interval
    midnight = run.run_after.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=1), midnight


def accepts_deletions(run: StartedRun, mode: Mode) -> bool:
    """Whether the form lets the run mark more rows as gone than the guard allows.

    Refused for a range, where no row counts as gone; a backfill's form does not count at all.
    """
    if run.run_type == "backfill" or not run.params["accept_deletions"]:
        return False
    if mode == "range":
        raise ConfigError(
            "The form accepts deletions, but a range shows none.",
            next_step="trigger again without accept_deletions, or trigger the DAG whose run "
            "refused to mark them.",
        )
    return True


def new_organization(run: StartedRun) -> str | None:
    """The id of the organisation that takes the store over; a backfill's form does not count."""
    given = (run.params.get("new_organization") or "").strip().strip("{}").lower()
    return given if given and run.run_type != "backfill" else None


def ordered(bounds: Interval, *, told_by: str) -> tuple[datetime, datetime]:
    """Both bounds, the first before the second, or a `ConfigError`."""
    start, end = bounds
    if start is None or end is None or start >= end:
        shown = " to ".join(bound.isoformat() if bound else "nothing" for bound in bounds)
        raise ConfigError(
            f"A range needs a start before its end; {told_by} go from {shown}.",
            next_step="trigger again with mode 'range' and both ends, the start first.",
        )
    return start, end


def instant(text: str | None) -> datetime | None:
    """A date-time of the form; without an offset it means UTC."""
    if not text:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"The form's '{text}' is no date-time.",
            next_step="trigger again with date-times such as 2026-11-03T00:00:00Z.",
        ) from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
