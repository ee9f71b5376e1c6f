"""The DAGs as Airflow runs them, in this process: `dag.test()` with connections of the test.

Tasks run one after another, through Airflow's own task runner, XCom, connections and retries.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import pytest
    from sqlalchemy import URL

    from dynamics_sandbox import Sandbox

DAGS = "dags"


def connect(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, store: URL, staging: Path) -> None:
    """Set both connections and the staging folder as a deployment would: in the environment."""
    monkeypatch.setenv("AIRFLOW_CONN_DYNAMICS_DEFAULT", json.dumps(sandbox.connection()))
    monkeypatch.setenv("AIRFLOW_CONN_MARKETO_STORE", json.dumps(store_connection(store)))
    monkeypatch.setenv("OPPORTUNITY_SYNC_STAGING_URL", str(staging))


def store_connection(store: URL) -> dict[str, Any]:
    """The `marketo_store` connection, in Airflow's JSON form."""
    if store.get_backend_name() == "sqlite":
        return {"conn_type": "sqlite", "host": store.database}
    socket = store.query.get("host")
    return {
        "conn_type": "postgres",
        "host": str(socket or store.host),
        "port": store.port,
        "login": store.username,
        "password": store.password or "",
        "schema": store.database,
    }


def run_dag(
    dag_id: str, *, logical_date: datetime | None = None, ticked_off: str | None = None, **conf: Any
) -> str:
    """Run a DAG to its end; returns the run's state.

    `ticked_off`: a pattern of the tasks that are marked as success instead of being run.
    """
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=DAGS)
    if bag.import_errors:
        raise AssertionError(bag.import_errors)
    run = bag.dags[dag_id].test(
        logical_date=logical_date, run_conf=conf or None, mark_success_pattern=ticked_off
    )
    return str(run.state)
