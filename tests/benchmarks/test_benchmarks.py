"""The benchmark itself, at toy size: it must measure what it says, on the pages it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID

import pytest
import requests
from changes import PARTS, Wanted, changes_of
from made_pages import made_tables, organisation_of
from measuring import Job, TaskFailedError, measure_jobs
from page_server import serve_pages
from report import Aim
from saving import PAGE, with_figures
from touched import WrongRowsError, check, state_of

from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.dynamics import (
    DataverseClient,
    DynamicsConnection,
    dynamics_session,
    organization_plan,
)
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.settings import Settings
from opportunity_sync.store import migrate, store_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from made_pages import MadeTable

PROJECT = Path(__file__).resolve().parents[2]
KEYS = {entity.set_name: entity.key for entity in DEFAULT_MODEL}
FEW = {"contacts": 10, "accounts": 4, "opportunities": 6, "connections": 8}


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
            yield made_tables(
                client, organization_plan(client, DEFAULT_MODEL.entities, language=None)
            )


def rows_of(table: MadeTable, count: int) -> list[dict[str, Any]]:
    """The first rows of a made table."""
    rows: list[dict[str, Any]] = json.loads(b"[" + table.rows_between(0, count) + b"]")
    return rows


def contacts_at(url: str, condition: str | None = None) -> list[dict[str, Any]]:
    """The contacts on all pages of a served organisation, filtered or not."""
    link, rows = f"{url}/api/data/v9.2/contacts?$select=contactid,modifiedon", []
    link += f"&$filter={quote(condition)}" if condition else ""
    while link:
        page = requests.get(link, timeout=60).json()
        rows += page["value"]
        link = page.get("@odata.nextLink")
    return rows


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
    with serve_pages(tables, {"some": {"contacts": 12_345}}) as urls:
        link, answers = f"{urls['some']}/api/data/v9.2/contacts?$select=contactid", []
        while link:
            answers.append(requests.get(link, timeout=60))
            link = answers[-1].json().get("@odata.nextLink")

    assert [len(answer.json()["value"]) for answer in answers] == [5000, 5000, 2345]
    assert all("lookuplogicalname" in each.headers["Preference-Applied"] for each in answers)


def test_the_page_server_finds_rows_by_their_keys(tables: dict[str, MadeTable]) -> None:
    """A key of any round leads to its row; one beyond the organisation's end leads to none."""
    rounds = 2 * tables["contacts"].rows
    keys = [row["contactid"] for row in rows_of(tables["contacts"], rounds + 1)]
    asked = ",".join(
        f"'{key}'" for key in (keys[3], keys[rounds - 1], keys[rounds], str(UUID(int=0)))
    )
    condition = f"Microsoft.Dynamics.CRM.In(PropertyName='contactid',PropertyValues=[{asked}])"

    with serve_pages(tables, {"some": {"contacts": rounds}}) as urls:
        found = contacts_at(urls["some"], condition)

    assert [row["contactid"] for row in found] == [keys[3], keys[rounds - 1]]


def test_the_page_server_shows_the_changed_rows_in_any_window(
    tables: dict[str, MadeTable],
) -> None:
    """A filter on `modifiedon` brings what changed, in pages, and no filter the whole table."""
    changed = [b'{"contactid":"%d"}' % number for number in range(5001)]

    with serve_pages(tables, {"some": {"contacts": 7}}, {"some": {"contacts": changed}}) as urls:
        shown = contacts_at(urls["some"], "modifiedon ge 2026-01-01T00:00:00Z")
        whole = contacts_at(urls["some"])

    assert [row["contactid"] for row in shown] == [str(number) for number in range(5001)]
    assert whole == rows_of(tables["contacts"], 7)


