"""The DAG file as Airflow sees it: it parses lightly, and its graph is the contract's."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import CronDataIntervalTimetable
from airflow.utils.types import DagRunType

from opportunity_sync.codes import CODES
from opportunity_sync.model import EXTRACT_TASKS
from opportunity_sync.settings import Settings
from sync_dag_docs import DAGS as DAG_PAGES
from sync_task_retries import SyncRetryPolicy

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

SYNC = "dynamics_opportunity_sync"
BACKFILL = "dynamics_opportunity_backfill"
RECONCILE = "dynamics_opportunity_reconcile"
QUICK_SYNC = "dynamics_quick_sync"
WINDOWED = [SYNC, BACKFILL, RECONCILE]
DAGS = [*WINDOWED, QUICK_SYNC]
HEAVY = ("aiohttp", "msal", "numpy", "pandas", "psycopg", "pyarrow", "requests")
PARSE = f"""
import json, os, sys
from airflow.dag_processing.dagbag import DagBag
before = set(sys.modules)
bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
print(json.dumps([sorted(bag.dags), bag.import_errors, [m for m in {HEAVY!r} if m in sys.modules]]))
"""

each_dag = pytest.mark.parametrize("dag_id", DAGS)
each_windowed_dag = pytest.mark.parametrize("dag_id", WINDOWED)


@pytest.fixture(scope="module")
def bag() -> DagBag:
    """Every DAG of the project."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag()


def outlets_of(bag: DagBag, dag_id: str, task_id: str) -> list[Any]:
    """The assets and aliases that a task may announce as changed."""
    return list(bag.dags[dag_id].get_task(task_id).outlets)


def test_the_dags_parse_without_heavy_imports() -> None:
    """A fresh process finds all DAGs and imports neither pandas nor anything for the network."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE], capture_output=True, text=True, timeout=600, check=True
    )

    dags, errors, heavy = json.loads(done.stdout.splitlines()[-1])

    assert errors == {}
    assert set(DAGS) <= set(dags)
    assert heavy == []


@each_windowed_dag
def test_the_graph_is_the_contracts(bag: DagBag, dag_id: str) -> None:
    """Four extracts side by side, then transform, then load; book-keeping before and after."""
    downstream = {task.task_id: task.downstream_task_ids for task in bag.dags[dag_id].tasks}

    assert downstream == {
        "begin": set(EXTRACT_TASKS),
        **{name: {"transform"} for name in EXTRACT_TASKS},
        "transform": {"load"},
        "load": {"finish"},
        "finish": set(),
    }


def test_a_quick_sync_reads_and_fills_without_a_transform(bag: DagBag) -> None:
    """The same extracts, and a load that writes columns: it decides no association."""
    dag = bag.dags[QUICK_SYNC]

    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "begin": set(EXTRACT_TASKS),
        **{name: {"load"} for name in EXTRACT_TASKS},
        "load": {"finish"},
        "finish": set(),
    }


def test_a_quick_sync_starts_by_a_changed_selection_one_at_a_time(bag: DagBag) -> None:
    """No clock starts it, but the asset that each run's `begin` may announce by an alias."""
    dag: Any = bag.dags[QUICK_SYNC]  # of a timetable by assets, whose type does not show
    aliases = [outlet.name for dag_id in DAGS for outlet in outlets_of(bag, dag_id, "begin")]

    [asset] = [asset.name for asset in dag.timetable.asset_condition.objects]
    assert asset == "dynamics_selected_fields"
    assert aliases == ["dynamics_selected_fields_changes"] * len(DAGS)
    assert dag.max_active_runs == 1
    assert not dag.catchup


@each_dag
def test_load_produces_the_store_and_its_tables(bag: DagBag, dag_id: str) -> None:
    """Outlets proper: active in Airflow's list, with the task that makes them."""
    outlets = [outlet.name for outlet in outlets_of(bag, dag_id, "load")]

    assert outlets == [
        "marketo_store",
        "marketo_store_opportunity",
        "marketo_store_contact",
        "marketo_store_account",
        "marketo_store_opportunity_contact_role",
    ]


def test_somebody_looks_after_a_hanging_run_of_the_sync(bag: DagBag) -> None:
    """The first time soon after the sync counts as late; runs of the others may take long."""
    alerts: Any = bag.dags[SYNC].deadline
    first = alerts[0]

    assert first.interval == timedelta(minutes=Settings().late_after_minutes + 1)
    assert first.callback.path == "sync_deadlines.look_again"
    assert [dag_id for dag_id in DAGS if bag.dags[dag_id].deadline] == [SYNC]


def test_the_form_of_a_quick_sync_asks_for_fields_and_a_range(bag: DagBag) -> None:
    """Fields first, one a line; an untouched form means all that wait, of all records."""
    params = bag.dags[QUICK_SYNC].params

    assert dict(params) == {
        "fields": [],
        "range_of": "modified",
        "window_start": None,
        "window_end": None,
        "accept_refusals": False,
    }
    assert "One a line" in str(params.get_param("fields").description)


@pytest.mark.parametrize(
    ("entry", "value"),
    [("fields", "contact.region"), ("fields", [7]), ("range_of", "deleted"), ("window_end", 2026)],
)
def test_the_form_of_a_quick_sync_refuses_what_is_no_entry_of_it(
    bag: DagBag, entry: str, value: object
) -> None:
    """When it is triggered, not in a task."""
    form = deepcopy(bag.dags[QUICK_SYNC].params)

    with pytest.raises(ValueError, match=entry):
        form[entry] = value


