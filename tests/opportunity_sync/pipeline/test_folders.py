"""A folder of one's own rows through whole runs: faults cost their own row, edits are noticed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from dynamics_sandbox import Address, Sandbox
from dynamics_sandbox.exports.export_folder import read_folder
from dynamics_sandbox.organisation.folder_versions import organisation_of
from sync_runs import SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

GOOD, BAD, NEW = (f"c0000000-0000-0000-0000-00000000000{number}" for number in range(3))


def a_contact(row_id: str, **columns: Any) -> dict[str, Any]:
    """A contact modified at noon."""
    return {"contactid": row_id, "modifiedon": "2026-01-05T12:00:00Z", **columns}


def run_over(folder: Path, engine: Engine, *rows: dict[str, Any]) -> None:
    """Write the rows into the folder and run the sync over it, at the address of the last time."""
    files = folder / "rows"
    files.mkdir(parents=True, exist_ok=True)
    (files / "contacts.json").write_text(json.dumps({"value": rows}), encoding="utf-16")
    organisation = organisation_of(read_folder(files), folder / "memory.json", identity="mine")
    port = folder / "port"
    address = Address(port=int(port.read_text()) if port.exists() else 0)
    with Sandbox(organisation, address=address) as sandbox:
        port.write_text(str(sandbox.port))
        SyncRuns(sandbox, engine, settings_for_tests(folder)).run()


def contacts(engine: Engine) -> dict[str, tuple[str | None, bool]]:
    """First name and deletion of each stored contact."""
    with engine.connect() as connection:
        found = connection.execute(text("SELECT contact_id, first_name, is_deleted FROM contact"))
        return {row[0]: (row[1], bool(row[2])) for row in found}


@pytest.mark.parametrize(
    "fault",
    [
        {"createdon": "0000-00-00T00:00:00Z"},
        {"createdon": "0000-01-01T00:00:00Z"},
        {"createdon": "0001-01-01T00:00:00+01:00"},
        {"createdon": "2026-02-30T00:00:00Z"},
        {"modifiedon": "9999-12-31T23:59:59-01:00"},
        {"modifiedon": "yesterday"},
        {"statecode": "open"},
        {"donotemail": "maybe"},
        {"_parentcustomerid_value": "nonsense"},
        {"preferredcontactmethodcode": 10**30},
    ],
    ids=repr,
)
def test_a_faulty_row_of_a_folder_is_refused_and_the_others_arrive(
    tmp_path: Path, sqlite_engine: Engine, fault: dict[str, Any]
) -> None:
    """With rows without a time beside it, to which it must not give its own."""
    untimed = {"contactid": GOOD, "firstname": "Ada"}
    run_over(tmp_path, sqlite_engine, a_contact(BAD, **fault), untimed)
    assert contacts(sqlite_engine) == {GOOD: ("Ada", False)}


def test_an_edited_folder_is_followed_by_change_tracking(
    tmp_path: Path, sqlite_engine: Engine
) -> None:
    """What was changed, added and removed, though no time of modification moved."""
    run_over(tmp_path, sqlite_engine, a_contact(GOOD, firstname="Ada"), a_contact(BAD))
    old = "2020-01-01T00:00:00Z"
    edited = [a_contact(GOOD, firstname="Eve"), a_contact(NEW, modifiedon=old)]
    run_over(tmp_path, sqlite_engine, *edited)
    assert contacts(sqlite_engine) == {
        GOOD: ("Eve", False),
        BAD: (None, True),
        NEW: (None, False),
    }
