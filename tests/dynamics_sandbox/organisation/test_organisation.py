"""Rows change as Dataverse changes them: versions, times, cascades, merges, connections."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox import TABLES, Attribute, Organisation, Touch

if TYPE_CHECKING:
    from pathlib import Path

TYPE = "@Microsoft.Dynamics.CRM.lookuplogicalname"


def test_a_new_row_has_key_version_times_and_state(organisation: Organisation) -> None:
    """Given by the organisation's clock and counter; text becomes an id of its own."""
    identifier = organisation.create("contacts", {"fullname": "Ada"})
    row = organisation.row("contacts", identifier)
    assert (row["createdon"], row["modifiedon"]) == ("2026-02-03T04:05:06Z",) * 2
    assert (0, 1, organisation.version) == (
        row["statecode"],
        row["statuscode"],
        row["versionnumber"],
    )


def test_the_clock_is_real_until_it_is_set(organisation: Organisation) -> None:
    """And real again when it is let go."""
    organisation.now = datetime(2026, 1, 1, 12, 0, 0, 999_999, tzinfo=UTC)
    assert organisation.now.isoformat() == "2026-01-01T12:00:00+00:00"
    organisation.now = None
    assert abs((organisation.now - datetime.now(UTC)).total_seconds()) < 5


def test_versions_grow_over_all_tables(organisation: Organisation) -> None:
    """One counter for the organisation, deletions included."""
    versions = []
    for set_name in ("contacts", "accounts", "contacts"):
        identifier = organisation.create(set_name, {})
        versions.append(organisation.row(set_name, identifier)["versionnumber"])
        organisation.delete(set_name, identifier)
        versions.append(organisation.version)
    assert versions == sorted(set(versions))


@pytest.mark.parametrize(
    ("touch", "version_moves", "time_moves"),
    [(Touch.ALL, True, True), (Touch.VERSION, True, False), (Touch.NOTHING, False, False)],
)
def test_an_update_moves_what_it_is_told_to(
    organisation: Organisation, touch: Touch, version_moves: bool, time_moves: bool
) -> None:
    """Plain updates, rollups and cascades, calculated columns."""
    identifier = organisation.create("contacts", {}, modified_at="2026-01-01T00:00:00Z")
    before = organisation.row("contacts", identifier)
    organisation.update("contacts", identifier, {"jobtitle": "x"}, touch=touch)
    after = organisation.row("contacts", identifier)
    assert after["jobtitle"] == "x"
    assert version_moves == (after["versionnumber"] > before["versionnumber"])
    assert time_moves == (after["modifiedon"] != before["modifiedon"])


def test_imports_can_be_back_dated(organisation: Organisation) -> None:
    """The version is new, the time is old."""
    identifier = organisation.create("contacts", {}, modified_at="2019-01-01T00:00:00Z")
    organisation.update("contacts", identifier, {}, modified_at="2020-01-01T01:00:00+01:00")
    row = organisation.row("contacts", identifier)
    assert (row["createdon"], row["modifiedon"]) == ("2019-01-01T00:00:00Z", "2020-01-01T00:00:00Z")
    assert organisation.version == row["versionnumber"]


def test_lookups_learn_their_table_from_the_row_they_name(organisation: Organisation) -> None:
    """And lose it when they are cleared; a dangling one gets the first table."""
    contact = organisation.create("contacts", {})
    other = organisation.create("contacts", {"_parentcustomerid_value": contact})
    assert organisation.row("contacts", other)[f"_parentcustomerid_value{TYPE}"] == "contact"
    organisation.update("contacts", other, {"_parentcustomerid_value": None})
    assert f"_parentcustomerid_value{TYPE}" not in organisation.row("contacts", other)
    nowhere = "00000000-0000-0000-0000-00000000dead"
    organisation.update("contacts", other, {"_parentcustomerid_value": nowhere})
    assert organisation.row("contacts", other)[f"_parentcustomerid_value{TYPE}"] == "account"


@pytest.mark.parametrize("set_name", ["accounts", "contacts"])
def test_deleting_a_customer_takes_its_opportunities_and_connections_along(
    organisation: Organisation, set_name: str
) -> None:
    """Other lookups to it are only cleared, with a new version and the old time."""
    customer = organisation.create(set_name, {})
    contact = organisation.create("contacts", {}, modified_at="2026-01-01T00:00:00Z")
    organisation.update(
        "contacts", contact, {"_parentcustomerid_value": customer}, touch=Touch.NOTHING
    )
    deal = organisation.create("opportunities", {"_customerid_value": customer})
    other = organisation.create("opportunities", {"_customerid_value": contact})
    organisation.connect(deal, contact, None)
    kept = organisation.connect(other, contact, None)

    organisation.delete(set_name, customer)

    assert [other] == [row["opportunityid"] for row in organisation.rows("opportunities")]
    assert set(kept) == {row["connectionid"] for row in organisation.rows("connections")}
    row = organisation.row("contacts", contact)
    assert (row["_parentcustomerid_value"], row["modifiedon"]) == (None, "2026-01-01T00:00:00Z")
    assert row["versionnumber"] > 0


