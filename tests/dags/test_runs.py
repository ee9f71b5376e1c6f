"""What a run leaves in Airflow: its outcome, its tries, and the event that the store changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from dag_runs import connect, run_dag
from dynamics_sandbox import Organisation, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

SYNC = "dynamics_opportunity_sync"

pytestmark = pytest.mark.usefixtures("airflow_database")


def store_events() -> int:
    """How often the asset `marketo_store` was announced as changed."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        query = select(func.count()).select_from(AssetEvent).join(AssetEvent.asset)
        return session.scalar(query.where(AssetModel.name == "marketo_store")) or 0


def last_tries() -> dict[str, tuple[str, int]]:
    """State and number of tries of each task of the last run."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(DagRun).where(DagRun.dag_id == SYNC).order_by(DagRun.id.desc()).limit(1)
        run = session.scalars(query).one()
        return {ti.task_id: (str(ti.state), ti.try_number) for ti in run.task_instances}


def test_the_store_is_announced_as_changed_only_when_it_is(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, tmp_path: Path
) -> None:
    """The first run brings rows and an asset event; the second one neither."""
    before = store_events()
    with Sandbox(Organisation.generated(seed=5, opportunities=50)) as sandbox:
        connect(monkeypatch, sandbox, make_url(sqlite_url), tmp_path / "staging")

        assert run_dag(SYNC) == "success"
        assert store_events() == before + 1

        assert run_dag(SYNC) == "success"
        assert store_events() == before + 1


def test_half_a_set_up_fails_at_the_first_try_and_says_why(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A `ConfigError` is not tried again, stands at the end of the log, and the run is red."""
    monkeypatch.setenv("AIRFLOW_CONN_MARKETO_STORE", '{"conn_type": "sqlite", "host": "/x"}')

    assert run_dag(SYNC) == "failed"

    tries = last_tries()
    assert tries["begin"] == ("failed", 1)
    assert tries["load"][0] == "upstream_failed"
    assert tries["finish"][0] == "success"
    told = [line for line in capfd.readouterr().out.splitlines() if "Retry policy" in line]
    assert "connection 'dynamics_default' is not found. Next step: add" in told[0]
