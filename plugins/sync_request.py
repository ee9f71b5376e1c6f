"""What a run is asked to bring: decided by how Airflow started it, or by its form.

Airflow starts runs in many ways, and the data interval means something different in each: it is
exact for backfills, only a tick for a schedule that shall heal gaps, and missing altogether for
manual runs without a logical date. Here each way becomes one of four requests: continue from
the watermark, take exactly a range, take everything, compare everything. What the form says and
the run would not do is an error: a misspelt entry must not become a run of another kind.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from opportunity_sync.errors import ConfigError
from opportunity_sync.model import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from opportunity_sync.pipeline.run import RunRequest

log = logging.getLogger(__name__)

Mode = Literal["continue", "range", "full", "reconcile", "fill"]
Interval = tuple[datetime | None, datetime | None]

# Dataverse refuses earlier moments, and the last year leaves no room for a zone or a margin.
EARLIEST = datetime(1753, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 1, 1, tzinfo=UTC)

TABLES = tuple(entity.name for entity in DEFAULT_MODEL.public)
BOTH_ENDS = "the form's window_start and window_end"


@dataclass(frozen=True, slots=True)
class StartedRun:
    """How Airflow started a run, and what its form says.

    `params` are the form's entries with the defaults filled in, `conf` those that were given, and
    `offered` the names that the form has (None: not known, nothing is refused for its name).
    `now` is when the run was begun, `run_after` by default.
    """

    dag_id: str
    run_id: str
    run_type: str
    interval: Interval
    params: Mapping[str, Any]
    run_after: datetime
    conf: Mapping[str, Any] = field(default_factory=dict)
    offered: Collection[str] | None = None
    now: datetime | None = None

    @property
    def is_backfill(self) -> bool:
        """Whether it is one of a backfill's runs, which all have the same form."""
        return self.run_type == "backfill"


def started_run(context: Mapping[str, Any]) -> StartedRun:
    """The facts of the run that a task's context belongs to."""
    dag_run, dag = context["dag_run"], context.get("dag")
    return StartedRun(
        dag_id=dag_run.dag_id,
        run_id=dag_run.run_id,
        run_type=str(getattr(dag_run.run_type, "value", dag_run.run_type)),
        interval=(dag_run.data_interval_start, dag_run.data_interval_end),
        params=context["params"],
        run_after=dag_run.run_after,
        conf=getattr(dag_run, "conf", None) or {},
        offered=None if dag is None else list(dag.params),
        now=datetime.now(UTC),
    )


def request(run: StartedRun) -> RunRequest:
    """What the run shall bring; raises `ConfigError` when the form contradicts itself."""
    from opportunity_sync.pipeline.run import RunRequest

    refuse_unknown(run)
    refuse_ignored(run)
    if is_quick_sync(run.params):
        return fill_request(run)
    mode, (start, end) = window(run)
    return RunRequest(
        dag_id=run.dag_id,
        run_id=run.run_id,
        mode=mode,
        window_start=start,
        window_end=end,
        accept_deletions=accepts_deletions(run, mode),
        accept_refusals=is_ticked(run, "accept_refusals"),
        retry_refused=is_ticked(run, "retry_refused"),
        accept_filter_gone=is_ticked(run, "accept_filter_gone"),
        new_epoch=is_ticked(run, "new_epoch"),
        new_organization=new_organization(run),
    )


def is_quick_sync(params: Mapping[str, Any]) -> bool:
    """Whether a form is the quick sync's, which asks for fields and has no mode."""
    return "fields" in params


def mode_of(params: Mapping[str, Any]) -> str:
    """The mode that a form asks for, also where the rest of it is wrong."""
    return "fill" if is_quick_sync(params) else str(params.get("mode"))


def fill_request(run: StartedRun) -> RunRequest:
    """What a quick sync shall fill; a run that nobody filled the form of fills all that waits.

    Raises `ConfigError` that names everything that is wrong with the form.
    """
    from opportunity_sync.pipeline.run import RunRequest

    fields = chosen_fields(run)
    (start, end), faults = fill_range(run)
    faults = [*filter(None, map(fault_of_field, fields)), *faults]
    if faults:
        raise ConfigError(
            f"The quick sync can't do what its form says. {' '.join(faults)}",
            next_step="trigger again with fields as contact.region, one a line (none: all that "
            "wait), and with both times, such as 2026-11-03T00:00:00Z, or with neither.",
        )
    return RunRequest(
        dag_id=run.dag_id,
        run_id=run.run_id,
        mode="fill",
        window_start=start,
        window_end=end,
        fields=fields,
        ranges_by=run.params["range_of"],
        accept_refusals=is_ticked(run, "accept_refusals"),
    )


def chosen_fields(run: StartedRun) -> tuple[str, ...]:
    """The fields of the form, one a line, as a list or with commas; each of them once."""
    given = run.params["fields"] or []
    text = given if isinstance(given, str) else "\n".join(given)
    return tuple(dict.fromkeys(re.findall(r"[^\s,]+", text)))


def fault_of_field(name: str) -> str | None:
    """Why a name can be no field of any selection; None where it may be one."""
    table, dot, field = name.partition(".")
    if not (table and dot and field):
        return f"'{name}' is not written as table.field."
    if table in TABLES:
        return None
    near = "".join(f" (near: '{known}')" for known in get_close_matches(table, TABLES, n=1))
    return f"'{name}' is of no table that is synced{near}."


