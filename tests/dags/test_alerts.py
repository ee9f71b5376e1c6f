"""People are told by the runs themselves, through Airflow, and once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert

from dag_runs import connect, run_dag
from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.store import migrate
from opportunity_sync.store.schema.tables import sync_run
from webhook_receiver import running_receiver

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

SYNC = "dynamics_opportunity_sync"

pytestmark = pytest.mark.usefixtures("airflow_database")


def note_success(engine: Engine, *, minutes_ago: int) -> None:
    """Let the store remember a run that ended well."""
    then = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    run = {"dag_id": SYNC, "run_id": "before", "mode": "continue", "outcome": "succeeded"}
    with engine.begin() as connection:
        connection.execute(insert(sync_run), run | {"started_at": then, "ended_at": then})


def test_a_late_sync_and_a_mended_one_are_told_once_each(
    monkeypatch: pytest.MonkeyPatch, sqlite_engine: Engine, tmp_path: Path
) -> None:
    """Two runs may not sign in, two may: a message each for what is wrong and for its end."""
    migrate(sqlite_engine)
    note_success(sqlite_engine, minutes_ago=20)
    monkeypatch.setenv("OPPORTUNITY_SYNC_ALERTS", "webhook:hook")
    with Sandbox(Organisation.empty()) as sandbox, running_receiver() as receiver:
        monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps(receiver.connection()))
        connect(monkeypatch, sandbox, sqlite_engine.url, tmp_path / "staging")
        good = sandbox.connection()
        wrong = json.dumps(good | {"password": "wr0ng"})
        monkeypatch.setenv("AIRFLOW_CONN_DYNAMICS_DEFAULT", wrong)
        outcomes = [run_dag(SYNC), run_dag(SYNC)]
        monkeypatch.setenv("AIRFLOW_CONN_DYNAMICS_DEFAULT", json.dumps(good))
        outcomes += [run_dag(SYNC), run_dag(SYNC)]

    assert outcomes == ["failed", "failed", "success", "success"]
    assert sorted((told["state"], told["code"]) for told in receiver.taken) == [
        ("well again", "AuthenticationError"),
        ("well again", "sync.late"),
        ("wrong", "AuthenticationError"),
        ("wrong", "sync.late"),
    ]
    assert not any(
        secret in str(receiver.taken) for secret in ("wr0ng", good["password"], good["login"])
    )
