"""Engines for the store's tests: each test runs on SQLite and on a real PostgreSQL.

A migrated PostgreSQL database takes a second to make, so the tests share one and find it emptied;
tests of the schema itself ask for a database of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opportunity_sync.store.engine import store_engine
from opportunity_sync.store.migrate import migrate
from postgres_cluster import new_database
from store_rows import empty_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Engine


@pytest.fixture(params=["sqlite_url", "postgres"])
def empty_engine(request: pytest.FixtureRequest) -> Engine:
    """A database without any table, this test's own."""
    return store_engine(request.getfixturevalue(request.param))


@pytest.fixture
def own_engine(empty_engine: Engine) -> Engine:
    """A migrated store without any row, whose schema this test may change."""
    migrate(empty_engine)
    return empty_engine


@pytest.fixture(scope="session")
def shared_postgres_store(postgres_server: URL) -> Iterator[Engine]:
    """A migrated store on PostgreSQL."""
    with new_database(postgres_server) as url:
        engine = store_engine(url)
        migrate(engine)
        yield engine


@pytest.fixture
def postgres_store(shared_postgres_store: Engine) -> Engine:
    """The shared store, emptied."""
    with shared_postgres_store.begin() as connection:
        empty_store(connection)
    return shared_postgres_store


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Engine:
    """A migrated store in a file of its own."""
    engine = store_engine(sqlite_url)
    migrate(engine)
    return engine


@pytest.fixture(params=["sqlite_store", "postgres_store"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """A migrated store without any row."""
    made: Engine = request.getfixturevalue(request.param)
    return made
