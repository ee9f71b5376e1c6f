"""A selected column is made anew with another type, and comes back: no row is left with old values.

The kind of a selected field is that of its column in Dynamics, so its columns in the store change
with it: a choice has a code and a label, a text has neither.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox import Organisation, Sandbox
from dynamics_sandbox.schema.attribute import LOOKUP_TABLE, Attribute
from oracle import actual_store, differences, expected_store
from oracle_fields import parse_selected
from organisations import without_tracking
from sync_runs import SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)
FIELDS = """
[contact.fields]
region = "new_region"
partner = "new_partner"
interests = "new_interests"
"""
REGION = Attribute("new_region", "Picklist", options={1: "North", 2: "South"})
PARTNER = Attribute("new_partner", "Lookup", targets=("account", "contact"))
INTERESTS = Attribute("new_interests", "MultiSelectPicklist", options={1: "Sea", 2: "Hills"})
CONTACT_ID = "00000000-0000-4000-8000-000000000001"
SOME_ID = "00000000-0000-4000-8000-000000000002"
OTHER_TYPES: dict[str, dict[str, Any]] = {
    "new_region": {"kind": "String"},
    "new_partner": {"kind": "Lookup", "targets": ("account",)},
}


def with_values(region: int, table: str) -> dict[str, Any]:
    """What a contact holds in the columns."""
    return {
        "new_region": region,
        "new_interests": "1,2",
        "_new_partner_value": SOME_ID,
        f"_new_partner_value{LOOKUP_TABLE}": table,
    }


@pytest.fixture(params=[True, False], ids=["change tracking", "windows"])
def world(request: pytest.FixtureRequest) -> Organisation:
    """One contact with a region, a partner and interests, with and without change tracking."""
    empty = Organisation.empty()
    organisation = empty if request.param else without_tracking(empty)
    organisation.now = MORNING
    organisation.add_column("contacts", REGION)
    organisation.add_column("contacts", PARTNER)
    organisation.add_column("contacts", INTERESTS)
    organisation.create("contacts", {"contactid": CONTACT_ID, **with_values(1, "contact")})
    return organisation


@pytest.fixture
def runs(world: Organisation, engine: Engine, tmp_path: Path) -> Iterator[SyncRuns]:
    """Runs of that organisation, which have brought everything once."""
    fields_file = tmp_path / "fields.toml"
    fields_file.write_text(FIELDS)
    settings = settings_for_tests(tmp_path, overlap_minutes=0, fields=str(fields_file))
    with Sandbox(world) as sandbox:
        runs = SyncRuns(sandbox, engine, settings)
        runs.run()
        yield runs


def later(organisation: Organisation) -> None:
    """Time passes."""
    organisation.now = organisation.now + timedelta(minutes=20)


def drift(runs: SyncRuns) -> list[str]:
    """How the store differs from the organisation as it is."""
    selected = parse_selected(FIELDS, runs.sandbox.organisation)
    expected = expected_store(runs.sandbox.organisation, selected)
    return differences(expected, actual_store(runs.engine, selected))


@pytest.mark.parametrize("column", OTHER_TYPES)
def test_rows_that_changed_while_a_column_was_of_another_type_are_filled(
    runs: SyncRuns, world: Organisation, column: str
) -> None:
    """What they have under the other type's columns does not count as the column itself."""
    later(world)
    world.retype_column("contacts", column, **OTHER_TYPES[column])
    world.update("contacts", CONTACT_ID, with_values(2, "account"))
    later(world)
    runs.run()
    later(world)
    world.restore_column("contacts", column)
    runs.quick_sync()
    runs.run()

    assert drift(runs) == []


@pytest.mark.parametrize("column", [REGION, INTERESTS], ids=lambda column: column.name)
def test_a_renamed_option_reaches_rows_that_do_not_change(
    runs: SyncRuns, world: Organisation, column: Attribute
) -> None:
    """Whether they have one option or several; in the others the label stays."""
    later(world)
    world.add_column("contacts", replace(column, options={**(column.options or {}), 1: "New"}))
    runs.run()

    assert drift(runs) == []
