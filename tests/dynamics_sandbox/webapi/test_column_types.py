"""Every type of column, as metadata describes it and as rows hold it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox import Attribute
from dynamics_sandbox.schema.attribute import SourceType
from dynamics_sandbox.webapi.metadata_json import metadata_id

if TYPE_CHECKING:
    from dynamics_sandbox import Organisation
    from sandbox_caller import Caller

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
TABLE = "EntityDefinitions(LogicalName='contact')"
GUID = "8f3c0000-0000-0000-0000-0000000000a1"
COLOURS = {1: "Red", 2: "Green", 3: "Blue"}

# kind, properties, AttributeType, AttributeTypeName, metadata class, Edm type, value of a row
TYPES: tuple[tuple[str, dict[str, Any], str, str, str, str, Any], ...] = (
    ("String", {"max_length": 9}, "String", "StringType", "String", "Edm.String", "x"),
    ("Memo", {"max_length": 99}, "Memo", "MemoType", "Memo", "Edm.String", "x\ny"),
    ("Integer", {}, "Integer", "IntegerType", "Integer", "Edm.Int32", -7),
    ("BigInt", {}, "BigInt", "BigIntType", "BigInt", "Edm.Int64", 2**60),
    (
        *("Decimal", {"precision": 10}, "Decimal", "DecimalType", "Decimal", "Edm.Decimal"),
        Decimal("0.1234567890"),
    ),
    ("Double", {"precision": 5}, "Double", "DoubleType", "Double", "Edm.Double", Decimal("1.5")),
    (
        *("Money", {"precision": 4}, "Money", "MoneyType", "Money", "Edm.Decimal"),
        Decimal("20000.0000"),
    ),
    ("Boolean", {}, "Boolean", "BooleanType", "Boolean", "Edm.Boolean", False),
    ("Picklist", {"options": COLOURS}, "Picklist", "PicklistType", "Picklist", "Edm.Int32", 2),
    ("State", {"options": COLOURS}, "State", "StateType", "State", "Edm.Int32", 1),
    ("Status", {"options": COLOURS}, "Status", "StatusType", "Status", "Edm.Int32", 3),
    (
        *("MultiSelectPicklist", {"options": COLOURS}, "Virtual", "MultiSelectPicklistType"),
        *("MultiSelectPicklist", "Edm.String", "1,3"),
    ),
    (
        *("DateTime", {}, "DateTime", "DateTimeType", "DateTime", "Edm.DateTimeOffset"),
        "2026-02-03T04:05:06Z",
    ),
    (
        *("DateTime", {"behaviour": "DateOnly"}, "DateTime", "DateTimeType", "DateTime"),
        *("Edm.Date", "2026-02-03"),
    ),
    (
        *("DateTime", {"behaviour": "TimeZoneIndependent"}, "DateTime", "DateTimeType"),
        *("DateTime", "Edm.DateTimeOffset", "2026-02-03T04:05:06Z"),
    ),
    (
        *("Uniqueidentifier", {}, "Uniqueidentifier", "UniqueidentifierType"),
        *("UniqueIdentifier", "Edm.Guid", GUID),
    ),
    ("Lookup", {"targets": ("account",)}, "Lookup", "LookupType", "Lookup", "Edm.Guid", GUID),
    (
        *("Customer", {"targets": ("account", "contact")}, "Customer", "CustomerType", "Lookup"),
        *("Edm.Guid", GUID),
    ),
    (
        *("Owner", {"targets": ("systemuser", "team")}, "Owner", "OwnerType", "Lookup"),
        *("Edm.Guid", GUID),
    ),
    ("EntityName", {}, "EntityName", "EntityNameType", "EntityName", "Edm.String", "account"),
    ("Image", {}, "Virtual", "ImageType", "Image", "Edm.Binary", "R0lGODlhAQ=="),
    ("File", {}, "Virtual", "FileType", "File", "Edm.Binary", "R0lGODlhAQ=="),
    (
        *("ManagedProperty", {}, "ManagedProperty", "ManagedPropertyType", "ManagedProperty"),
        *("mscrm.BooleanManagedProperty", {"Value": True, "CanBeChanged": False}),
    ),
)
NAMES = ["-".join([case[0], *map(str, case[1].values())]) for case in TYPES]


def an_added_column(organisation: Organisation, kind: str, **properties: Any) -> Attribute:
    """A custom column of this type on contacts."""
    column = Attribute("new_column", kind, **properties)
    organisation.add_column("contacts", column)
    return column


def described(caller: Caller, name: str = "new_column") -> Any:
    """The common metadata of a column."""
    return caller.read(f"{TABLE}/Attributes(LogicalName='{name}')")


def edm_types(caller: Caller) -> dict[str | None, str | None]:
    """The properties of contacts in the metadata document, with their types."""
    root = ET.fromstring(caller.get("$metadata").content)  # noqa: S314  our own server's
    contact = next(item for item in root.iter(f"{EDM}EntityType") if item.get("Name") == "contact")
    return {item.get("Name"): item.get("Type") for item in contact.iter(f"{EDM}Property")}


@pytest.mark.parametrize(
    ("kind", "properties", "listed_as", "type_name", "metadata_class", "edm", "value"),
    TYPES,
    ids=NAMES,
)
def test_a_column_of_each_type_is_described_and_read(
    caller: Caller,
    organisation: Organisation,
    kind: str,
    properties: dict[str, Any],
    listed_as: str,
    type_name: str,
    metadata_class: str,
    edm: str,
    value: Any,
) -> None:
    """Under the names that Dataverse has for the type, and with the value as it was set."""
    column = an_added_column(organisation, kind, **properties)
    contact = organisation.create("contacts", {column.property_name: value})
    found = described(caller)
    assert listed_as == found["AttributeType"]
    assert type_name == found["AttributeTypeName"]["Value"]
    assert f"#Microsoft.Dynamics.CRM.{metadata_class}AttributeMetadata" == found["@odata.type"]
    assert edm == edm_types(caller)[column.property_name]
    row = caller.read(f"contacts({contact})?$select={column.property_name}")
    assert value == row[column.property_name]
    cast = f"{TABLE}/Attributes/Microsoft.Dynamics.CRM.{metadata_class}AttributeMetadata"
    names = [row["LogicalName"] for row in caller.read(f"{cast}?$select=LogicalName")["value"]]
    assert "new_column" in names


@pytest.mark.parametrize("kind", ["PartyList", "CalendarRules", "Virtual"])
def test_what_is_no_property_is_described_and_can_not_be_read(
    caller: Caller, organisation: Organisation, kind: str
) -> None:
    """Metadata says that it is valid for read all the same."""
    an_added_column(organisation, kind)
    found = described(caller)
    assert (found["AttributeType"], found["AttributeTypeName"]["Value"]) == (kind, f"{kind}Type")
    assert found["IsValidForRead"]
    assert "new_column" not in edm_types(caller)
    message = (
        "Could not find a property named 'new_column' on type 'Microsoft.Dynamics.CRM.contact'."
    )
    assert caller.refusal("contacts?$select=new_column") == (400, "0x80060888", message)
    organisation.create("contacts", {})
    assert "new_column" not in caller.read("contacts")["value"][0]


@pytest.mark.parametrize(
    ("name", "kind", "of"),
    [
        ("statecodename", "Virtual", "statecode"),
        ("donotphonename", "Virtual", "donotphone"),
        ("parentcustomeridname", "String", "parentcustomerid"),
        ("parentcustomeridyominame", "String", "parentcustomerid"),
        ("parentcustomeridtype", "EntityName", "parentcustomerid"),
        ("transactioncurrencyidname", "String", "transactioncurrencyid"),
    ],
)
def test_columns_that_only_show_others_are_listed_and_unknown_to_queries(
    caller: Caller, name: str, kind: str, of: str
) -> None:
    """They say of which column they are, and have no label."""
    found = described(caller, name)
    assert (kind, of) == (found["AttributeType"], found["AttributeOf"])
    assert found["DisplayName"] == {"LocalizedLabels": [], "UserLocalizedLabel": None}
    assert caller.refusal(f"contacts?$select={name}")[:2] == (400, "0x80060888")


def test_a_multi_select_choice_has_its_options_under_a_class_of_its_own(
    caller: Caller, organisation: Organisation
) -> None:
    """And its codes and labels as text."""
    an_added_column(organisation, "MultiSelectPicklist", options=COLOURS)
    organisation.create("contacts", {"new_column": "1,3"})
    cast = "Microsoft.Dynamics.CRM.MultiSelectPicklistAttributeMetadata"
    path = f"{TABLE}/Attributes/{cast}?$select=LogicalName&$expand=OptionSet,GlobalOptionSet"
    [found] = caller.read(path)["value"]
    labels = {
        item["Value"]: item["Label"]["UserLocalizedLabel"]["Label"]
        for item in found["OptionSet"]["Options"]
    }
    assert labels == COLOURS
    [row] = caller.read("contacts?$select=new_column", 'odata.include-annotations="*"')["value"]
    assert row["new_column@OData.Community.Display.V1.FormattedValue"] == "Red; Blue"


@pytest.mark.parametrize(
    ("kind", "properties", "metadata_class", "expected"),
    [
        ("Decimal", {"precision": 3}, "Decimal", {"Precision": 3, "MaxValue": 100_000_000_000}),
        ("Double", {"precision": 5}, "Double", {"Precision": 5}),
        ("Money", {"precision": 4}, "Money", {"Precision": 4, "IsBaseCurrency": False}),
        ("Integer", {}, "Integer", {"MinValue": -(2**31), "MaxValue": 2**31 - 1}),
        ("BigInt", {}, "BigInt", {"MaxValue": 2**63 - 1}),
        ("String", {"max_length": 9, "format": "Email"}, "String", {"Format": "Email"}),
        ("Memo", {"max_length": 9}, "Memo", {"Format": "TextArea", "MaxLength": 9}),
        ("Lookup", {"targets": ("account", "lead")}, "Lookup", {"Targets": ["account", "lead"]}),
        ("PartyList", {"targets": ("contact",)}, "Lookup", {"Targets": ["contact"]}),
        (
            *("DateTime", {"behaviour": "TimeZoneIndependent"}, "DateTime"),
            {"DateTimeBehavior": {"Value": "TimeZoneIndependent"}, "Format": "DateAndTime"},
        ),
        (
            *("DateTime", {"format": "DateOnly"}, "DateTime"),
            {"DateTimeBehavior": {"Value": "UserLocal"}, "Format": "DateOnly"},
        ),
    ],
)
def test_what_belongs_to_one_type_comes_with_a_cast_alone(
    caller: Caller,
    organisation: Organisation,
    kind: str,
    properties: dict[str, Any],
    metadata_class: str,
    expected: dict[str, Any],
) -> None:
    """Without the cast these properties are unknown."""
    an_added_column(organisation, kind, **properties)
    path = f"{TABLE}/Attributes(LogicalName='new_column')"
    cast = f"Microsoft.Dynamics.CRM.{metadata_class}AttributeMetadata"
    found = caller.read(f"{path}/{cast}?$select={','.join(expected)}")
    assert expected == {name: found[name] for name in expected}
    assert caller.refusal(f"{path}?$select={','.join(expected)}")[0] == 400


def test_a_column_has_its_label_and_says_whether_it_is_needed(
    caller: Caller, organisation: Organisation
) -> None:
    """In the organisation's language; standard columns say it, too."""
    an_added_column(
        organisation, "String", max_length=9, display_name="Région", required_level="Recommended"
    )
    found = described(caller)
    [localized] = found["DisplayName"]["LocalizedLabels"]
    assert (localized["Label"], localized["LanguageCode"]) == ("Région", 1033)
    assert localized == found["DisplayName"]["UserLocalizedLabel"]
    assert found["RequiredLevel"]["Value"] == "Recommended"
    levels = {
        name: described(caller, name)["RequiredLevel"]["Value"]
        for name in ("contactid", "statecode", "lastname", "jobtitle")
    }
    assert levels == {
        "contactid": "SystemRequired",
        "statecode": "SystemRequired",
        "lastname": "ApplicationRequired",
        "jobtitle": "None",
    }


