"""Engines for the store's tests: each test runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opportunity_sync.store.engine import store_engine
from opportunity_sync.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine


@pytest.fixture(params=["sqlite_url", "postgres"])
def empty_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database without any table."""
    engine = store_engine(request.getfixturevalue(request.param))
    yield engine
    engine.dispose()


@pytest.fixture
def engine(empty_engine: Engine) -> Engine:
    """A migrated store without any row."""
    migrate(empty_engine)
    return empty_engine
