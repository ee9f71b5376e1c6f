"""A sandbox for the hooks' tests, and connections as a person would give them to Airflow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox import Organisation, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
