"""Which table a lookup points at, where the export says it in another place, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox.exports.export_folder import load_folder, read_folder
from dynamics_sandbox.exports.lookup_tables import NAVIGATION_PROPERTY
from dynamics_sandbox.schema.attribute import LOOKUP_TABLE
from folder_rows import (
    ACCOUNT,
    OTHER,
    ROLE,
    a_contact,
    a_folder,
    attribute_of,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_lookup_takes_its_targets_from_the_annotations(tmp_path: Path) -> None:
    """Custom lookups are lookups, and standard ones learn of custom tables."""
    custom = attribute_of(
        tmp_path, ROLE, column="_new_team_value", **{f"_new_team_value{LOOKUP_TABLE}": "new_team"}
    )
    assert (custom.name, custom.type, custom.targets) == ("new_team", "Lookup", ("new_team",))


def test_a_standard_lookup_learns_of_a_custom_table(tmp_path: Path) -> None:
    """Connections join anything with anything."""
    row = {"connectionid": ROLE, "_record1id_value": ACCOUNT}
    row[f"_record1id_value{LOOKUP_TABLE}"] = "new_indicator"
    tables, _ = load_folder(a_folder(tmp_path, connections=[row]))
    targets = tables["connections"].attributes["record1id"].targets
    assert {"account", "contact", "new_indicator"} <= set(targets)


def test_the_table_of_a_lookup_is_found_where_the_export_leaves_it_out(tmp_path: Path) -> None:
    """A lookup that can point at two tables is told by where its id is; others by their target."""
    folder = a_folder(
        tmp_path,
        accounts=[{"accountid": ACCOUNT.upper()}],
        contacts=[a_contact(_parentcustomerid_value=ACCOUNT, _masterid_value=OTHER)],
    )
    [contact] = load_folder(folder)[1]["contacts"]
    assert contact[f"_parentcustomerid_value{LOOKUP_TABLE}"] == "account"
    assert contact[f"_masterid_value{LOOKUP_TABLE}"] == "contact"


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ({"record2objecttypecode": 2}, "contact"),
        ({"record2objecttypecode": "2"}, "contact"),
        ({"record2objecttypecode": 1}, "account"),
        (
            {f"_record2id_value{NAVIGATION_PROPERTY}": "record2id_contact"},
            "contact",
        ),
        ({}, "unknown"),
    ],
    ids=str,
)
def test_the_object_type_beside_a_lookup_tells_its_table(
    tmp_path: Path, beside: dict[str, Any], expected: str
) -> None:
    """And where nothing tells it, nobody guesses: the sync refuses such a row."""
    row = {"connectionid": ROLE, "_record2id_value": OTHER, **beside}
    loaded = read_folder(a_folder(tmp_path, connections=[row]))
    [connection] = loaded.rows["connections"]
    assert connection.get(f"_record2id_value{LOOKUP_TABLE}") == expected
    open_ones = [finding.column for finding in loaded.findings if finding.column]
    assert open_ones == (["_record2id_value"] if expected == "unknown" else [])


@pytest.mark.parametrize(("team", "expected"), [(OTHER, "team"), (None, "systemuser")])
def test_an_owner_is_a_user_unless_a_team_owns_the_row(
    tmp_path: Path, team: str | None, expected: str
) -> None:
    """Dataverse fills one of two columns beside it."""
    row = a_contact(_ownerid_value=OTHER, _owningteam_value=team)
    [contact] = load_folder(a_folder(tmp_path, contacts=[row]))[1]["contacts"]
    assert contact[f"_ownerid_value{LOOKUP_TABLE}"] == expected
