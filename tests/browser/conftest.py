"""One API server and one browser for all tests of the page, and a store that each gets anew."""

from __future__ import annotations

from shutil import copy
from typing import TYPE_CHECKING

import pytest

from api_server import ApiServer, running_api_server
from browser import Browser, missing_programs, running_browser
from opportunity_sync.store import store_engine
from page_stores import make_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

ORGANISATION = "https://contoso.crm4.dynamics.com"


def pytest_itemcollected(item: pytest.Item) -> None:
    """All of them go to one worker, which starts server and browser only once."""
    item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def shown_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SQLite file that the server shows; tests replace what it holds."""
    return tmp_path_factory.mktemp("shown") / "store.sqlite"


@pytest.fixture(scope="session")
def filled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store after two runs, to be copied."""
    folder = tmp_path_factory.mktemp("filled")
    make_store(folder / "store.sqlite", folder, opportunities=60, runs=2)
    return folder / "store.sqlite"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, shown_file: Path) -> Iterator[ApiServer]:
    """Airflow's API server, showing that file."""
    dynamics = {"conn_type": "dynamics", "host": ORGANISATION, "login": "a", "password": "b"}
    store = {"conn_type": "sqlite", "host": str(shown_file)}
    connections = {
        "dynamics_default": dynamics | {"extra": {"tenant_id": "contoso.example"}},
        "marketo_store": store,
        "marketo_store_reader": store,
    }
    with running_api_server(tmp_path_factory.mktemp("airflow"), connections) as running:
        yield running


@pytest.fixture(scope="session")
def token(server: ApiServer) -> str:
    """The login of somebody who may read the page and try again."""
    return server.token_of("op")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser of all tests."""
    if missing := missing_programs():
        pytest.skip(f"this machine has no {' and no '.join(missing)}")
    with running_browser() as running:
        yield running


@pytest.fixture
def browser(chromium: Browser, server: ApiServer, token: str) -> Browser:
    """The browser, logged in, with a laptop's screen; it complains of what a test before left."""
    chromium.look()
    chromium.open(f"{server.page}files/icon.svg")
    chromium.forget_cookies()
    chromium.give_cookie("_token", token)
    chromium.read_complaints()
    return chromium


@pytest.fixture
def store(shown_file: Path, filled_file: Path) -> Iterator[Engine]:
    """The store that is shown, filled by runs, this test's own."""
    copy(filled_file, shown_file)
    engine = store_engine(f"sqlite:///{shown_file}")
    yield engine
    engine.dispose()
