"""The page on selecting fields shows what really happens: its files, its output, its types.

The organisation of a test is smaller than the demo's, so numbers of printed lines are left aside.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from doc_pages import DOCS, FENCE, codes, section_of, text_of
from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.dynamics import describe_columns
from opportunity_sync.dynamics.metadata import offered_columns
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.model.fields_file import parse_fields
from opportunity_sync.model.fields_reader import read_selection
from opportunity_sync.pipeline.preview import kept_columns, preview
from sync_fields import HEADINGS, WIDTHS, names_in_store, table
from sync_forms import quick_sync_form
from sync_runs import SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

PAGE = DOCS / "fields.md"
NUMBER = re.compile(r"\d[\d,]*")
FIRST_CELL = re.compile(r"^\| ([A-Z][^|]+) \|", re.MULTILINE)
UNSUPPORTED = {
    "Activity parties",
    "Name of a table",
    "Managed property",
    "Calendar rules",
    "Helper of another column",
}


def block(heading: str, *, language: str = "") -> list[str]:
    """The lines of a section's one code block in a language."""
    shown = FENCE.findall(section_of(PAGE, heading) + "\n")
    [found] = [text for kind, text in shown if kind == language]
    lines: list[str] = found.splitlines()
    return lines


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """An organisation as the demo's, but for its size."""
    with Sandbox(Organisation.generated(seed=2024, opportunities=50)) as running:
        yield running


@pytest.fixture
def runs(sandbox: Sandbox, sqlite_engine: Engine, tmp_path: Path) -> SyncRuns:
    """A store that has the default selection, and from now on the page's fields file."""
    path = tmp_path / "fields.toml"
    SyncRuns(sandbox, sqlite_engine, settings_for_tests(tmp_path)).run()
    path.write_text("\n".join(block("## The file", language="toml")), "utf-8")
    settings = settings_for_tests(tmp_path, fields=str(path), page_size=5000)
    return SyncRuns(sandbox, sqlite_engine, settings)


def test_each_file_that_is_shown_is_one() -> None:
    """Whoever copies it gets a selection, and not an error."""
    shown = [text for kind, text in FENCE.findall(text_of(PAGE)) if kind == "toml"]

    assert len(shown) == 1
    assert {each.name for each in parse_fields(shown[0], where="page") if each.custom} == {
        "opportunity",
        "contact",
    }


def test_the_plan_that_is_shown_is_that_of_the_file(runs: SyncRuns) -> None:
    """Line by line, but for the numbers; the two sentences at its end are the report's own."""
    with runs.client() as client:
        changes = preview(client, runs.engine, settings=runs.settings)
    planned = [NUMBER.sub("N", line) for change in changes for line in change.lines()]

    *shown, made, filled = [NUMBER.sub("N", line) for line in block("## What a change would do")]

    assert shown == planned
    assert made == "The next run of dynamics_opportunity_sync makes the new columns."
    assert filled.startswith("dynamics_quick_sync then fills them, by itself")


def test_the_list_that_is_shown_is_that_of_the_file(runs: SyncRuns) -> None:
    """Each line stands in what `make fields` prints."""
    selection = read_selection(runs.settings.fields)
    kept = kept_columns(runs.engine, selection)["opportunity"]
    with runs.client() as client:
        offered = describe_columns(client, DEFAULT_MODEL["opportunity"])
    names = names_in_store(selection["opportunity"], kept)
    printed = list(table("opportunity", offered, names, everything=False))

    shown = block("## What there is to select")

    assert shown[:2] == ["opportunity:", WIDTHS.format(*HEADINGS)]
    assert [line for line in shown if line not in printed] == []


def test_every_type_that_can_be_selected_is_in_the_table() -> None:
    """In the words that `make fields` prints, and no other ones."""
    rows = FIRST_CELL.findall(section_of(PAGE, "## What there is to select"))
    printed = {*offered_columns._TYPE_NAMES.values(), *offered_columns._TIME_NAMES.values()}
    printed |= {"Lookup", "Customer", "Owner"}  # which it prints as metadata has them

    assert {name for row in rows for name in row.split(", ")} == printed - UNSUPPORTED


def test_the_form_is_described_entry_by_entry() -> None:
    """By the titles that Airflow shows."""
    titles = [param.schema["title"] for param in quick_sync_form().values()]
    entries = FIRST_CELL.findall(section_of(PAGE, "## Adding a field"))

    assert ", ".join(entries) == ", ".join(titles)
    assert {"modified", "created"} <= codes(section_of(PAGE, "## Adding a field"))
