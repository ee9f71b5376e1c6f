"""Columns are added, dropped and made anew, and every answer shows it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox import Attribute, Organisation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox_caller import Caller

ATTRIBUTES = "EntityDefinitions(LogicalName='contact')?$expand=Attributes"
TRACKED = "odata.track-changes"


def metadata(caller: Caller, name: str) -> Mapping[str, Any] | None:
    """A contact column as the table's metadata has it, if it does."""
    columns = caller.read(ATTRIBUTES)["Attributes"]
    return next((column for column in columns if column["LogicalName"] == name), None)


@pytest.fixture
def ada(organisation: Organisation) -> str:
    """A contact with a job."""
    return organisation.create("contacts", {"fullname": "Ada", "jobtitle": "Countess"})


def test_a_dropped_column_is_gone_everywhere_and_comes_back_with_its_values(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """From metadata, queries and the links that name it."""
    link = caller.read("contacts?$select=fullname,jobtitle", TRACKED)["@odata.deltaLink"]
    organisation.drop_column("contacts", "jobtitle")
    unknown = "Could not find a property named 'jobtitle' on type 'Microsoft.Dynamics.CRM.contact'."
    for asked in ("contacts?$select=jobtitle", "contacts?$filter=jobtitle eq 'x'", link):
        assert caller.refusal(asked) == (400, "0x80060888", unknown)
    assert metadata(caller, "jobtitle") is None
    assert 'Name="jobtitle"' not in caller.get("$metadata").text
    assert "jobtitle" not in caller.read(f"contacts({ada})")
    organisation.restore_column("contacts", "jobtitle")
    assert caller.read(f"contacts({ada})?$select=jobtitle")["jobtitle"] == "Countess"
    assert caller.read(link)["value"] == []


@pytest.mark.parametrize(
    ("kind", "value"), [("Integer", 8), ("Boolean", True), ("DateTime", "2026-01-01T00:00:00Z")]
)
def test_a_retyped_column_has_values_of_its_new_type(
    caller: Caller, organisation: Organisation, ada: str, kind: str, value: Any
) -> None:
    """As metadata says and rows hold."""
    organisation.retype_column("contacts", "jobtitle", kind)
    assert (metadata(caller, "jobtitle") or {})["AttributeType"] == kind
    assert caller.read(f"contacts({ada})?$select=jobtitle")["jobtitle"] == value


def test_a_date_can_become_a_time_of_the_users_zone(
    caller: Caller, organisation: Organisation
) -> None:
    """As it is in organisations that were upgraded from the time before dates."""
    row = organisation.create("opportunities", {"actualclosedate": "2026-02-03"})
    organisation.retype_column(
        "opportunities", "actualclosedate", "DateTime", behaviour="UserLocal"
    )
    path = f"opportunities({row})?$select=actualclosedate"
    assert caller.read(path)["actualclosedate"] == "2026-02-03T00:00:00Z"


def test_metadata_can_lack_a_column_for_some_answers(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """While queries know it all the time."""
    organisation.leave_out_of_metadata("contacts", "jobtitle", 2)
    own = "EntityDefinitions(LogicalName='contact')/Attributes(LogicalName='jobtitle')"
    assert metadata(caller, "jobtitle") is None
    assert caller.refusal(own)[0] == 404
    assert caller.read("contacts?$select=jobtitle")["value"][0]["contactid"] == ada
    assert caller.read(own)["LogicalName"] == "jobtitle"


def test_metadata_can_have_holes(caller: Caller, organisation: Organisation) -> None:
    """Where a reader expects a type, a list or a label."""
    organisation.garble_metadata("contacts", "jobtitle", AttributeType=None)
    organisation.garble_metadata("contacts", "statecode", OptionSet={"Options": None})
    assert (metadata(caller, "jobtitle") or {})["AttributeType"] is None
    cast = "EntityDefinitions(LogicalName='contact')/Attributes/Microsoft.Dynamics.CRM"
    (state,) = caller.read(f"{cast}.StateAttributeMetadata?$expand=OptionSet")["value"]
    assert state["OptionSet"] == {"Options": None}


def test_one_column_can_change_several_times(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """Each change comes on top of those before it, and all are taken back at once."""
    organisation.retype_column("contacts", "jobtitle", "Integer")
    organisation.set_valid_for_read("contacts", "jobtitle", valid=False)
    organisation.secure_column("contacts", "jobtitle")
    column = metadata(caller, "jobtitle") or {}
    assert (
        column["AttributeType"],
        column["IsValidForRead"],
        column["IsSecured"],
    ) == ("Integer", False, True)
    organisation.restore_column("contacts", "jobtitle")
    column = metadata(caller, "jobtitle") or {}
    assert (
        column["AttributeType"],
        column["IsValidForRead"],
        column["IsSecured"],
    ) == ("String", True, False)
    assert caller.read(f"contacts({ada})?$select=jobtitle")["jobtitle"] == "Countess"


def test_a_column_that_is_not_valid_for_read_is_unknown_to_queries(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """Metadata lists it all the same; valid again, it has its values."""
    organisation.set_valid_for_read("contacts", "jobtitle", valid=False)
    assert caller.refusal("contacts?$select=jobtitle")[:2] == (400, "0x80060888")
    assert (metadata(caller, "jobtitle") or {})["IsValidForRead"] is False
    assert "jobtitle" not in caller.read(f"contacts({ada})")
    organisation.set_valid_for_read("contacts", "jobtitle", valid=True)
    assert caller.values("contacts?$select=jobtitle", "jobtitle") == ["Countess"]


def test_a_custom_column_can_come_later(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """Null in the rows that are there."""
    organisation.add_column("contacts", "new_synctomkto")
    assert (metadata(caller, "new_synctomkto") or {})["AttributeType"] == "Boolean"
    path = f"contacts({ada})?$select=new_synctomkto"
    assert caller.read(path)["new_synctomkto"] is None
    organisation.update("contacts", ada, {"new_synctomkto": False})
    assert caller.read(path)["new_synctomkto"] is False


def test_a_new_column_moves_no_row_and_a_row_that_sets_it_moves(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """Neither version nor change feed tells that a column was added."""
    link = caller.read("contacts?$select=fullname", TRACKED)["@odata.deltaLink"]
    version = organisation.row("contacts", ada)["versionnumber"]
    organisation.add_column("contacts", Attribute("new_region", "String", max_length=20))
    assert version == organisation.row("contacts", ada)["versionnumber"]
    assert caller.read(link)["value"] == []
    organisation.update("contacts", ada, {"new_region": "EMEA"})
    assert version < organisation.row("contacts", ada)["versionnumber"]
    assert [ada] == [row["contactid"] for row in caller.read(link)["value"]]


def test_a_new_amount_brings_its_twin_and_a_currency(organisation: Organisation) -> None:
    """Dataverse keeps every amount in base currency as well."""
    organisation.add_column("connectionroles", Attribute("new_fee", "Money", precision=2))
    known = organisation.table("connectionroles").attributes
    assert {"new_fee", "new_fee_base", "transactioncurrencyid", "exchangerate"} <= known.keys()
    assert (known["new_fee"].precision, known["new_fee_base"].precision) == (2, 4)


def test_a_removed_column_is_gone_with_its_values(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """Added again under its name it is a new, empty column."""
    organisation.remove_column("contacts", "jobtitle")
    assert metadata(caller, "jobtitle") is None
    organisation.add_column("contacts", Attribute("jobtitle", "String", max_length=10))
    assert caller.read(f"contacts({ada})?$select=jobtitle")["jobtitle"] is None


def test_a_column_that_is_not_there_can_not_be_changed(organisation: Organisation) -> None:
    """A test that mistypes a name must fail."""
    for change in (
        partial(organisation.drop_column, "contacts", "nosuch"),
        partial(organisation.remove_column, "contacts", "nosuch"),
        partial(organisation.secure_column, "contacts", "nosuch"),
        partial(organisation.grant_column, "contacts", "nosuch"),
        partial(organisation.retype_column, "contacts", "nosuch", "Integer"),
        partial(organisation.set_valid_for_read, "contacts", "nosuch", valid=False),
    ):
        with pytest.raises(KeyError, match="nosuch"):
            change()
    with pytest.raises(ValueError, match="new_x needs a type"):
        organisation.add_column("contacts", "new_x")
