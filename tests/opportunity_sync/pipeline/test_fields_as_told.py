"""What the page is told of selected fields: each run leaves why it could not read one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.pipeline import ending
from opportunity_sync.status import selected_columns
from opportunity_sync.store.schema.tables import left_out_field
from store_rows import dump
from sync_runs import QUICK_SYNC, SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine

WAYS: dict[str, Callable[[Organisation], None]] = {
    "missing": lambda world: world.drop_column("contacts", "emailaddress1"),
    "secured": lambda world: world.secure_column("contacts", "emailaddress1"),
    "masked": lambda world: world.secure_column("contacts", "emailaddress1", masked=True),
    "retyped": lambda world: world.retype_column("contacts", "emailaddress1", "Integer"),
}


@pytest.fixture
def fields_file(tmp_path: Path) -> Path:
    """The deployment's selection: the default one, to begin with."""
    path = tmp_path / "fields.toml"
    path.write_text("")
    return path


@pytest.fixture
def world() -> Organisation:
    """One contact."""
    organisation = Organisation.empty()
    organisation.create("contacts", {"lastname": "Byron", "emailaddress1": "a@example.com"})
    return organisation


@pytest.fixture
def runs(
    world: Organisation, sqlite_engine: Engine, tmp_path: Path, fields_file: Path
) -> Iterator[SyncRuns]:
    """Runs that have brought everything once."""
    settings = settings_for_tests(tmp_path, fields=str(fields_file))
    with Sandbox(world) as sandbox:
        runs = SyncRuns(sandbox, sqlite_engine, settings)
        runs.run()
        yield runs


def states(runs: SyncRuns) -> dict[str, str]:
    """The state of each column of contacts, by name."""
    with runs.engine.connect() as connection:
        return {row["column"]: row["state"] for row in selected_columns(connection)["contact"]}


@pytest.mark.parametrize("state", WAYS)
def test_a_column_that_is_away_says_why_until_it_is_back(
    runs: SyncRuns, world: Organisation, state: str
) -> None:
    """The other columns are read meanwhile; a run that can read it again says so."""
    WAYS[state](world)
    runs.run()
    found = states(runs)
    assert (found["email"], found["last_name"]) == (state, "read")
    (told,) = (
        row
        for row in dump(runs.engine, left_out_field)["left_out_field"]
        if row["field"] == "email"
    )
    assert told["source"] == "emailaddress1"
    assert told["reason"]


def test_a_column_that_is_back_says_so_and_nothing_else_is_written_each_time(
    runs: SyncRuns, world: Organisation
) -> None:
    """What comes with another solution is missing where that solution is not there."""
    world.secure_column("contacts", "emailaddress1")
    runs.run()
    world.unsecure_column("contacts", "emailaddress1")
    runs.scheduled_run()
    found = states(runs)
    assert (found["email"], found["mkt_leadscore"]) == ("read", "missing")


def test_what_was_never_there_has_no_column_and_is_told_all_the_same(
    runs: SyncRuns, fields_file: Path
) -> None:
    """The name that the store would give it, and where it was looked for."""
    fields_file.write_text('[contact.fields]\nregion = "new_region"\n')
    runs.run()
    with runs.engine.connect() as connection:
        (row,) = (
            each for each in selected_columns(connection)["contact"] if each["column"] == "region"
        )
    assert (row["source"], row["type"], row["state"]) == ("new_region", None, "missing")
    assert (row["filled_share"], row["as_of"]) == (None, None)


def test_a_column_that_somebody_else_made_is_refused(runs: SyncRuns, fields_file: Path) -> None:
    """The store has a column of that name, and it is not ours to write."""
    with runs.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE contact ADD COLUMN nick TEXT")
    fields_file.write_text('[contact.fields]\nnick = "nickname"\n')
    runs.run()
    assert states(runs)["nick"] == "refused"


def test_a_new_field_is_filling_and_a_fill_that_failed_waits_for_a_person(
    runs: SyncRuns, fields_file: Path
) -> None:
    """What is not selected any more has stopped; when the fill is through, the field is read."""
    fields_file.write_text('[contact]\nwithout = ["email"]\n[contact.fields]\nnick = "nickname"\n')
    runs.run()
    assert (states(runs)["email"], states(runs)["nick"]) == ("stopped", "filling")
    begun = runs.begin("fill")
    ending.finish(runs.engine, begun, succeeded=False, settings=runs.settings, error="No.")
    assert begun["dag_id"] == QUICK_SYNC
    assert states(runs)["nick"] == "failed"
    runs.quick_sync()
    assert states(runs)["nick"] == "read"
