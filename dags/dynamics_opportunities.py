"""Dynamics 365 opportunities to the Marketo store.

`dynamics_opportunity_sync` runs every five minutes and continues where the last successful run
stopped; its first run on an empty store takes everything. `dynamics_opportunity_backfill` is the
same graph over contiguous daily windows `[start, end)`: the one to backfill from.
`dynamics_opportunity_reconcile` compares key and version of every row with the store once a day,
and mends what no window shows: deletions, back-dated rows, cascades, access lost or gained.

**The graph.** `begin` checks both connections, decides the window and plans the columns; four
`extract_...` tasks read Dynamics into staging, in parallel; `transform` resolves accounts and
contact roles; `load` writes everything in one transaction, or nothing; `finish` closes the run's
books, also those of a failed one, and removes its staging.

**Run it by hand.** Trigger with mode `continue` (from the last successful run), `range` (what was
modified in a window, both ends given, UTC unless they say otherwise; never moves the watermark)
or `full` (every row). A logical date is not needed. The backfill DAG also offers `interval`:
the run's own data interval. Only a run that refused to mark so many deletions asks for
`accept_deletions`: look in Dynamics first, then trigger that DAG again with it.

**Backfill.** Trigger -> Backfill, on the sync or the backfill DAG: each run takes exactly its data
interval. Runs may overlap, repeat and go backwards: an older version of a row never replaces a
newer one. A reconciliation is of now, whatever its date, so that DAG takes no backfills.

**When a task is red.** The last lines of its log say what happened and the next step. A person
must act (`ConfigError`: credentials, privileges, settings, staging): the task failed at once;
mend the cause, then clear the task. It heals by itself (throttling, network, a busy store): the
task is up for retry. Nothing is in the store before `load` is green, so a failed run loses
nothing: the next one starts from the same watermark. `docs/runbook.md` has an entry for each
class of error.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import (
    DAG,
    Asset,
    AssetAlias,
    CronDataIntervalTimetable,
    Param,
    get_current_context,
    task,
)

from opportunity_sync.entities import EXTRACTS
from sync_retries import SyncRetryPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

MARKETO_STORE = Asset(
    "marketo_store", uri="marketo-store://marketo_store", group="opportunity_sync"
)
CHANGES = AssetAlias("marketo_store_changes", group="opportunity_sync")

# Stalls are bounded by the client (no whole page in so many minutes), so these need only stop
# what hangs for ever: a first sync of millions of rows takes hours and must be let through.
SHORT = timedelta(minutes=30)
LONG = timedelta(hours=24)

MODES = {
    "continue": "continue: what changed since the last successful run.",
    "interval": "interval: what was modified in the run's own data interval.",
    "range": "range: what was modified in the window below.",
    "full": "full: every row.",
    "reconcile": "reconcile: key and version of every row, and then the rows that differ.",
}

# For a DAG that takes no windows: each run of a backfill would do the same.
ALL_BUT_BACKFILLS: Any = ("scheduled", "manual", "operator_triggered")

RETRIES: dict[str, Any] = {
    "retries": 6,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
    "retry_policy": SyncRetryPolicy(),
}


# A task returns one dict that is read as one: not unrolled into an XCom, and a request, per key.
@task(execution_timeout=SHORT, multiple_outputs=False)
def begin() -> dict[str, Any]:
    import sync_tasks

    return sync_tasks.begin(get_current_context())


@task(execution_timeout=LONG, multiple_outputs=False)
def extract() -> dict[str, Any]:
    import sync_tasks

    return sync_tasks.extract(get_current_context())


@task(execution_timeout=LONG, multiple_outputs=False)
def transform() -> dict[str, Any]:
    import sync_tasks

    return sync_tasks.transform(get_current_context())


@task(
    execution_timeout=LONG,
    multiple_outputs=False,
    max_active_tis_per_dag=1,
    outlets=[CHANGES],
)
def load() -> dict[str, Any]:
    import sync_tasks

    context = get_current_context()
    summary = sync_tasks.load(context)
    if summary["changed"]:
        # Through an alias: an outlet proper would announce every run, changed or not.
        context["outlet_events"][CHANGES].add(MARKETO_STORE, extra=summary)
    return summary


@task(execution_timeout=SHORT)
def finish() -> None:
    import sync_tasks

    sync_tasks.finish(get_current_context())


def form(modes: Sequence[str]) -> dict[str, Param]:
    """The trigger form; the first mode is what a scheduled run takes."""
    fields = {
        "mode": Param(
            modes[0],
            enum=list(modes),
            title="What to bring",
            description=" ".join(MODES[mode] for mode in modes),
        ),
        "accept_deletions": Param(
            default=False,
            type="boolean",
            title="Accept deletions",
            description="Mark what is gone, even if it is more of a table than is believed "
            "otherwise. Not for range.",
        ),
    }
    if "full" in modes:
        fields["new_epoch"] = Param(
            default=False,
            type="boolean",
            title="New epoch",
            description="After the organisation was restored from a backup: let its lower versions "
            "replace those of the store. For full only.",
        )
        fields["new_organization"] = Param(
            None,
            type=["null", "string"],
            title="New organisation",
            description="Hand the store over to the organisation with this id, which has taken the "
            "other one's place. With new epoch only.",
        )
    return fields | window_fields() if "range" in modes else fields


def window_fields() -> dict[str, Param]:
    moment: dict[str, Any] = {"type": ["null", "string"], "format": "date-time"}
    return {
        "window_start": Param(None, **moment, title="Window start", description="For range only."),
        "window_end": Param(
            None, **moment, title="Window end (not included)", description="For range only."
        ),
    }


def opportunity_dag(
    dag_id: str, cron: str, *, modes: Sequence[str], description: str, max_active_runs: int
) -> DAG:
    """One DAG over the common graph."""
    with DAG(
        dag_id,
        description=description,
        # Not a plain cron string: those give windows of zero width.
        schedule=CronDataIntervalTimetable(cron, timezone="UTC"),
        catchup=False,
        max_active_runs=max_active_runs,
        allowed_run_types=None if "range" in modes else ALL_BUT_BACKFILLS,
        default_args=RETRIES,
        params=form(modes),
        doc_md=__doc__,
        tags=["dynamics", "marketo", "opportunities"],
    ) as dag:
        extracts = [extract.override(task_id=name)() for name in EXTRACTS]
        begin() >> extracts >> transform() >> load() >> finish().as_teardown()
    return dag


opportunity_dag(
    "dynamics_opportunity_sync",
    "*/5 * * * *",
    modes=("continue", "range", "full"),
    description="What changed in Dynamics since the last successful run, every five minutes.",
    max_active_runs=1,
)
opportunity_dag(
    "dynamics_opportunity_backfill",
    "0 0 * * *",
    modes=("interval", "range", "full", "continue"),
    description="What was modified in Dynamics on one day; the DAG to backfill.",
    max_active_runs=4,
)
opportunity_dag(
    "dynamics_opportunity_reconcile",
    "0 3 * * *",
    modes=("reconcile",),
    description="Key and version of every row compared with the store, and mended, once a day.",
    max_active_runs=1,
)
