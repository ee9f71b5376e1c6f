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

from opportunity_sync.entities import EXTRACTS
from sync_retries import SyncRetryPolicy

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

SYNC = "dynamics_opportunity_sync"
BACKFILL = "dynamics_opportunity_backfill"
HEAVY = ("aiohttp", "msal", "numpy", "pandas", "psycopg", "pyarrow", "requests")
PARSE = f"""
import json, os, sys
from airflow.dag_processing.dagbag import DagBag
before = set(sys.modules)
bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
print(json.dumps([sorted(bag.dags), bag.import_errors, [m for m in {HEAVY!r} if m in sys.modules]]))
"""

each_dag = pytest.mark.parametrize("dag_id", [SYNC, BACKFILL])


@pytest.fixture(scope="module")
def bag() -> DagBag:
    """Every DAG of the project."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag()


def test_the_dags_parse_without_heavy_imports() -> None:
    """A fresh process finds both DAGs and imports neither pandas nor anything for the network."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE], capture_output=True, text=True, timeout=60, check=True
    )

    dags, errors, heavy = json.loads(done.stdout.splitlines()[-1])

    assert errors == {}
    assert {SYNC, BACKFILL} <= set(dags)
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
    [(SYNC, "*/5 * * * *", 1, "continue"), (BACKFILL, "0 0 * * *", 4, "interval")],
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


@each_dag
def test_every_task_backs_off_and_ends(bag: DagBag, dag_id: str) -> None:
    """Each task has retries with growing waits, the policy of the errors, and an end in time."""
    for task in bag.dags[dag_id].tasks:
        assert (task.retries or 0) >= 3
        assert task.retry_exponential_backoff > 1
        assert isinstance(task.retry_policy, SyncRetryPolicy)
        assert timedelta(0) < (task.execution_timeout or timedelta(0)) <= timedelta(days=1)


@each_dag
def test_the_runbook_is_on_the_dags_page(bag: DagBag, dag_id: str) -> None:
    """`doc_md` is the file's own docstring and names the long runbook."""
    assert "docs/runbook.md" in str(bag.dags[dag_id].doc_md)


@each_dag
@pytest.mark.parametrize(
    ("entry", "value"), [("mode", "everything"), ("window_end", 20261103)], ids=["mode", "number"]
)
def test_the_form_refuses_what_it_does_not_offer(
    bag: DagBag, dag_id: str, entry: str, value: object
) -> None:
    """A wrong entry is refused when the run is triggered, not in a task."""
    form = deepcopy(bag.dags[dag_id].params)

    with pytest.raises(ValueError, match=str(value)):
        form[entry] = value
