"""The pre-flight check as Airflow runs it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from dag_runs import connect, run_dag
from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.store import migrate, store_engine
from opportunity_sync.store.schema.tables import sync_alert, sync_check

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def states_of(store: str) -> dict[str, str]:
    """The state of each item that the store keeps, by name."""
    engine = store_engine(store)
    with engine.connect() as connection:
        rows = connection.execute(select(sync_check.c.name, sync_check.c.state)).all()
    engine.dispose()
    return {row.name: row.state for row in rows}


def told_by(store: str) -> list[str]:
    """The alerts that are open, as the store keeps them once they are told."""
    engine = store_engine(store)
    with engine.connect() as connection:
        is_told = sync_alert.c.told_at.is_not(None)
        codes = connection.scalars(select(sync_alert.c.code).where(is_told)).all()
    engine.dispose()
    return list(codes)


def kept_by_airflow() -> dict[str, Any]:
    """What Airflow's state store has of the last check."""
    from airflow.models.asset_state_store import AssetStateStoreModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(AssetStateStoreModel.value).where(AssetStateStoreModel.key == "check")
        kept: dict[str, Any] = json.loads(session.scalars(query).one())
        return kept


def test_a_check_that_fails_keeps_its_result_and_is_red(
    airflow_database: Path,  # noqa: ARG001 - Airflow needs its metadata
    monkeypatch: pytest.MonkeyPatch,
    sqlite_url: str,
    tmp_path: Path,
) -> None:
    """One table may not be read whole, the rest has passed, and people are told of it."""
    engine = store_engine(sqlite_url)
    migrate(engine)
    engine.dispose()
    world = Organisation.empty()
    with Sandbox(world) as sandbox:
        connect(monkeypatch, sandbox, engine.url, tmp_path / "staging")
        good = run_dag("dynamics_validate")
        passed = states_of(sqlite_url)
        world.set_read_depth("contact", "Local")
        bad = run_dag("dynamics_validate")

    codes = [item["code"] for item in kept_by_airflow()["items"] if item["state"] == "failed"]
    assert (good, bad) == ("success", "failed")
    assert codes == ["dynamics.read_privilege"]
    assert [name for name, state in passed.items() if state == "failed"] == []
    assert passed["airflow.pool"] == "passed"
    assert states_of(sqlite_url)["dynamics.read_privilege.contact"] == "failed"
    assert list((tmp_path / "staging").iterdir()) == []
    assert told_by(sqlite_url) == ["dynamics.read_privilege"]
