"""Migrated stores without rows: what changes them asks for one, on SQLite and on PostgreSQL.

A migrated store takes a second to make. So the tests share one PostgreSQL database and find it
emptied, and each has a copy of one SQLite file.
"""

from __future__ import annotations

from shutil import copy
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.store.sessions.engine import store_engine
from opportunity_sync.store.upgrade.migrate import migrate
from postgres_cluster import new_database
from store_rows import empty_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import URL, Engine


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
def sqlite_store(migrated_file: Path, sqlite_url: str) -> Engine:
    """A migrated store in a file of its own."""
    copy(migrated_file, str(make_url(sqlite_url).database))
    return store_engine(sqlite_url)


@pytest.fixture(params=["sqlite_store", "postgres_store"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """A migrated store without any row."""
    made: Engine = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def organisation() -> Organisation:
    """An empty organisation; a folder of tests may have another."""
    return Organisation.empty()


@pytest.fixture
def sandbox(organisation: Organisation) -> Iterator[Sandbox]:
    """The organisation, served over TLS with its own certificate authority."""
    with Sandbox(organisation) as sandbox:
        yield sandbox