@pytest.mark.parametrize("source", [SourceType.CALCULATED, SourceType.ROLLUP, SourceType.FORMULA])
def test_computed_columns_say_so_and_can_not_be_written(
    caller: Caller, organisation: Organisation, source: SourceType
) -> None:
    """Their values are read like any others."""
    column = an_added_column(organisation, "Integer", source_type=source)
    contact = organisation.create("contacts", {})
    version = organisation.row("contacts", contact)["versionnumber"]
    organisation.update("contacts", contact, {column.name: 5}, touch="nothing")
    found = described(caller)
    assert int(source) == found["SourceType"]
    assert (found["IsValidForRead"], found["IsValidForUpdate"]) == (True, False)
    row = caller.read(f"contacts({contact})?$select=new_column")
    assert (row["new_column"], row["@odata.etag"]) == (5, f'W/"{version}"')


@pytest.mark.parametrize(
    ("name", "can_be_secured"),
    [
        ("jobtitle", True),
        ("gendercode", True),
        ("contactid", False),
        ("fullname", False),
        ("parentcustomerid", False),
        ("statecode", False),
        ("modifiedon", False),
        ("statecodename", False),
    ],
)
def test_metadata_says_which_columns_can_be_secured(
    caller: Caller, name: str, can_be_secured: bool
) -> None:
    """Not keys, primary names, lookups, and what the system sets."""
    assert can_be_secured == described(caller, name)["CanBeSecuredForRead"]


def test_the_id_of_a_column_is_the_one_that_rights_name(caller: Caller) -> None:
    """Derived from table and name, so it stays the same."""
    assert metadata_id("contact", "jobtitle") == described(caller, "jobtitle")["MetadataId"]


@pytest.mark.parametrize(
    ("kind", "properties"), [("Text", {}), ("DateTime", {"behaviour": "Local"})]
)
def test_a_type_or_behaviour_that_dataverse_has_not_is_refused(
    kind: str, properties: dict[str, Any]
) -> None:
    """A test that mistypes one must fail."""
    with pytest.raises(ValueError, match=r"new_column: .* is none of"):
        Attribute("new_column", kind, **properties)
