"""A migrated store for questions that change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opportunity_sync.store import store_engine
from opportunity_sync.store.upgrade.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A store in a SQLite file, without rows."""
    engine = store_engine(f"sqlite:///{tmp_path_factory.mktemp('status')}/store.sqlite")
    migrate(engine)
    yield engine
    engine.dispose()