def fill_range(run: StartedRun) -> tuple[Interval, list[str]]:
    """The range of a quick sync, nothing for all records, and what is wrong with it."""
    given: list[datetime | None] = []
    faults = []
    for name in ("window_start", "window_end"):
        try:
            given.append(moment_of(run, name))
        except ConfigError as error:
            faults.append(error.problem)
    if faults or not any(given):
        return (None, None), faults
    try:
        return require_possible_window(run, (given[0], given[1]), told_by=BOTH_ENDS), []
    except ConfigError as error:
        return (None, None), [error.problem]


def refuse_unknown(run: StartedRun) -> None:
    """Raise `ConfigError` naming every entry that the form does not have, and the nearest name.

    Airflow takes any key: `{"mod": "full"}` would else be a run that continues.
    """
    if run.offered is None:
        return
    unknown = sorted(set(run.conf) - set(run.offered))
    if not unknown:
        return
    near = {name: get_close_matches(name, list(run.offered), n=1) for name in unknown}
    shown = [f"'{name}'" + "".join(f" (near: '{n}')" for n in near[name]) for name in unknown]
    raise ConfigError(
        f"The run was given what the form of {run.dag_id} does not have: {', '.join(shown)}.",
        next_step=f"trigger again; the form has {', '.join(run.offered)}.",
    )


def refuse_ignored(run: StartedRun) -> None:
    """Raise `ConfigError` where Airflow's configuration lets nothing of a form through."""
    ignored = sorted(name for name, given in run.conf.items() if run.params.get(name) != given)
    if ignored:
        raise ConfigError(
            f"Airflow does not pass on what the form says: {', '.join(ignored)}.",
            next_step="set AIRFLOW__CORE__DAG_RUN_CONF_OVERRIDES_PARAMS to True (its default) on "
            "every machine, restart Airflow, and trigger again.",
        )


def window(run: StartedRun) -> tuple[Mode, Interval]:
    """The mode and its bounds, UTC; bounds are given for `range` only.

    A backfill takes exactly its interval whatever its form says; the form's mode `interval` does
    the same for the backfill DAG's own runs.
    """
    if run.is_backfill or run.params["mode"] == "interval":
        if run.params["mode"] != "interval":
            log.warning(
                "The form says mode '%s', but a backfill takes exactly its data interval.",
                run.params["mode"],
            )
        return "range", require_possible_window(
            run, interval(run), told_by="the run's data interval"
        )
    mode: Mode = run.params["mode"]
    # A form without `range` has no window either.
    given = (moment_of(run, "window_start"), moment_of(run, "window_end"))
    if mode == "range":
        return mode, require_possible_window(run, given, told_by=BOTH_ENDS)
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

    Refused for a range, where no row counts as gone.
    """
    if not is_ticked(run, "accept_deletions"):
        return False
    if mode == "range":
        raise ConfigError(
            "The form accepts deletions, but a range shows none.",
            next_step="trigger again without accept_deletions, or trigger the DAG whose run "
            "refused to mark them.",
        )
    return True


def is_ticked(run: StartedRun, name: str) -> bool:
    """Whether a switch of the form is on; a backfill's form has no say."""
    return not run.is_backfill and bool(run.params.get(name))


def new_organization(run: StartedRun) -> str | None:
    """The id of the organisation that takes the store over; a backfill's form does not count."""
    given = (run.params.get("new_organization") or "").strip().strip("{}").lower()
    return given if given and not run.is_backfill else None


def require_possible_window(
    run: StartedRun, bounds: Interval, *, told_by: str
) -> tuple[datetime, datetime]:
    """Both bounds, if there can be rows between them; else a `ConfigError`."""
    start, end = require_order(bounds, told_by=told_by)
    now = run.now or run.run_after
    if start >= now:
        raise ConfigError(
            f"The window begins in the future: {told_by} go from {start.isoformat()}, and it is "
            f"{now.isoformat(timespec='seconds')}.",
            next_step="trigger again with a window that has begun; nothing can have been "
            "modified in this one.",
        )
    if end > now:
        log.warning(
            "The window ends in the future (%s): what is modified from now on is not in this run.",
            end.isoformat(),
        )
    return start, end


def require_order(bounds: Interval, *, told_by: str) -> tuple[datetime, datetime]:
    """Both bounds, the first before the second, or a `ConfigError`."""
    start, end = bounds
    if start is None or end is None or start >= end:
        shown = " to ".join(bound.isoformat() if bound else "nothing" for bound in bounds)
        raise ConfigError(
            f"A range needs a start before its end; {told_by} go from {shown}.",
            next_step="trigger again with mode 'range' and both ends, the start first.",
        )
    return start, end


def moment_of(run: StartedRun, name: str) -> datetime | None:
    """A date-time of the form, UTC; without an offset it means UTC.

    Raises `ConfigError` where it is none, or none that Dataverse can compare with.
    """
    text = run.params.get(name)
    if not text:
        return None
    try:
        parsed = datetime.fromisoformat(text)
        moment = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except ValueError:
        raise ConfigError(
            f"The form's {name}, '{text}', is no date-time.",
            next_step="trigger again with date-times such as 2026-11-03T00:00:00Z.",
        ) from None
    except OverflowError:  # at the ends of the calendar, with an offset
        moment = None
    if moment is None or not EARLIEST <= moment < LATEST:
        raise ConfigError(
            f"The form's {name}, '{text}', is at an end of the calendar, where Dataverse has no "
            "times.",
            next_step=f"trigger again with a time from {EARLIEST.year} to {LATEST.year - 1}, or "
            "with mode 'full' for every row.",
        )
    return moment
