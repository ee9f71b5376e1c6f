"""A sandbox for the hooks' tests, and connections as a person would give them to Airflow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.store import migrate, store_engine
from opportunity_sync.store.schema.tables import sync_run
from store_rows import NOON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A small organisation over TLS."""
    with Sandbox(Organisation.generated(seed=7, opportunities=50), tls=True) as running:
        yield running


@pytest.fixture
def give_connection(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, dict[str, Any]], None]:
    """Put a connection where Airflow looks first: into the environment, as JSON."""

    def give(conn_id: str, connection: dict[str, Any]) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))

    return give


@pytest.fixture
def stale_store(
    tmp_path: Path, give_connection: Callable[[str, dict[str, Any]], None]
) -> Iterator[Engine]:
    """The store of the connection, in which the last run that brought changes is of long ago."""
    path = tmp_path / "store.sqlite"
    give_connection("marketo_store", {"conn_type": "sqlite", "host": str(path)})
    engine = store_engine(f"sqlite:///{path}")
    migrate(engine)
    run = {"dag_id": "a-dag", "run_id": "a-run", "mode": "continue", "outcome": "succeeded"}
    with engine.begin() as connection:
        connection.execute(insert(sync_run), run | {"started_at": NOON, "ended_at": NOON})
    yield engine
    engine.dispose()
