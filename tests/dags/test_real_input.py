"""Real Dynamics exports through the whole DAG, into both databases, compared value by value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from dag_runs import connect, run_dag
from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.store import store_engine
from oracle import Store, actual_store, differences, expected_store
from store_dumps import dump

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SYNC = "dynamics_opportunity_sync"


@pytest.fixture(params=["sqlite", "postgres"])
def synced(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    airflow_database: Path,  # noqa: ARG001 - Airflow's own
    shared_data: Path,
    tmp_path: Path,
) -> Callable[[str], Store]:
    """Runs the DAG twice over one of the samples; returns the store after the first run."""
    names = {"sqlite": "sqlite_url", "postgres": "postgres"}
    url = make_url(request.getfixturevalue(names[request.param]))

    def run(sample: str) -> Store:
        organisation = Organisation.from_folder(shared_data / sample)
        engine = store_engine(url)
        with Sandbox(organisation) as sandbox:
            connect(monkeypatch, sandbox, url, tmp_path / "staging")
            assert run_dag(SYNC) == "success"
            store, first = actual_store(engine), dump(engine)
            assert run_dag(SYNC) == "success"
        assert dump(engine) == first, "a second run without changes must change no row"
        assert differences(expected_store(organisation), store) == []
        engine.dispose()
        return store

    return run


def test_banking_gives_16_accounts_and_11_potential_customers(
    synced: Callable[[str], Store],
) -> None:
    """23 opportunities, 16 with an account, 11 roles, all `Potential Customer` and primary."""
    store = synced("dynamics_banking")
    roles = store["opportunity_contact_role"].values()

    assert len(store["opportunity"]) == 23
    assert sum(row["account_id"] is not None for row in store["opportunity"].values()) == 16
    assert [(row["role"], row["is_primary"]) for row in roles] == [
        ("Potential Customer", True)
    ] * 11


def test_nonprofit_gives_3_stakeholders_of_34_connection_rows(
    synced: Callable[[str], Store],
) -> None:
    """36 accounts, 83 contacts, 3 opportunities with accounts, 3 roles, all `Stakeholder`."""
    store = synced("dynamics_nonprofit")
    roles = store["opportunity_contact_role"].values()

    assert len(store["account"]) == 36
    assert len(store["contact"]) == 83
    assert [row["account_id"] is not None for row in store["opportunity"].values()] == [True] * 3
    assert [(row["role"], row["source"]) for row in roles] == [("Stakeholder", "stakeholder")] * 3
