"""What a person in the browser does and sees: a stuck run given up, a red log, the Test button.

Airflow runs for real here. Whether a run that somebody marks as failed ends red is decided by the
scheduler, what stands last in a log by the task's supervisor, and whether a connection can be
tested by what the page posts and the API server accepts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import make_url, text

from airflow_services import RunningAirflow, running_airflow, wait_until
from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.store import store_engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAG = "dynamics_opportunity_sync"
NAMES = ["What happened", "Next step", "Details", "Runbook"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The second page of contacts takes longer than anyone waits, however often it is asked for."""
    with Sandbox(Organisation.generated(seed=11, opportunities=300)) as running:
        running.faults.add("stall", "contacts", page=2, times=50, seconds=250)
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Airflow, staging and store live."""
    return tmp_path_factory.mktemp("operator")


@pytest.fixture(scope="module")
def airflow(sandbox: Sandbox, folder: Path) -> Iterator[RunningAirflow]:
    """Airflow on the sandbox, whose connections may be tested."""
    store = make_url(f"sqlite:///{folder / 'store.sqlite'}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__TEST_CONNECTION", "Enabled")
        with running_airflow(sandbox, store, folder) as running:
            yield running


def given_up(airflow: RunningAirflow) -> str:
    """The id of the first scheduled run, which hangs in `extract_contacts` and is given up."""
    run_id = str(wait_until(lambda: airflow.runs(DAG), what="a scheduled run")[0]["dag_run_id"])

    def hangs() -> bool:
        return bool(airflow.tasks(DAG, run_id)["extract_contacts"]["state"] == "running")

    wait_until(hangs, what="the extract of contacts")
    airflow.ask(f"/api/v2/dags/{DAG}/dagRuns/{run_id}", "PATCH", state="failed")
    return run_id


def last_lines(airflow: RunningAirflow, run_id: str, task: str) -> list[str]:
    """What a person sees at the end of a task's log, groups and blank lines left aside."""
    path = f"/api/v2/dags/{DAG}/dagRuns/{run_id}/taskInstances/{task}/logs/1"
    events = [str(line["event"]) for line in airflow.ask(path)["content"]]
    return [event for event in events if event and not event.startswith("::")][-len(NAMES) :]


@pytest.mark.timeout(1800)
def test_a_run_that_is_given_up_is_red_and_says_so(airflow: RunningAirflow, folder: Path) -> None:
    """Its load was skipped, which would be green; `finish` is red, for the store and in its log."""
    run_id = given_up(airflow)
    run = airflow.end_of(DAG, run_id)
    states = {name: task["state"] for name, task in airflow.tasks(DAG, run_id).items()}
    told = last_lines(airflow, run_id, "finish")
    engine = store_engine(f"sqlite:///{folder / 'store.sqlite'}")
    with engine.connect() as connection:
        query = text("SELECT outcome, error FROM sync_run WHERE run_id = :run_id")
        outcome, error = connection.execute(query, {"run_id": run_id}).one()
    engine.dispose()

    assert run["state"] == "failed"
    assert (states["load"], states["finish"]) == ("skipped", "failed")
    assert [line.partition(": ")[0] for line in told] == NAMES
    assert "extract_contacts failed" in told[0]
    assert "transform skipped, load skipped" in told[0]
    assert "docs/runbook.md#a-run-that-nobody-explains" in told[3]
    assert outcome == "failed"
    assert "extract_contacts failed" in error


def browser_connections(sandbox: Sandbox, folder: Path) -> dict[str, dict[str, Any]]:
    """Connections as the form posts them: what was left alone is null or empty, the port is 0."""
    given = sandbox.connection()
    extra = dict(given["extra"])
    tenant = extra.pop("tenant_id")
    dynamics = {"conn_type": "dynamics", "login": given["login"], "password": given["password"]}
    left_alone = {"username": None, "user_password": None, "tenant_id": None}
    return {
        "in the form": dynamics
        | {"host": given["host"], "schema": tenant, "extra": json.dumps(extra | left_alone)},
        "in the extra": dynamics | {"host": given["host"], "extra": json.dumps(given["extra"])},
        "store": {
            "conn_type": "marketo_store",
            "host": str(folder / "store.sqlite"),
            "extra": json.dumps({"sslmode": None}),
        },
    }


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["in the form", "in the extra", "store"])
def test_the_test_button_tests(
    airflow: RunningAirflow, sandbox: Sandbox, folder: Path, name: str
) -> None:
    """The button posts what the API shows of the connection: secrets masked, port a number."""
    conn_id = name.replace(" ", "_")
    parts = {"connection_id": conn_id, "port": 0} | browser_connections(sandbox, folder)[name]
    airflow.ask("/api/v2/connections", "POST", **parts)
    shown = airflow.ask(f"/api/v2/connections/{conn_id}")

    answer = airflow.ask(
        "/api/v2/connections/test",
        "POST",
        conn_type=shown["conn_type"],
        connection_id=conn_id,
        description=shown["description"] or "",
        extra=shown["extra"] or "{}",
        host=shown["host"] or "",
        login=shown["login"] or "",
        password=shown["password"] or "",
        port=int(shown["port"] or 0),
        schema=shown["schema"] or "",
    )

    assert answer["status"], answer["message"]
    assert "organisation" in answer["message"] or "store answers" in answer["message"]