@each_dag
def test_a_run_is_judged_by_finish(bag: DagBag, dag_id: str) -> None:
    """It runs whatever happened, and its failure, for want of a load, is the run's."""
    finish = bag.dags[dag_id].get_task("finish")

    assert finish.is_teardown
    assert finish.on_failure_fail_dagrun


@pytest.mark.parametrize(
    ("dag_id", "cron", "max_active_runs", "mode"),
    [
        (SYNC, "*/5 * * * *", 1, "continue"),
        (BACKFILL, "0 0 * * *", 4, "interval"),
        (RECONCILE, "0 3 * * *", 1, "reconcile"),
    ],
)
def test_the_schedule_gives_contiguous_windows(
    bag: DagBag, dag_id: str, cron: str, max_active_runs: int, mode: str
) -> None:
    """An explicit data-interval timetable: a plain cron string would give empty intervals."""
    dag = bag.dags[dag_id]

    assert dag.timetable == CronDataIntervalTimetable(cron, timezone="UTC")
    assert not dag.catchup
    assert max_active_runs == dag.max_active_runs
    assert mode == dag.params["mode"]


@pytest.mark.parametrize(
    ("dag_id", "can"), [(SYNC, False), (BACKFILL, True), (RECONCILE, False), (QUICK_SYNC, False)]
)
def test_only_the_backfill_dag_can_be_backfilled(bag: DagBag, dag_id: str, can: bool) -> None:
    """A week would be 2,016 runs of the sync; the others' work is of now, whatever their date."""
    allowed = bag.dags[dag_id].allowed_run_types or DagRunType

    assert ("backfill" in list(allowed)) is can


@each_dag
def test_every_task_backs_off_and_ends(bag: DagBag, dag_id: str) -> None:
    """Each task has retries with growing waits, the policy of the errors, and an end in time."""
    for task in bag.dags[dag_id].tasks:
        assert (task.retries or 0) >= 3
        assert task.retry_exponential_backoff > 1
        assert isinstance(task.retry_policy, SyncRetryPolicy)
        assert timedelta(0) < (task.execution_timeout or timedelta(0)) <= timedelta(days=1)


@each_dag
def test_no_task_is_ended_while_it_waits_as_it_may(bag: DagBag, dag_id: str) -> None:
    """Each end is later than what a task can wait for: the store's lock twice, and Dynamics."""
    settings = Settings()
    waits = 2 * settings.store_lock_seconds + 4 * settings.page_timeout_seconds

    for task in bag.dags[dag_id].tasks:
        assert (task.execution_timeout or timedelta(0)) > timedelta(seconds=waits)


@each_dag
def test_a_log_does_not_end_in_a_dump(bag: DagBag, dag_id: str) -> None:
    """What a task returns is for the next task, not for a person."""
    assert not any(
        getattr(task, "show_return_value_in_logs", True) for task in bag.dags[dag_id].tasks
    )


@pytest.mark.parametrize(
    ("dag_id", "first"), [(SYNC, 3), (BACKFILL, 3), (RECONCILE, 1)], ids=["sync", "backfill", "rec"]
)
def test_repairs_stand_below_what_is_needed_often(bag: DagBag, dag_id: str, first: int) -> None:
    """Mode and window come first; the rare switches have a section of their own."""
    params = bag.dags[dag_id].params
    names = list(params)
    sections = [params.get_param(name).schema.get("section") for name in names]

    assert names[:first] == ["mode", "window_start", "window_end"][:first]
    assert sections == [None] * first + ["Repairs"] * (len(names) - first)
    assert {"accept_deletions", "accept_refusals"} <= set(names[first:])
    assert ("accept_filter_gone" in names) is ("full" in params.get_param("mode").schema["enum"])


@each_dag
def test_a_result_is_stored_once(bag: DagBag, dag_id: str) -> None:
    """Airflow does not take a returned dict apart, into a request for each of its keys."""
    assert not any(getattr(task, "multiple_outputs", True) for task in bag.dags[dag_id].tasks)


@each_dag
def test_the_runbook_is_on_the_dags_page(bag: DagBag, dag_id: str) -> None:
    """What this DAG does comes first, then the codes; the common part names the long runbook."""
    page = str(bag.dags[dag_id].doc_md)

    assert page.startswith(DAG_PAGES[dag_id])
    assert all(f"| `{code}` |" in page for code in CODES)
    assert "docs/runbook.md" in page


@each_dag
def test_every_task_says_what_red_means(bag: DagBag, dag_id: str) -> None:
    """On its own page, for whoever opens the task before its log."""
    assert all("Red" in str(task.doc_md) for task in bag.dags[dag_id].tasks)


@each_windowed_dag
@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("mode", "everything"),
        ("accept_deletions", "no"),
        ("accept_refusals", "1"),
    ],
)
def test_the_form_refuses_what_it_does_not_offer(
    bag: DagBag, dag_id: str, entry: str, value: object
) -> None:
    """A wrong entry is refused when the run is triggered, not in a task."""
    form = deepcopy(bag.dags[dag_id].params)

    with pytest.raises(ValueError, match=str(value)):
        form[entry] = value


@pytest.mark.parametrize("dag_id", [SYNC, BACKFILL])
def test_a_window_is_given_as_date_times(bag: DagBag, dag_id: str) -> None:
    """The reconciliation's form has no window at all."""
    form = deepcopy(bag.dags[dag_id].params)

    assert "window_end" not in bag.dags[RECONCILE].params
    with pytest.raises(ValueError, match="20261103"):
        form["window_end"] = 20261103
