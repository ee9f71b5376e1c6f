"""The documentation keeps up with the code: what it names exists, and what exists is named.

Pages that list things are generated, and must be current. Prose is held to what can be checked:
its links, the files, commands, settings, DAGs and tables that it names, its SQL, and how
decisions end.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from doc_pages import (
    DECISIONS,
    DOCS,
    PAGES,
    PROJECT,
    blocks,
    codes,
    commands,
    is_there,
    line_of,
    links,
    resolves,
    section_of,
    text_of,
)
from opportunity_sync import errors
from opportunity_sync.core import associations
from opportunity_sync.core.merges import MERGE_CIRCLE
from opportunity_sync.core.references import ACCOUNT_REASONS, CONTACT_REASONS
from opportunity_sync.model import DEFAULT_MODEL, EXTRACT_TASKS
from opportunity_sync.settings import PREFIX, Settings
from opportunity_sync.store import lock_store, migrate, store_engine
from opportunity_sync.store.schema.tables import tables_of

if TYPE_CHECKING:
    from pathlib import Path

SOURCE_FILE = re.compile(r"[\w./-]*\w\.(?:py|md|toml|yaml|sh)|[\w.-]+/(?:[\w.-]+/)*")
# Folders of a run's staging, which prose names like folders of the project.
STAGED = {"derived/", "resolved/"}
PACKAGE = re.compile(r"[A-Za-z][\w-]*")
# What a reader of the page fills in, in a query.
PARAMETER = re.compile(r"(?<![:\w]):(\w+)")

page = pytest.mark.parametrize(
    "path", [pytest.param(path, id=str(path.relative_to(PROJECT))) for path in PAGES]
)
decision = pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in DECISIONS])


def test_generated_pages_are_what_the_code_says() -> None:
    """A new setting or column without `make docs` is found, with the difference shown."""
    checked = generated(PROJECT)

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_a_page_that_is_behind_is_shown_line_by_line(tmp_path: Path) -> None:
    """The check prints what is missing and what is too much, fails, and changes nothing."""
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copytree(PROJECT / "scripts", tmp_path / "scripts")
    behind = text_of(DOCS / "settings.md").replace("`OPPORTUNITY_SYNC_PAGE_SIZE`", "gone")
    (tmp_path / "docs/settings.md").write_text(behind, "utf-8")

    checked = generated(tmp_path)

    assert checked.returncode == 1
    assert "\n-| gone |" in checked.stdout
    assert "\n+| `OPPORTUNITY_SYNC_PAGE_SIZE` |" in checked.stdout
    assert "run `make docs`" in checked.stdout
    assert behind == text_of(tmp_path / "docs/settings.md")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name: str) -> None:
    """Its variable has a line in the settings page, with what it is."""
    description = Settings.model_fields[name].description
    line = line_of(DOCS / "settings.md", f"| `{PREFIX}{name.upper()}` |")

    assert description
    assert description in line


@pytest.mark.parametrize("name", tables_of(DEFAULT_MODEL))
def test_every_table_and_column_is_documented(name: str) -> None:
    """The store page has a section for the table, and names each of its columns there."""
    told = codes(section_of(DOCS / "store.md", f"### {name}"))

    assert [
        column.name for column in tables_of(DEFAULT_MODEL)[name].columns if column.name not in told
    ] == []


@pytest.mark.parametrize("name", [entity.name for entity in DEFAULT_MODEL])
def test_every_field_is_documented_with_its_source(name: str) -> None:
    """Each column that a field becomes stands on one line with the Dataverse column it is from."""
    entity = DEFAULT_MODEL[name]
    tables = [entity.fact_table, *([entity.name] if entity.is_public else [])]
    sections = [section_of(DOCS / "store.md", f"### {table}") for table in tables]
    lines = [codes(line) for section in sections for line in section.splitlines()]

    undocumented = [
        (field.source, column.name)
        for field in entity.all_fields
        for column in field.columns
        if not any({field.source, column.name} <= line for line in lines)
    ]

    assert undocumented == []


def test_every_error_class_is_in_the_tree_of_errors() -> None:
    """The picture at the top of `errors.py` holds each class of the module, once."""
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind)]
    names = [kind.__name__ for kind in kinds if issubclass(kind, errors.SyncError)]
    tree = re.findall(r"^[│├└─ ]*(\w+Error)\b", errors.__doc__ or "", re.MULTILINE)

    assert sorted(names) == sorted(tree)


def test_every_rule_of_the_documentation_is_a_function() -> None:
    """The rules in words carry the names under which the code decides them."""
    words = section_of(DOCS / "associations.md", "## The rules in words")
    rules = re.findall(r"^\| `(\w+)` \|", words, re.MULTILINE)

    assert rules == ["customer_is_contact", "customer_is_account", "no_customer", "stakeholder"]
    assert [name for name in rules if not inspect.isfunction(vars(associations).get(name))] == []


def test_every_reason_and_kind_is_documented() -> None:
    """The store page names the reasons of the code, and the kinds that the truth table shows."""
    reasons = codes(line_of(DOCS / "store.md", "| `reason` |")) - {"reason", "refused_row"}
    kinds = codes(line_of(DOCS / "store.md", "| `kind` | text | text | key |")) - {"kind"}
    shown = re.findall(r"\b(\w+_\w+) [acr]\d+ (\w+_\w+)", text_of(DOCS / "associations.md"))

    in_code = {
        reason
        for known in (CONTACT_REASONS, ACCOUNT_REASONS)
        for reason in (known.not_found, known.excluded, known.refused, known.erased)
        if reason is not None
    }
    assert reasons == in_code | {MERGE_CIRCLE, "role_not_found", "role_refused"}
    # Who was erased is no matter of Dynamics, of which the truth table is.
    assert reasons - {CONTACT_REASONS.erased} == {reason for _, reason in shown}
    assert kinds == {kind for kind, _ in shown}


@page
def test_links_resolve(path: Path) -> None:
    """Each link within the project leads to a file or folder, and to a heading of it if named."""
    assert [target for target in links(path) if not resolves(path, target)] == []


@page
def test_files_that_are_named_exist(path: Path) -> None:
    """A path set as code is a file or folder of the project."""
    named = {found for found in codes(text_of(path)) if SOURCE_FILE.fullmatch(found)} - STAGED

    assert [name for name in sorted(named) if not is_there(name)] == []


@page
def test_make_targets_that_are_named_exist(path: Path) -> None:
    """A page names no target that the Makefile lacks."""
    targets = re.findall(r"^([a-z-]+):", text_of(PROJECT / "Makefile"), re.MULTILINE)
    named = re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)", commands(path))

    assert sorted(set(named) - set(targets)) == []


@page
def test_settings_that_are_named_exist(path: Path) -> None:
    """A page names no variable that the settings would refuse."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    named = re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]", text_of(path))

    assert sorted(set(named) - known) == []


