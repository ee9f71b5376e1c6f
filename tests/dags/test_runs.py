"""What a run leaves in Airflow: its outcome, its tries, and the event that the store changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import make_url, text

from dag_runs import connect, run_dag, store_connection
from dynamics_sandbox import Organisation, Sandbox
from sync_assets import STORE_ASSETS

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

SYNC = "dynamics_opportunity_sync"

pytestmark = pytest.mark.usefixtures("airflow_database")


def events_since(number: int) -> list[tuple[str, dict[str, Any]]]:
    """Which assets were announced as changed after an event of this number, and with what."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(AssetModel.name, AssetEvent.extra).join(AssetEvent.asset)
        found = session.execute(query.where(AssetEvent.id > number)).all()
        return sorted((row[0], row[1]) for row in found)


def last_event() -> int:
    """The number of the last event."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        return session.scalar(select(func.max(AssetEvent.id))) or 0


def last_tries() -> dict[str, tuple[str, int]]:
    """State and number of tries of each task of the last run."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(DagRun).where(DagRun.dag_id == SYNC).order_by(DagRun.id.desc()).limit(1)
        run = session.scalars(query).one()
        return {ti.task_id: (str(ti.state), ti.try_number) for ti in run.task_instances}


def test_a_table_is_announced_only_when_a_run_changed_it(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, tmp_path: Path
) -> None:
    """The first run changes all of them, the second none, the third a single account."""
    told = []
    organisation = Organisation.generated(seed=5, opportunities=50)
    with Sandbox(organisation) as sandbox:
        connect(monkeypatch, sandbox, make_url(sqlite_url), tmp_path / "staging")
        for number in range(3):
            before = last_event()
            assert run_dag(SYNC) == "success"
            told.append(events_since(before))
            if number == 1:
                account = organisation.rows("accounts")[0]["accountid"]
                organisation.update("accounts", account, {"name": "Renamed"})

    first, second, third = told
    assert [name for name, _ in first] == sorted(asset.name for asset in STORE_ASSETS)
    assert second == []
    assert [(name, extra["updated"]) for name, extra in third[1:]] == [("marketo_store_account", 1)]
    assert third[0][0] == "marketo_store"
    assert (third[0][1]["changed"], third[0][1]["account_updated"]) == (1, 1)
    assert not any(isinstance(value, dict | list) for _, extra in first for value in extra.values())


def last_record(engine: Engine) -> dict[str, Any]:
    """The store's row of the last run."""
    with engine.connect() as connection:
        query = text("SELECT * FROM sync_run ORDER BY started_at DESC LIMIT 1")
        return dict(connection.execute(query).mappings().one())


def test_half_a_set_up_fails_at_the_first_try_and_says_why(
    monkeypatch: pytest.MonkeyPatch, sqlite_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """A `ConfigError` is not tried again, its log says what to do, and the run is red and known."""
    connection = json.dumps(store_connection(sqlite_engine.url))
    monkeypatch.setenv("AIRFLOW_CONN_MARKETO_STORE", connection)

    assert run_dag(SYNC) == "failed"

    tries = last_tries()
    assert tries["begin"] == ("failed", 1)
    assert tries["load"][0] == "upstream_failed"
    assert tries["finish"] == ("failed", 1)
    told = [line for line in caplog.messages if line.startswith(("What happened", "Next step"))]
    assert "What happened: Connection 'marketo_store' is there" in told[0]
    assert "Next step: add 'dynamics_default' (Admin" in told[1]
    assert "begin: Connection 'marketo_store' is there" in told[2]
    assert told[1] == told[3]
    record = last_record(sqlite_engine)
    assert (record["outcome"], record["mode"]) == ("failed", "continue")
    assert record["error"].startswith("begin: ConfigError: Connection 'marketo_store' is there")


def test_a_misspelt_form_is_refused_and_known(
    monkeypatch: pytest.MonkeyPatch, sqlite_engine: Engine, tmp_path: Path
) -> None:
    """`mod` is not `mode`: nothing is read, and the run's record says so."""
    with Sandbox(Organisation.generated(seed=5, opportunities=50)) as sandbox:
        connect(monkeypatch, sandbox, sqlite_engine.url, tmp_path / "staging")

        assert run_dag(SYNC, mod="full") == "failed"

        assert sandbox.requests.all("/opportunities") == []
    assert "'mod' (near: 'mode')" in last_record(sqlite_engine)["error"]


def test_a_run_whose_load_was_only_ticked_off_is_red(
    monkeypatch: pytest.MonkeyPatch, sqlite_engine: Engine, tmp_path: Path
) -> None:
    """All tasks but `finish` are marked as success by hand, so nothing is in the store."""
    with Sandbox(Organisation.generated(seed=5, opportunities=50)) as sandbox:
        connect(monkeypatch, sandbox, sqlite_engine.url, tmp_path / "staging")

        assert run_dag(SYNC, ticked_off="begin|extract_.*|transform|load") == "failed"

    assert last_tries()["load"][0] == "success"
    assert last_tries()["finish"][0] == "failed"
    record = last_record(sqlite_engine)
    assert record["outcome"] == "failed"
    assert "No task says why: load left no result" in record["error"]
