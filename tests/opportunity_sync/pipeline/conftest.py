"""A generated organisation, its sandbox over TLS, and both kinds of store.

The stores have their tables and no row: to make the tables takes as long as two runs, and how they
are made is for the tests of the store.
"""

from __future__ import annotations

from shutil import copy
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.store import migrate, store_engine
from postgres_cluster import new_database
from sync_runs import SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import URL, Engine


@pytest.fixture
def sqlite_engine(migrated_file: Path, sqlite_url: str) -> Iterator[Engine]:
    """A store without rows, where the kind of store makes no difference."""
    copy(migrated_file, str(make_url(sqlite_url).database))
    engine = store_engine(sqlite_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def migrated_database(postgres_server: URL) -> Iterator[str]:
    """Name of a PostgreSQL database with the store's tables, to be copied."""
    with new_database(postgres_server) as url:
        engine = store_engine(url)
        migrate(engine)
        engine.dispose()
        yield str(url.database)


@pytest.fixture
def postgres_engine(postgres_server: URL, migrated_database: str) -> Iterator[Engine]:
    """A store without rows on PostgreSQL."""
    with new_database(postgres_server, like=migrated_database) as url:
        engine = store_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """A store without rows, of each supported kind."""
    made: Engine = request.getfixturevalue(f"{request.param}_engine")
    return made


@pytest.fixture(
    params=[(True, "postgres"), (False, "sqlite")],
    ids=["change tracking, postgres", "windows, sqlite"],
)
def ground(request: pytest.FixtureRequest) -> tuple[bool, Engine]:
    """Whether changes are tracked, and a store without rows: each way of reading on one database.

    What is read does not know where it is written. The random histories draw the other pairs too.
    """
    is_tracked, kind = request.param
    made: Engine = request.getfixturevalue(f"{kind}_engine")
    return is_tracked, made


@pytest.fixture(params=["sqlite_url", "postgres"], ids=["sqlite", "postgres"])
def empty_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database of each supported kind in which no run has made its tables yet."""
    engine = store_engine(request.getfixturevalue(request.param))
    yield engine
    engine.dispose()


@pytest.fixture
def organisation() -> Organisation:
    """A small organisation with every case of the truth table in it."""
    return Organisation.generated(seed=7, opportunities=150)


@pytest.fixture
def runs(sandbox: Sandbox, engine: Engine, tmp_path: Path) -> SyncRuns:
    """Runs of the organisation into each kind of store."""
    return SyncRuns(sandbox, engine, settings_for_tests(tmp_path))


@pytest.fixture
def sqlite_runs(sandbox: Sandbox, sqlite_engine: Engine, tmp_path: Path) -> SyncRuns:
    """Runs of the organisation into SQLite."""
    return SyncRuns(sandbox, sqlite_engine, settings_for_tests(tmp_path))
