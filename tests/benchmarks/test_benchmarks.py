"""The benchmark itself, at toy size: it must measure what it says, on the pages it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from made_pages import made_tables, organisation_of
from measuring import Job, TaskFailedError, measured
from page_server import served
from report import Aim
from saving import PAGE, with_figures

from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.dynamics import (
    DataverseClient,
    DynamicsConnection,
    dynamics_session,
    organization_plan,
)
from opportunity_sync.entities import ENTITIES
from opportunity_sync.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from made_pages import MadeTable

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tables() -> Iterator[dict[str, MadeTable]]:
    """The pages of the smallest organisation."""
    with Sandbox(Organisation.generated(seed=3, opportunities=50)) as sandbox:
        given = sandbox.connection()
        connection = DynamicsConnection.from_parts(
            given["host"], given["login"], given["password"], given["extra"]
        )
        with dynamics_session(connection) as session:
            client = DataverseClient(session, connection.organization_url, settings=Settings())
            yield made_tables(client, organization_plan(client, ENTITIES, language=None))


def test_made_rows_are_whole_and_have_keys_and_versions_of_their_own(
    tables: dict[str, MadeTable],
) -> None:
    """Rounds through the small organisation repeat its rows, but never a key or a version."""
    table = tables["contacts"]
    count = 3 * table.rows + 7

    rows = json.loads(b"[" + table.rows_between(0, count) + b"]")

    assert len(rows) == count
    assert len({row["contactid"] for row in rows}) == count
    assert len({row["versionnumber"] for row in rows}) == count
    assert {len(row["contactid"]) for row in rows} == {36}
    first, again = rows[0], rows[table.rows]
    assert first["lastname"] == again["lastname"]


def test_made_lookups_lead_to_rows_of_the_same_round(tables: dict[str, MadeTable]) -> None:
    """A contact's parent account is found in any round as often as in the first."""
    contacts, accounts = tables["contacts"], tables["accounts"]
    known = json.loads(b"[" + accounts.rows_between(0, 2 * accounts.rows) + b"]")
    keys = {row["accountid"] for row in known}

    found = [
        sum(
            row["_parentcustomerid_value"] in keys
            for row in json.loads(b"[" + contacts.rows_between(first, last) + b"]")
        )
        for first, last in ((0, contacts.rows), (contacts.rows, 2 * contacts.rows))
    ]

    assert found[0] > contacts.rows / 2
    assert found[0] == found[1]


def test_the_page_server_serves_every_row_over_its_links(tables: dict[str, MadeTable]) -> None:
    """Pages are of 5000 rows, confirm the annotations, and end where the table ends."""
    with served(tables, {"some": {"contacts": 12_345}}) as urls:
        link, answers = f"{urls['some']}/api/data/v9.2/contacts?$select=contactid", []
        while link:
            answers.append(requests.get(link, timeout=10))
            link = answers[-1].json().get("@odata.nextLink")

    assert [len(answer.json()["value"]) for answer in answers] == [5000, 5000, 2345]
    assert all("lookuplogicalname" in each.headers["Preference-Applied"] for each in answers)


def test_an_organisation_has_the_rows_that_were_asked_for() -> None:
    """The four tables share the rows out in their usual proportions."""
    assert organisation_of(2800) == {
        "contacts": 1000, "accounts": 400, "opportunities": 600, "connections": 800,
    }  # fmt: skip


def test_a_failure_in_a_measured_process_is_told_with_its_traceback() -> None:
    """A phase that fails ends the benchmark instead of looking fast."""
    with pytest.raises(TaskFailedError, match="unexpected keyword"):
        measured(Job("fetch_and_parse", {"nonsense": 1}))


@pytest.mark.parametrize(
    ("ratio", "is_upper", "expected"),
    [(1.5, True, True), (1.51, True, False), (1.5, False, True), (1.49, False, False)],
)
def test_an_aim_is_met_up_to_its_bound(ratio: float, *, is_upper: bool, expected: bool) -> None:
    """The bound itself still counts as met, from above and from below."""
    assert expected == Aim("any", ratio, 1.5, is_upper=is_upper).is_met


def test_figures_replace_those_on_the_page_and_nothing_else() -> None:
    """The page as it stands has one place for figures, and takes new ones again and again."""
    page = PAGE.read_text()

    once = with_figures(page, "| figures |")
    twice = with_figures(once, "| figures |")

    assert "| figures |" in once
    assert once == twice
    assert once.startswith(page.partition("<!-- figures")[0])
    assert once.endswith(page.partition("<!-- end of figures")[2])


def test_the_whole_benchmark_runs_on_postgres_at_toy_size() -> None:
    """Every phase, every rival and every aim is there, and nothing is left behind."""
    sizes = ["--rows", "700", "--large", "1400", "--repeats", "1", "--made-from", "50"]
    run = subprocess.run(
        [sys.executable, str(PROJECT / "benchmarks" / "run.py"), *sizes],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        timeout=280,
    )

    assert run.returncode == 0, run.stderr[-2000:]
    for phase in ("extract to typed Parquet", "raw COPY", "load into SQLite", "to_sql, PostgreSQL"):
        assert phase in run.stdout
    assert run.stdout.count("<= 1.3") == 3
