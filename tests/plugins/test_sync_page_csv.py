"""Tests of the lists as CSV: what a spreadsheet must not take for a formula, and their length."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from opportunity_sync.store import store_engine
from opportunity_sync.store.schema.tables import refused_row
from page_stores import make_empty_store
from store_rows import guid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fastapi.testclient import TestClient


@pytest.fixture
def reader(tmp_path: Path, give_connection: Callable[[str, dict[str, Any]], None]) -> TestClient:
    """Somebody who may read the page of a store with more refused records than one page shows."""
    from fastapi.testclient import TestClient

    from sync_page_access import may_read
    from sync_page_routes import make_page

    file = tmp_path / "store.sqlite"
    make_empty_store(file)
    seen_at = datetime(2026, 11, 26, 12, tzinfo=UTC)
    row = {
        "entity": "contact", "field": "=cmd", "code": "not_a_date", "message": "-2+3",
        "first_seen_at": seen_at, "next_try_at": seen_at, "tries": 1, "tried_by": "1",
    }  # fmt: skip
    rows = [
        row | {"record_id": guid(number), "last_tried_at": seen_at + timedelta(seconds=number)}
        for number in range(1, 702)
    ]
    engine = store_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.execute(insert(refused_row), rows)
    engine.dispose()
    give_connection("marketo_store_reader", {"conn_type": "sqlite", "host": str(file)})
    page = make_page(open_health=False)
    page.dependency_overrides[may_read] = lambda: None
    return TestClient(page, raise_server_exceptions=False)


def lines(reader: TestClient, address: str) -> list[dict[str, str]]:
    """The rows of a file, as a program reads it."""
    answer = reader.get(f"/api/{address}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(StringIO(answer.text)))


def test_the_file_has_all_rows_in_the_order_asked_for(reader: TestClient) -> None:
    """It is no page of the list but all of it, and pages asked for are passed over."""
    found = lines(reader, "errors.csv?sort=record_id&page=9&per_page=1")
    assert [row["record_id"] for row in found] == [guid(number) for number in range(1, 702)]


def test_a_search_narrows_the_file(reader: TestClient) -> None:
    """What is searched for on the page is searched for in its file."""
    assert [row["record_id"] for row in lines(reader, f"errors.csv?search={guid(7)}")] == [guid(7)]


def test_no_text_is_taken_for_a_formula(reader: TestClient) -> None:
    """Text that begins like a formula has an apostrophe before it, and instants have their Z."""
    (row,) = lines(reader, f"errors.csv?search={guid(7)}")
    assert (row["field"], row["message"]) == ("'=cmd", "'-2+3")
    assert row["first_seen_at"] == "2026-11-26T12:00:00Z"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
def test_every_sign_of_a_formula_is_disarmed(text: str) -> None:
    """All signs by which spreadsheets tell a formula."""
    from sync_page_csv import plain_cell

    assert plain_cell(text) == f"'{text}"


def test_numbers_stay_numbers() -> None:
    """A negative number is no formula, and neither is a word with a sign inside."""
    from sync_page_csv import plain_cell

    assert [plain_cell(-1), plain_cell("a=b"), plain_cell(None)] == [-1, "a=b", None]


def test_a_list_without_rows_is_a_file_without_lines(reader: TestClient) -> None:
    """Nothing is unresolved there."""
    assert lines(reader, "unresolved.csv") == []


def test_an_error_is_told_before_the_file_begins(reader: TestClient) -> None:
    """An unknown sort is refused like anywhere else, instead of ending a file early."""
    assert reader.get("/api/errors.csv?sort=secret").status_code == 422
