"""Empty databases of both kinds, each gone when it has been measured."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opportunity_sync.store import store_engine
from postgres_cluster import DEFAULTS, new_database, running_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@contextmanager
def a_file(folder: Path) -> Iterator[Engine]:
    """SQLite, in a folder that is gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    yield store_engine(f"sqlite:///{folder / 'page.sqlite'}")
    shutil.rmtree(folder)


@contextmanager
def a_database(_folder: Path) -> Iterator[Engine]:
    """PostgreSQL, with its defaults."""
    with running_cluster(DEFAULTS, as_installed=True) as server, new_database(server) as url:
        engine = store_engine(url)
        yield engine
        engine.dispose()