def test_what_is_not_there_can_not_be_changed(organisation: Organisation) -> None:
    """A test that mistypes an id must fail."""
    nowhere = "00000000-0000-0000-0000-00000000dead"
    for change in (
        partial(organisation.update, "contacts", nowhere, {}),
        partial(organisation.delete, "contacts", nowhere),
        partial(organisation.deactivate, "contacts", nowhere),
    ):
        with pytest.raises(KeyError, match="does not exist"):
            change()
    with pytest.raises(ValueError, match="no column nosuch"):
        organisation.create("contacts", {"nosuch": 1})


def test_a_restored_row_has_its_id_and_times_and_a_new_version(organisation: Organisation) -> None:
    """As the recycle bin gives it back: no time window can see it."""
    identifier = organisation.create(
        "contacts", {"fullname": "Ada"}, modified_at="2020-01-01T00:00:00Z"
    )
    before = organisation.row("contacts", identifier)
    organisation.delete("contacts", identifier)
    organisation.restore("contacts", identifier)
    after = organisation.row("contacts", identifier)
    assert after.pop("versionnumber") > before.pop("versionnumber")
    assert before == after


def test_a_merge_keeps_the_loser_and_moves_its_children(organisation: Organisation) -> None:
    """Inactive, marked, pointing at the winner; children follow without a trace in their time."""
    loser, winner = (organisation.create("accounts", {}) for _ in range(2))
    child = organisation.create(
        "contacts", {"_parentcustomerid_value": loser}, modified_at="2026-01-01T00:00:00Z"
    )
    deal = organisation.create("opportunities", {"_customerid_value": loser})
    organisation.merge("accounts", loser, winner)
    row = organisation.row("accounts", loser)
    assert (True, winner, 1, 2) == (
        row["merged"],
        row["_masterid_value"],
        row["statecode"],
        row["statuscode"],
    )
    moved = organisation.row("contacts", child)
    assert (winner, "2026-01-01T00:00:00Z") == (
        moved["_parentcustomerid_value"],
        moved["modifiedon"],
    )
    assert winner == organisation.row("opportunities", deal)["_customerid_value"]


def test_a_connection_is_two_rows_that_mirror_each_other(organisation: Organisation) -> None:
    """Ends, roles and type codes swapped; each names the other."""
    contact = organisation.create("contacts", {})
    deal = organisation.create("opportunities", {"_customerid_value": contact})
    role = organisation.create("connectionroles", {"name": "Champion", "category": 1000})
    first, second = (
        organisation.row("connections", identifier)
        for identifier in organisation.connect(deal, contact, role)
    )
    assert (first["record1objecttypecode"], first["record2objecttypecode"]) == (3, 2)
    for name in ("record{}objecttypecode", "_record{}id_value", "_record{}roleid_value"):
        assert first[name.format(1)] == second[name.format(2)]
        assert first[name.format(2)] == second[name.format(1)]
    assert (role, None) == (first["_record2roleid_value"], first["_record1roleid_value"])
    assert second["connectionid"] == first["_relatedconnectionid_value"]
    assert (first["ismaster"], second["ismaster"]) == (True, False)


def test_an_organisation_keeps_the_versions_that_its_rows_bring() -> None:
    """And counts on from the highest."""
    row: dict[str, Any] = {
        "contactid": "0c2d0000-0000-0000-0000-000000000001",
        "versionnumber": 500,
        "modifiedon": "2026-01-01T00:00:00Z",
    }
    organisation = Organisation(TABLES, {"contacts": [row]})
    assert organisation.row("contacts", row["contactid"])["versionnumber"] == 500
    assert organisation.version > 500


def test_inexact_numbers_become_the_decimals_they_show(organisation: Organisation) -> None:
    """Rows from plain JSON carry floats; money is never served as one."""
    identifier = organisation.create("accounts", {"revenue": 0.1})
    assert Decimal("0.1") == organisation.row("accounts", identifier)["revenue"]


def test_indexes_follow_changes(organisation: Organisation) -> None:
    """A lookup index and the timeline, built once, stay right through every kind of change."""
    store = organisation.stores["contacts"]
    parent = organisation.create("accounts", {})
    first, second = (organisation.create("contacts", {}) for _ in range(2))

    def children() -> list[str]:
        found = (store.rows[key] for key in store.with_value("_parentcustomerid_value", parent))
        return sorted(store.as_dict(row)["contactid"] for row in found)

    assert children() == []
    assert len(store.between("modifiedon", "2026-01-01", "2026-12-31")) == 2
    for identifier in (first, second):
        organisation.update("contacts", identifier, {"_parentcustomerid_value": parent})
    assert sorted([first, second]) == children()
    organisation.update("contacts", first, {"nickname": "x"}, modified_at="2020-01-01T00:00:00Z")
    assert len(store.between("modifiedon", "2026-01-01", "2026-12-31")) == 1
    organisation.add_column("contacts", Attribute("new_x", "String"))
    organisation.delete("contacts", second)
    assert [first] == children()


def test_the_row_of_the_organisation_names_it(tmp_path: Path) -> None:
    """Two organisations have two ids, as have folders of one name; a folder keeps its own."""
    assert Organisation.empty().organisation_id != Organisation.empty().organisation_id
    folders = [tmp_path / place / "rows" for place in ("here", "here", "there")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "accounts.json").write_text('{"value": []}')
    first, again, other = (Organisation.from_folder(item).organisation_id for item in folders)
    assert first == again
    assert first != other
