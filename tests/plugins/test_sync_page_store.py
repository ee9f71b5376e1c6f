"""The page before a store that it can't see, may not read, or that is of another version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete

from opportunity_sync.store import migrate, store_engine
from other_users import reachable_folder, without_roots_rights
from postgres_cluster import new_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fastapi.testclient import TestClient
    from sqlalchemy import URL, Engine

    GiveConnection = Callable[[str, dict[str, Any]], None]

SYNC = "dynamics_opportunity_sync"
ROUTES = ("runs", "errors", "errors.csv", "unresolved", "opportunities", "fields", "check")


@pytest.fixture
def no_runs(airflow_database: Path) -> None:  # noqa: ARG001 - Airflow is asked for its runs
    """Airflow knows no run of the sync, whatever tests before have run in this process."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == SYNC))


@pytest.fixture
def reader(no_runs: None) -> TestClient:  # noqa: ARG001 - Airflow is asked for its runs
    """Somebody whom Airflow lets read and trigger."""
    from fastapi.testclient import TestClient

    from sync_page_access import may_read, may_trigger
    from sync_page_routes import make_page
    from sync_page_sources import is_paused

    app = make_page(open_health=False)
    for right in (may_read, may_trigger):
        app.dependency_overrides[right] = lambda: None
    app.dependency_overrides[is_paused] = lambda: False
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def a_success(no_runs: None) -> Iterator[None]:  # noqa: ARG001 - as above
    """A run of the sync that Airflow knows to have ended well."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType

    with create_session() as session:
        run = DagRun(dag_id=SYNC, run_id="a-success", run_type=DagRunType.MANUAL)
        run.state = DagRunState.SUCCESS
        session.add(run)
    yield
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.run_id == "a-success"))


def sentence_of_broken(reader: TestClient) -> str:
    """What status says, where it and all else say that the store is away."""
    said = reader.get("/api/status").json()
    assert said["state"] == "broken"
    assert reader.get("/api/health").status_code == 503
    for route in ROUTES:
        answer = reader.get(f"/api/{route}")
        assert (route, answer.status_code) == (route, 503)
        assert set(answer.json()) == {"code", "message", "next_step"}
    return str(said["sentence"])


def test_a_store_in_a_folder_that_is_not_there_is_broken(
    reader: TestClient, tmp_path: Path, give_connection: GiveConnection
) -> None:
    """A mistyped path is no store that is yet to come."""
    file = tmp_path / "no" / "store.sqlite"
    give_connection("marketo_store_reader", {"conn_type": "sqlite", "host": str(file)})
    assert f"The folder {tmp_path / 'no'} is not there." in sentence_of_broken(reader)


@pytest.mark.usefixtures("a_success")
def test_a_store_that_is_lost_is_broken(
    reader: TestClient, tmp_path: Path, give_connection: GiveConnection
) -> None:
    """Where runs have ended well, a file that is not there, or holds nothing, is not theirs."""
    file = tmp_path / "store.sqlite"
    give_connection("marketo_store_reader", {"conn_type": "sqlite", "host": str(file)})
    assert "was never made" in sentence_of_broken(reader)
    file.touch()
    assert "was never made" in sentence_of_broken(reader)


def test_a_store_before_the_first_run_is_empty(
    reader: TestClient, tmp_path: Path, give_connection: GiveConnection
) -> None:
    """Where no run has ended well, the first one makes the file."""
    file = tmp_path / "store.sqlite"
    give_connection("marketo_store_reader", {"conn_type": "sqlite", "host": str(file)})
    assert reader.get("/api/health").json() == {"state": "empty"}
    assert not file.exists()


@pytest.mark.parametrize(
    ("version", "words"),
    [("0004", "are of an earlier version. Next step: nothing"), ("9999", "newer than this")],
)
def test_a_store_of_another_version_is_told(
    reader: TestClient, tmp_path: Path, give_connection: GiveConnection, version: str, words: str
) -> None:
    """Between an upgrade and the run that follows it, nobody is sent to begin anew."""
    file = tmp_path / "store.sqlite"
    engine = store_engine(f"sqlite:///{file}")
    migrate(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE opportunity_sync_version SET version_num = '{version}'")
    give_connection("marketo_store_reader", {"conn_type": "sqlite", "host": str(file)})
    assert words in sentence_of_broken(reader)


def test_a_store_in_a_closed_folder_is_broken(
    reader: TestClient, give_connection: GiveConnection
) -> None:
    """As it is where the API server runs as another user."""
    with reachable_folder() as folder:
        file = folder / "closed" / "store.sqlite"
        file.parent.mkdir(mode=0o700)
        file.parent.chmod(0)
        give_connection("marketo_store_reader", {"conn_type": "sqlite", "host": str(file)})
        with without_roots_rights():
            assert "Permission denied" in sentence_of_broken(reader)


@pytest.fixture
def server(postgres_server: URL) -> Iterator[Engine]:
    """A migrated PostgreSQL store."""
    with new_database(postgres_server) as url:
        engine = store_engine(url)
        migrate(engine)
        yield engine
        engine.dispose()


@pytest.fixture
def role(server: Engine, give_connection: GiveConnection) -> Iterator[str]:
    """The role of the page's connection, which was given no rights at all."""
    name = f"page_{server.url.database}"
    execute(
        server,
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        f"CREATE ROLE {name} LOGIN PASSWORD 'x'",
    )
    given = {"conn_type": "postgres", "login": name, "password": "x"}
    host = server.url.host or str(server.url.query["host"])
    place = {"host": host, "port": server.url.port, "schema": server.url.database}
    give_connection("marketo_store_reader", given | place)
    yield name
    execute(server, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def execute(engine: Engine, *statements: str) -> None:
    """Let the store's owner do it."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a_role_without_rights_is_told_which_it_needs(
    server: Engine, role: str, reader: TestClient
) -> None:
    """Without USAGE tables can't be seen, which is not the same as that they are not there."""
    assert "GRANT USAGE ON SCHEMA public" in sentence_of_broken(reader)
    execute(server, f"GRANT USAGE ON SCHEMA public TO {role}")
    assert "SELECT ON ALL TABLES IN SCHEMA public" in sentence_of_broken(reader)
    execute(server, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    assert reader.get("/api/status").json()["state"] == "empty"


def test_a_fault_of_the_program_is_told_without_its_words() -> None:
    """They may quote rows; the server's log has them."""
    from fastapi.testclient import TestClient

    from sync_page_access import may_read
    from sync_page_routes import make_page

    def fail() -> None:
        raise ValueError("jane@example.com")

    app = make_page(open_health=False)
    app.dependency_overrides[may_read] = lambda: None
    app.get("/api/fault")(fail)
    answer = TestClient(app, raise_server_exceptions=False).get("/api/fault")
    assert answer.status_code == 500
    assert answer.json()["code"] == "page.failed"
    assert "jane" not in json.dumps(answer.json())
