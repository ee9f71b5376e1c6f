"""Dynamics 365 opportunities to the Marketo store.

`dynamics_opportunity_sync` runs every five minutes and continues where the last successful run
stopped; its first run on an empty store takes everything. `dynamics_opportunity_backfill` is the
same graph over contiguous daily windows `[start, end)`: the one to backfill from.
`dynamics_opportunity_reconcile` compares key and version of every row with the store once a day,
and mends what no window shows: deletions, back-dated rows, cascades, access lost or gained.

`dynamics_quick_sync` fills newly selected fields into the rows that are there, beside the running
sync: it starts by itself when the selection has changed, or by hand for fields of your choice.

**The graph.** `begin` checks both connections, decides the window and plans the columns; four
`extract_...` tasks read Dynamics into staging, in parallel; `transform` resolves accounts and
contact roles; `load` writes everything in one transaction, or nothing; `finish` closes the run's
books, removes its staging, and is red for every run without a load: Airflow judges the run by it.

**Run it by hand.** Trigger with mode `continue` (from the last successful run), `range` (what was
modified in a window, both ends given, UTC unless they say otherwise; never moves the watermark)
or `full` (every row). A logical date is not needed. The backfill DAG also offers `interval`:
the run's own data interval. The switches below the window are for repairs: a run that refused
something names the one that lets it through. Look in Dynamics first, then trigger that DAG again
with it. An entry that the form does not have is refused.

**Backfill.** Trigger -> Backfill, on the backfill DAG: each run takes exactly its data interval, a
day. Runs may overlap, repeat and go backwards: an older version of a row never replaces a newer
one. The sync (2,016 runs a week) and the reconciliation (of now, whatever its date) take none.

**When a task is red.** The last lines of its log say `What happened`, the `Next step`, `Details`
and where the `Runbook` has more. A person must act (`ConfigError`: credentials, settings,
privileges, staging): the task failed at once; mend the cause, then clear the task. It heals itself
(throttling, network, a busy store): the task is up for retry. Nothing is in the store before
`load` is green, so a failed run loses nothing: the next one starts from the same watermark.
`docs/runbook.md` has an entry for each class of error.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import (
    DAG,
    Asset,
    AssetAlias,
    CronDataIntervalTimetable,
    get_current_context,
    task,
)

from opportunity_sync.model import EXTRACT_TASKS
from sync_assets import MARKETO_STORE, STORE_ASSETS, announce_changes
from sync_dag_docs import describe_dag, describe_task
from sync_deadlines import WatchedDag, deadlines
from sync_forms import quick_sync_form, sync_form
from sync_patience import RETRIES, SYNC
from sync_task_retries import FIRST_WAIT, LONGEST_WAIT, SyncRetryPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

# That columns were selected which the stored rows do not have yet; it starts the quick sync.
SELECTION = Asset(
    "dynamics_selected_fields", uri="dynamics://selected_fields", group="opportunity_sync"
)
SELECTIONS = AssetAlias("dynamics_selected_fields_changes", group="opportunity_sync")

# Stalls are bounded inside (no whole page in so many minutes, so long for the store's lock), so
# these need only stop what hangs for ever. Even the short one is longer than all such waits of its
# tasks one after another, and a first sync of millions of rows takes hours and must be let through.
SHORT = timedelta(hours=4)
LONG = timedelta(hours=24)

# For a DAG whose runs are not by window: each run of a backfill would do the same.
ALL_BUT_BACKFILLS: Any = ("scheduled", "asset_triggered", "manual", "operator_triggered")

DEFAULTS: dict[str, Any] = {
    "retries": RETRIES,
    "retry_delay": FIRST_WAIT,
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": LONGEST_WAIT,
    "retry_policy": SyncRetryPolicy(),
    # What a task did stands in its log in words; the dict it passes on says it once more.
    "show_return_value_in_logs": False,
}


# A task returns one dict that is read as one: not unrolled into an XCom, and a request, per key.
@task(
    execution_timeout=SHORT,
    multiple_outputs=False,
    outlets=[SELECTIONS],
    doc_md=describe_task("begin"),
)
def begin() -> dict[str, Any]:
    import sync_tasks

    context = get_current_context()
    run = sync_tasks.begin(context)
    if run["to_fill"]:
        context["outlet_events"][SELECTIONS].add(SELECTION, extra={"fields": run["to_fill"]})
    return run


@task(execution_timeout=LONG, multiple_outputs=False, doc_md=describe_task("extract"))
def extract() -> dict[str, Any]:
    import sync_tasks

    return sync_tasks.extract(get_current_context())


@task(execution_timeout=LONG, multiple_outputs=False, doc_md=describe_task("transform"))
def transform() -> dict[str, Any]:
    import sync_tasks

    return sync_tasks.transform(get_current_context())


@task(
    execution_timeout=LONG,
    multiple_outputs=False,
    max_active_tis_per_dag=1,
    outlets=STORE_ASSETS,
    doc_md=describe_task("load"),
)
def load() -> dict[str, Any]:
    import sync_tasks

    context = get_current_context()
    return announce_changes(context, sync_tasks.load(context))


@task(
    task_id="load",
    execution_timeout=LONG,
    multiple_outputs=False,
    outlets=STORE_ASSETS,
    doc_md=describe_task("fill"),
)
def fill() -> dict[str, Any]:
    import sync_tasks

    context = get_current_context()
    return announce_changes(context, sync_tasks.fill(context))


@task(
    execution_timeout=SHORT,
    multiple_outputs=False,
    inlets=[MARKETO_STORE],
    doc_md=describe_task("finish"),
)
def finish() -> dict[str, Any]:
    import sync_tasks

    return sync_tasks.finish(get_current_context())


def opportunity_dag(
    dag_id: str, cron: str, *, modes: Sequence[str], description: str, max_active_runs: int
) -> DAG:
    """One DAG over the common graph."""
    with WatchedDag(
        dag_id,
        description=description,
        # Not a plain cron string: those give windows of zero width.
        schedule=CronDataIntervalTimetable(cron, timezone="UTC"),
        catchup=False,
        max_active_runs=max_active_runs,
        allowed_run_types=None if "interval" in modes else ALL_BUT_BACKFILLS,
        default_args=DEFAULTS,
        params=sync_form(modes),
        # Only the running sync is ever late.
        deadline=deadlines() if dag_id == SYNC else None,
        doc_md=describe_dag(dag_id, __doc__),
        tags=["dynamics", "marketo", "opportunities"],
    ) as dag:
        extracts = [extract.override(task_id=name)() for name in EXTRACT_TASKS]
        begin() >> extracts >> transform() >> load() >> closing()
    return dag


def quick_sync_dag() -> DAG:
    """Chosen fields of the rows that are there; no schedule but a changed selection."""
    with DAG(
        "dynamics_quick_sync",
        description="Values of newly selected fields into the rows that are there.",
        schedule=[SELECTION],
        catchup=False,
        max_active_runs=1,
        allowed_run_types=ALL_BUT_BACKFILLS,
        default_args=DEFAULTS,
        params=quick_sync_form(),
        doc_md=describe_dag("dynamics_quick_sync", __doc__),
        tags=["dynamics", "marketo", "opportunities"],
    ) as dag:
        extracts = [extract.override(task_id=name)() for name in EXTRACT_TASKS]
        begin() >> extracts >> fill() >> closing()
    return dag


def closing() -> Any:
    """`finish`, which runs whatever happened, and by which the run is judged."""
    return finish().as_teardown(on_failure_fail_dagrun=True)


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
quick_sync_dag()