def test_changes_are_new_versions_of_rows_that_exist(tables: dict[str, MadeTable]) -> None:
    """As many rows as wanted change, each once, differ in more than their version, and exist."""
    sizes = {name: 3 * table.rows for name, table in tables.items()}

    for part in range(PARTS):
        for name, changed in changes_of(tables, sizes, Wanted("any", FEW, part)).items():
            before = {row[KEYS[name]]: row for row in rows_of(tables[name], sizes[name])}
            after = {row[KEYS[name]]: row for row in map(json.loads, changed.rows)}
            assert len(after) == len(changed.rows) == FEW[name]
            assert list(after) == list(changed.keys)
            for key, row in after.items():
                assert row["versionnumber"] > before[key]["versionnumber"]
                differing = {column for column in row if row[column] != before[key].get(column)}
                assert differing > {"versionnumber"} | ({"modifiedon"} & row.keys())


def test_the_same_rows_of_a_round_change_at_any_size(tables: dict[str, MadeTable]) -> None:
    """Keys of a small and of a large organisation are the same but for their rounds."""
    found = []
    for rounds in (1, 10):
        sizes = {name: rounds * table.rows for name, table in tables.items()}
        changed = changes_of(tables, sizes, Wanted("any", FEW))
        found.append({name: [key[:-8] for key in each.keys] for name, each in changed.items()})

    assert found[0] == found[1]


def test_parts_of_an_organisation_change_apart(tables: dict[str, MadeTable]) -> None:
    """The rows that change first are not those that change next."""
    sizes = {name: 3 * table.rows for name, table in tables.items()}
    first, second = (
        changes_of(tables, sizes, Wanted("any", FEW, part))["contacts"].keys for part in (0, 1)
    )

    assert set(first).isdisjoint(second)


def test_an_organisation_has_the_rows_that_were_asked_for() -> None:
    """The four tables share the rows out in their usual proportions."""
    assert organisation_of(2800) == {
        "contacts": 1000, "accounts": 400, "opportunities": 600, "connections": 800,
    }  # fmt: skip


def test_a_failure_in_a_measured_process_is_told_with_its_traceback() -> None:
    """A phase that fails ends the benchmark instead of looking fast."""
    with pytest.raises(TaskFailedError, match="unexpected keyword"):
        measure_jobs(Job("fetch_and_parse", {"nonsense": 1}))


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


def test_a_run_that_writes_too_much_ends_the_benchmark(
    tables: dict[str, MadeTable], sqlite_url: str
) -> None:
    """Counts of a load that the store does not bear out are an error, not a figure."""
    engine = store_engine(sqlite_url)
    migrate(engine)
    before = state_of(sqlite_url)
    sizes = {name: table.rows for name, table in tables.items()}
    counts = {"inserted": 0, "updated": 1, "deleted": 0, "rewritten": 0}
    counted = dict.fromkeys(("opportunity", "contact", "account", "role"), counts)
    results = {"transform": {"opportunities": 0}, "load": {"tables": counted}}

    with pytest.raises(WrongRowsError, match="by synced_at: 0, expected 1"):
        check(sqlite_url, changes_of(tables, sizes, Wanted("any", FEW)), results, before=before)


def test_the_whole_benchmark_runs_on_postgres_at_toy_size() -> None:
    """Every phase, every rival and every aim is there, and nothing is left behind."""
    sizes = ["--rows", "700", "--large", "1400", "--repeats", "1", "--made-from", "50"]
    sizes += ["--store", "1400", "--growth", "300", "--changes", "20", "--page-rows", "2000"]
    run = subprocess.run(
        [sys.executable, str(PROJECT / "benchmarks" / "run.py"), *sizes],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        timeout=800,
    )

    assert run.returncode == 0, run.stderr[-2000:]
    for phase in ("extract to typed Parquet", "raw COPY", "load into SQLite", "to_sql, PostgreSQL"):
        assert phase in run.stdout
    for figure in ("incremental: extract", "read in sequence", "CPU of an incremental run"):
        assert figure in run.stdout
    assert run.stdout.count("<= 1.3") == 3
