"""Tests of the page's JSON: who may ask, and what a real store answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from opportunity_sync.model import CONTACT, OPPORTUNITY
from opportunity_sync.store import store_engine
from opportunity_sync.store.schema.tables import (
    public_table,
    refused_row,
    sync_check,
    sync_event,
    sync_run,
    sync_run_entity,
    sync_run_task,
    sync_store,
    unresolved_association,
)
from opportunity_sync.store.upgrade.migrate import migrate
from store_rows import guid, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fastapi import FastAPI
    from fastapi.testclient import TestClient
    from sqlalchemy import Engine, Table

SYNC = "dynamics_opportunity_sync"


@cache
def now() -> datetime:
    """When the test began."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(autouse=True)
def _a_moment_of_its_own() -> None:
    """What is late to one test is not so to all that come after it."""
    now.cache_clear()


def ago(minutes: int) -> datetime:
    """An instant that many minutes before the test."""
    return now() - timedelta(minutes=minutes)


def in_json(moment: datetime) -> str:
    """An instant as the page writes it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"


def a_run(number: int = 1, *, ended: int = 1, **given: Any) -> dict[str, Any]:
    """A run of the sync that ended well so many minutes ago."""
    return {
        "dag_id": SYNC,
        "run_id": f"Run_{number:05}",
        "mode": "continue",
        "started_at": ago(ended + 1),
        "ended_at": ago(ended),
        "outcome": "succeeded",
        "error_code": None,
        "error": None,
    } | given


def a_refusal(number: int = 1, **given: Any) -> dict[str, Any]:
    """A contact that was refused once."""
    return {
        "entity": "contact",
        "record_id": guid(number),
        "code": "DataError",
        "message": "not a number",
        "first_seen_at": ago(9),
        "last_tried_at": ago(9),
        "next_try_at": ago(4),
        "tries": 1,
        "tried_by": "1",
        "dag_id": SYNC,
        "run_id": "a+b",
        "task_id": "extract_contacts",
        "map_index": -1,
    } | given


@pytest.fixture(scope="module")
def store_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated store whose rows each test of this file replaces."""
    file = tmp_path_factory.mktemp("page") / "store.sqlite"
    migrate(store_engine(f"sqlite:///{file}"))
    return file


@pytest.fixture
def page_store(
    store_file: Path, give_connection: Callable[[str, dict[str, Any]], None]
) -> Iterator[Engine]:
    """The store without rows, found by the connections of reader and organisation."""
    engine = store_engine(f"sqlite:///{store_file}")
    emptied = (refused_row, sync_check, sync_event, sync_run, sync_run_entity, sync_run_task)
    with engine.begin() as connection:
        for table in (*emptied, sync_store, unresolved_association, public_table(OPPORTUNITY)):
            connection.execute(table.delete())
    give_connection("marketo_store_reader", {"conn_type": "sqlite", "host": str(store_file)})
    yield engine
    engine.dispose()


def put(engine: Engine, table: Table, *rows: dict[str, Any]) -> None:
    """Write rows as runs would."""
    with engine.begin() as connection:
        connection.execute(insert(table), list(rows))


def page(*, open_health: bool = False) -> FastAPI:
    """The application as Airflow mounts it."""
    from sync_page_routes import make_page

    return make_page(open_health=open_health)


@pytest.fixture
def reader() -> TestClient:
    """Somebody whom Airflow lets read and trigger."""
    from fastapi.testclient import TestClient

    from sync_page_access import may_read, may_trigger
    from sync_page_sources import is_paused

    app = page()
    for right in (may_read, may_trigger):
        app.dependency_overrides[right] = lambda: None
    app.dependency_overrides[is_paused] = lambda: False
    return TestClient(app, raise_server_exceptions=False)


def asked(reader: TestClient, address: str) -> Any:
    """What the page answers, where it answers."""
    answer = reader.get(f"/api/{address}")
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text)


