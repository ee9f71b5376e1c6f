"""The pre-flight check as Airflow runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from dag_runs import connect, run_dag
from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.store import migrate, store_engine
from opportunity_sync.store.schema.tables import sync_check

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


def test_a_check_that_fails_keeps_its_result_and_is_red(
    airflow_database: Path,  # noqa: ARG001 - Airflow needs its metadata
    monkeypatch: pytest.MonkeyPatch,
    sqlite_url: str,
    tmp_path: Path,
) -> None:
    """Every task runs; one table may not be read whole, and the rest has passed."""
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

    assert (good, bad) == ("success", "failed")
    assert [name for name, state in passed.items() if state == "failed"] == []
    assert passed["airflow.pool"] == "passed"
    assert states_of(sqlite_url)["dynamics.read_privilege.contact"] == "failed"
    assert list((tmp_path / "staging").iterdir()) == []
