"""Airflow's tests take turns: two schedulers at once would starve each other of the cores."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_itemcollected(item: pytest.Item) -> None:
    """All of them go to one worker, which also makes Airflow's database only once."""
    item.add_marker(pytest.mark.xdist_group("airflow"))


@pytest.fixture(scope="session", autouse=True)
def _no_second_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fails where another worker of this test run was given some of them."""
    turn = tmp_path_factory.getbasetemp().parent / "airflow.lock"
    with turn.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.fail("two workers run tests of Airflow: pytest-xdist does not group them")
        yield