def test_every_route_asks_for_the_login() -> None:
    """No route answers before Airflow has let its caller read the DAG, but for open health."""
    from fastapi.routing import APIRoute

    from sync_page_access import may_read

    unguarded = {
        getattr(route, "path", "")
        for route in page(open_health=True).routes
        if not isinstance(route, APIRoute)
        or may_read not in {each.call for each in route.dependant.dependencies}
    }
    assert unguarded == {"/api/health"}


def test_health_is_closed_unless_it_is_opened() -> None:
    """Without the setting the health route asks for the login like any other."""
    from fastapi.routing import APIRoute

    from sync_page_access import may_read

    (route,) = (each for each in page().routes if getattr(each, "path", "") == "/api/health")
    assert isinstance(route, APIRoute)
    assert may_read in {each.call for each in route.dependant.dependencies}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "cross-site", "x-requested-with": "x"}, False),
        ({"origin": "http://airflow:8080", "host": "airflow:8080"}, True),
        ({"origin": "http://elsewhere", "host": "airflow:8080"}, False),
        ({"x-requested-with": "dynamics-sync"}, True),
        ({}, False),
    ],
)
def test_only_the_page_itself_sends_its_own_requests(
    sent: dict[str, str], *, expected: bool
) -> None:
    """What the browser says of the origin counts; silence is no proof."""
    from starlette.requests import Request

    from sync_page_access import is_own_request

    headers = [(name.encode(), value.encode()) for name, value in sent.items()]
    assert expected == is_own_request(Request({"type": "http", "headers": headers}))


def test_another_site_can_not_try_again(reader: TestClient) -> None:
    """A request that a foreign page could have sent with the cookie is refused."""
    answer = reader.post("/api/errors/retry", headers={"origin": "http://elsewhere"})
    assert answer.status_code == 403
    assert set(answer.json()) == {"code", "message", "next_step"}


@pytest.mark.usefixtures("page_store")
def test_a_store_without_runs_is_empty(reader: TestClient) -> None:
    """Before the first run the state is empty, and each list has no rows."""
    assert asked(reader, "status")["state"] == "empty"
    assert asked(reader, "health") == {"state": "empty"}
    for address in ("runs", "errors", "unresolved"):
        assert asked(reader, address) == {"rows": [], "total": 0, "more": False}
    assert asked(reader, "check") == {"checked_at": None, "items": []}


@pytest.mark.parametrize(
    ("run", "state", "code"),
    [
        ({"ended": 5}, "well", None),
        ({"ended": 20}, "late", "sync.late"),
        ({"outcome": "failed", "error_code": "PrivilegeError"}, "broken", "PrivilegeError"),
        ({"outcome": "failed", "error_code": "ThrottledError"}, "well", None),
    ],
)
def test_the_state_follows_the_last_runs(
    page_store: Engine, reader: TestClient, run: dict[str, Any], state: str, code: str | None
) -> None:
    """Late after 15 minutes, broken where a person must act, well where a failure heals."""
    put(page_store, sync_run, a_run(**run))
    if "outcome" in run:
        put(page_store, sync_run, a_run(2, ended=5))
    found = asked(reader, "status")
    assert (found["state"], found["code"]) == (state, code)


def test_status_tells_what_changed_lately(page_store: Engine, reader: TestClient) -> None:
    """What runs did in the last hour and day is added up, by table."""
    put(page_store, sync_run, a_run(1, ended=20), a_run(2, ended=90))
    counts = [
        {"dag_id": SYNC, "run_id": f"Run_{number:05}", "entity": "contact", "inserted": number}
        for number in (1, 2)
    ]
    put(page_store, sync_run_entity, *counts)
    (contact,) = (
        each for each in asked(reader, "status")["entities"] if each["entity"] == "contact"
    )
    assert (contact["last_hour"]["inserted"], contact["last_day"]["inserted"]) == (1, 3)


