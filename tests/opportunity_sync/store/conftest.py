"""Databases for tests of the schema itself, which have one of their own of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opportunity_sync.store.sessions.engine import store_engine
from opportunity_sync.store.upgrade.migrate import migrate

if TYPE_CHECKING:
    from sqlalchemy import Engine


@pytest.fixture(params=["sqlite_url", "postgres"])
def empty_engine(request: pytest.FixtureRequest) -> Engine:
    """A database without any table, this test's own."""
    return store_engine(request.getfixturevalue(request.param))


@pytest.fixture
def own_engine(empty_engine: Engine) -> Engine:
    """A migrated store without any row, whose schema this test may change."""
    migrate(empty_engine)
    return empty_engine
