"""A generated organisation, its sandbox over TLS, and both kinds of store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.store import store_engine
from sync_runs import SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An empty store of each supported kind."""
    names = {"sqlite": "sqlite_url", "postgres": "postgres"}
    engine = store_engine(request.getfixturevalue(names[request.param]))
    yield engine
    engine.dispose()


@pytest.fixture
def organisation() -> Organisation:
    """A small organisation with every case of the truth table in it."""
    return Organisation.generated(seed=7, opportunities=150)


@pytest.fixture
def sandbox(organisation: Organisation) -> Iterator[Sandbox]:
    """The organisation, served."""
    with Sandbox(organisation) as sandbox:
        yield sandbox


@pytest.fixture
def runs(sandbox: Sandbox, engine: Engine, tmp_path: Path) -> SyncRuns:
    """Runs of the organisation into each kind of store."""
    return SyncRuns(sandbox, engine, settings_for_tests(tmp_path))


@pytest.fixture
def sqlite_runs(sandbox: Sandbox, sqlite_engine: Engine, tmp_path: Path) -> SyncRuns:
    """Runs of the organisation into SQLite."""
    return SyncRuns(sandbox, sqlite_engine, settings_for_tests(tmp_path))