def test_a_store_that_is_away_is_broken(
    reader: TestClient, tmp_path: Path, give_connection: Callable[[str, dict[str, Any]], None]
) -> None:
    """Status still answers and says broken; all else is 503 with what to do."""
    file = tmp_path / "store.sqlite"
    file.write_text("no database, but long enough to be looked at as one" * 100)
    give_connection("marketo_store_reader", {"conn_type": "sqlite", "host": str(file)})
    assert asked(reader, "status")["state"] == "broken"
    answer = reader.get("/api/errors")
    assert answer.status_code == 503
    assert set(answer.json()) == {"code", "message", "next_step"}


def test_runs_come_with_their_counts_and_tasks(page_store: Engine, reader: TestClient) -> None:
    """Each run has its counts by table and the seconds of its tasks; the search ignores case."""
    put(page_store, sync_run, a_run(1, ended=30), a_run(2))
    put(
        page_store,
        sync_run_task,
        {
            "dag_id": SYNC,
            "run_id": "Run_00002",
            "task_id": "load",
            "started_at": ago(2),
            "ended_at": ago(1),
        },
    )
    found = asked(reader, "runs?search=run_0")
    assert [row["run_id"] for row in found["rows"]] == ["Run_00002", "Run_00001"]
    assert found["rows"][0]["tasks"] == {"load": 60.0}
    assert found["rows"][0]["ended_at"] == in_json(ago(1))


def test_a_run_in_progress_tells_how_long_it_usually_takes(
    page_store: Engine, reader: TestClient
) -> None:
    """It is compared with the last ones of its kind that ended well."""
    put(page_store, sync_run, a_run(1, ended=30), a_run(2, ended_at=None, outcome="running"))
    (found,) = asked(reader, "status")["running"]
    assert (found["run_id"], found["usual_seconds"], found["tasks"]) == ("Run_00002", 60, {})


def test_what_runs_did_is_told_over_time(page_store: Engine, reader: TestClient) -> None:
    """The series says in which steps it is added up; an unknown span is refused."""
    put(page_store, sync_run, a_run(1, ended=1))
    count = {"dag_id": SYNC, "run_id": "Run_00001", "entity": "contact", "inserted": 3}
    put(page_store, sync_run_entity, count)
    found = asked(reader, "series?span=week")
    assert found["step_seconds"] == 3 * 3600
    assert [(row["entity"], row["inserted"]) for row in found["throughput"]] == [("contact", 3)]
    assert reader.get("/api/series?span=century").status_code == 422


def test_events_are_told_of_a_stretch_of_time(page_store: Engine, reader: TestClient) -> None:
    """An instant without a zone is one in UTC, and what is none is refused."""
    event = {"kind": "drift", "entity": "contact", "message": "2 rows"}
    put(page_store, sync_event, *(event | {"position": n, "at": ago(n * 10)} for n in (1, 2)))
    since = f"{ago(15):%Y-%m-%dT%H:%M:%S}"
    assert [row["at"] for row in asked(reader, f"events?since={since}")["rows"]] == [
        in_json(ago(10))
    ]
    assert len(asked(reader, "events")["rows"]) == 2
    assert reader.get("/api/events?since=yesterday").status_code == 422


def test_an_opportunity_is_found_by_the_beginning_of_its_name(
    page_store: Engine, reader: TestClient
) -> None:
    """Whatever its case; only what is needed to choose one is told."""
    write(page_store, OPPORTUNITY, {"id": 1, "name": "Big deal"}, {"id": 2, "name": "Small deal"})
    found = asked(reader, "opportunities?search=bIG")
    assert [(row["opportunity_id"], row["name"]) for row in found["rows"]] == [
        (guid(1), "Big deal")
    ]


