"""The DAG file as Airflow sees it: it parses lightly, and its graph is the contract's."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from airflow.sdk import CronDataIntervalTimetable
from airflow.utils.types import DagRunType

from opportunity_sync.entities import EXTRACTS
from sync_retries import SyncRetryPolicy

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

SYNC = "dynamics_opportunity_sync"
BACKFILL = "dynamics_opportunity_backfill"
RECONCILE = "dynamics_opportunity_reconcile"
DAGS = [SYNC, BACKFILL, RECONCILE]
HEAVY = ("aiohttp", "msal", "numpy", "pandas", "psycopg", "pyarrow", "requests")
PARSE = f"""
import json, os, sys
from airflow.dag_processing.dagbag import DagBag
before = set(sys.modules)
bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
print(json.dumps([sorted(bag.dags), bag.import_errors, [m for m in {HEAVY!r} if m in sys.modules]]))
"""

each_dag = pytest.mark.parametrize("dag_id", DAGS)


@pytest.fixture(scope="module")
def bag() -> DagBag:
    """Every DAG of the project."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag()


def test_the_dags_parse_without_heavy_imports() -> None:
    """A fresh process finds all DAGs and imports neither pandas nor anything for the network."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE], capture_output=True, text=True, timeout=600, check=True
    )

    dags, errors, heavy = json.loads(done.stdout.splitlines()[-1])

    assert errors == {}
    assert set(DAGS) <= set(dags)
    assert heavy == []


@each_dag
def test_the_graph_is_the_contracts(bag: DagBag, dag_id: str) -> None:
    """Four extracts side by side, then transform, then load; book-keeping before and after."""
    downstream = {task.task_id: task.downstream_task_ids for task in bag.dags[dag_id].tasks}

    assert downstream == {
        "begin": set(EXTRACTS),
        **{name: {"transform"} for name in EXTRACTS},
        "transform": {"load"},
        "load": {"finish"},
        "finish": set(),
    }


@each_dag
def test_finish_never_paints_a_failed_run_green(bag: DagBag, dag_id: str) -> None:
    """It is a teardown: it runs after a failure and does not count for the run's outcome."""
    finish = bag.dags[dag_id].get_task("finish")

    assert finish.is_teardown
    assert not finish.on_failure_fail_dagrun


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


@pytest.mark.parametrize(("dag_id", "can"), [(SYNC, True), (BACKFILL, True), (RECONCILE, False)])
def test_only_what_takes_windows_can_be_backfilled(bag: DagBag, dag_id: str, can: bool) -> None:
    """A reconciliation is of now, so Airflow refuses to run it once for each of thirty days."""
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
def test_a_result_is_stored_once(bag: DagBag, dag_id: str) -> None:
    """Airflow does not take a returned dict apart, into a request for each of its keys."""
    assert not any(getattr(task, "multiple_outputs", True) for task in bag.dags[dag_id].tasks)


@each_dag
def test_the_runbook_is_on_the_dags_page(bag: DagBag, dag_id: str) -> None:
    """`doc_md` is the file's own docstring and names the long runbook."""
    assert "docs/runbook.md" in str(bag.dags[dag_id].doc_md)


@each_dag
@pytest.mark.parametrize(("entry", "value"), [("mode", "everything"), ("accept_deletions", "no")])
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
