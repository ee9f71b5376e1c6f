"""Airflow's tests take turns: two schedulers at once would starve each other of the cores."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_itemcollected(item: pytest.Item) -> None:
    """All of them go to one worker, which also makes Airflow's database only once."""
    item.add_marker(pytest.mark.xdist_group("airflow"))


@pytest.fixture
def fields_file(tmp_path: Path) -> Path:
    """The deployment's fields file, which selects nothing beyond the default columns yet."""
    path = tmp_path / "fields.toml"
    path.write_text("# the default columns\n")
    return path


@pytest.fixture(scope="session", autouse=True)
def _no_second_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fails where another worker of this test run was given some of them."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with (shared / "airflow.lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.fail("two workers run tests of Airflow: pytest-xdist does not group them")
        yield