@page
def test_dags_and_tasks_that_are_named_exist(path: Path) -> None:
    """A page names no DAG or extract task that Airflow would not find."""
    source = text_of(PROJECT / "dags/dynamics_opportunities.py")
    known = {*re.findall(r'"(dynamics_(?:opportunity|quick)_\w+)"', source), *EXTRACT_TASKS}
    named = re.findall(r"`((?:dynamics_opportunity|dynamics_quick|extract)_[a-z]+)`", text_of(path))

    assert sorted(set(named) - known) == []


@page
def test_queries_run_on_the_store(path: Path, sqlite_url: str) -> None:
    """A query that an operator shall copy names tables and columns that there are."""
    queries = blocks(path, "sql")
    if not queries:
        return
    engine = store_engine(sqlite_url)
    migrate(engine)
    with lock_store(engine, wait_seconds=5) as connection:
        for statement in ";".join(queries).split(";"):
            given = dict.fromkeys(PARAMETER.findall(statement), 0)
            connection.execute(text(statement.strip() or "SELECT 1"), given)
    engine.dispose()


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    """File name, heading and list agree on number and title."""
    titles = [text_of(path).splitlines()[0] for path in DECISIONS]
    listed = [
        line for line in text_of(DOCS / "decisions/README.md").splitlines() if line[:1].isdigit()
    ]

    assert [f"{number:04}" for number in range(1, len(titles) + 1)] == [
        path.name[:4] for path in DECISIONS
    ]
    assert listed == [
        f"{int(path.name[:4])}. [{title.partition('. ')[2]}]({path.name})"
        for path, title in zip(DECISIONS, titles, strict=True)
    ]


@decision
def test_a_decision_ends_with_what_would_violate_it(path: Path) -> None:
    """Whoever changes the code can tell whether a decision is at stake."""
    text = text_of(path)

    assert text.startswith(f"# {int(path.name[:4])}. ")
    assert text.strip().split("\n\n")[-1].startswith("**A change violates this when** ")


def test_every_dependency_has_its_reason() -> None:
    """The decision on dependencies has each package of the groups, and no other."""
    [path] = [path for path in DECISIONS if path.name.endswith("-dependencies.md")]
    cells = re.findall(r"^\| ([\w, -]+) \| ", text_of(path), re.MULTILINE)
    explained = {name for cell in cells if "package" not in cell for name in PACKAGE.findall(cell)}
    groups = tomllib.loads(text_of(PROJECT / "pyproject.toml"))["dependency-groups"]
    lines = [line for group in groups.values() for line in group]
    wanted = {found[0] for line in lines if (found := PACKAGE.match(line))}

    assert sorted(wanted) == sorted(explained)


def generated(project: Path) -> subprocess.CompletedProcess[str]:
    """Check a project folder's pages against this project's code."""
    path = os.pathsep.join(str(PROJECT / name) for name in ("include", "plugins"))
    return subprocess.run(
        [sys.executable, "-B", "scripts/generate_docs.py", "--check"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