def test_refused_records_are_found_sorted_and_linked(
    page_store: Engine, reader: TestClient
) -> None:
    """A page is cut from the sorted list, and each record leads to the log of its last try."""
    put(page_store, refused_row, *(a_refusal(number, tries=number) for number in range(1, 6)))
    found = asked(reader, "errors?sort=-tries&per_page=2&page=2")
    assert [row["tries"] for row in found["rows"]] == [3, 2]
    assert (found["total"], found["more"]) == (5, False)
    log = f"/dags/{SYNC}/runs/a%2Bb/tasks/extract_contacts"
    assert {row["log_url"] for row in found["rows"]} == {log}
    assert asked(reader, f"errors?search={guid(4)[:8].upper()}")["total"] == 1


def test_records_are_linked_where_the_store_alone_is_known(
    page_store: Engine, reader: TestClient
) -> None:
    """The API server need not have the connection to Dynamics: a run wrote where that is."""
    put(page_store, refused_row, a_refusal())
    url = "https://contoso.crm.dynamics.com"
    put(page_store, sync_store, {"singleton": 1, "organization_id": "a", "organization_url": url})
    (row,) = asked(reader, "errors")["rows"]
    assert row["record_url"].startswith(f"{url}/main.aspx?")
    assert url in reader.get("/api/errors.csv").text


@pytest.mark.parametrize(
    "address",
    [
        "errors?per_page=501",
        "errors?per_page=0",
        "errors?page=0",
        "errors?page=x",
        "errors?sort=secret",
        "events?since=0001-01-01T00:00:00%2B14:00",
        "events?until=9999-12-31T23:59:59-14:00",
        "opportunities/1",
    ],
)
def test_a_bad_question_is_422(page_store: Engine, reader: TestClient, address: str) -> None:
    """What can't be asked is refused in the form of all errors."""
    assert page_store is not None
    answer = reader.get(f"/api/{address}")
    assert answer.status_code == 422
    assert set(answer.json()) == {"code", "message", "next_step"}


def test_an_opportunity_is_explained(page_store: Engine, reader: TestClient) -> None:
    """The rule, the customer's name and what is unresolved are told; an unknown id is 404."""
    write(page_store, CONTACT, {"id": 2, "first_name": "Ann", "last_name": "<script>"})
    write(
        page_store,
        OPPORTUNITY,
        {"id": 1, "name": "Big deal", "customer_id": guid(2), "customer_type": "contact"},
    )
    unresolved = {
        "opportunity_id": guid(1),
        "kind": "contact_account",
        "reference_id": guid(3),
        "reason": "account_not_found",
        "first_seen_at": ago(5),
    }
    put(page_store, unresolved_association, unresolved)
    found = asked(reader, f"opportunities/{guid(1).upper()}")
    assert (found["name"], found["rule"]) == ("Big deal", "customer_is_contact")
    assert found["customer"]["name"] == "Ann <script>"
    assert found["customer"]["survivor_id"] == guid(2)
    assert [row["reason"] for row in found["unresolved"]] == ["account_not_found"]
    assert reader.get(f"/api/opportunities/{guid(9)}").status_code == 404


def test_nothing_is_tried_again_while_the_dag_is_switched_off(reader: TestClient) -> None:
    """A run would be queued and wait, and nobody would know why nothing happens."""
    from sync_page_sources import is_paused

    reader.app.dependency_overrides[is_paused] = lambda: True  # type: ignore[attr-defined]
    answer = reader.post("/api/errors/retry", headers={"x-requested-with": "dynamics-sync"})
    assert (answer.status_code, answer.json()["code"]) == (409, "page.paused")


def test_the_page_runs_nothing_but_its_own_files(reader: TestClient) -> None:
    """Page, script and style are served with a policy that forbids scripts in the text."""
    for address in ("/", "/files/page.js", "/files/page.css", "/files/plotly.min.js"):
        answer = reader.get(address)
        assert answer.status_code == 200
        assert "default-src 'self';" in answer.headers["content-security-policy"]
    assert reader.get("/files/secret").status_code == 404
