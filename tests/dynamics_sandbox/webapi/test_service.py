"""Metadata, functions, privileges and batches."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox import TABLES

if TYPE_CHECKING:
    import requests

    from dynamics_sandbox import Organisation
    from sandbox_caller import Caller

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
CAST = "EntityDefinitions(LogicalName='contact')/Attributes/Microsoft.Dynamics.CRM."


def test_who_am_i_names_the_user_and_the_organisation(
    caller: Caller, organisation: Organisation
) -> None:
    """With and without parentheses; the organisation has a row of its own."""
    who = caller.read("WhoAmI")
    assert who == caller.read("WhoAmI()")
    assert organisation.organisation_id == who["OrganizationId"]
    assert [who["OrganizationId"]] == caller.values("organizations", "organizationid")


def test_answers_carry_dataverses_headers_and_the_organisations_time(caller: Caller) -> None:
    """The clock of the organisation is the server's time."""
    headers = caller.get("RetrieveVersion()").headers
    assert headers["OData-Version"] == "4.0"
    assert headers["Content-Type"] == "application/json; odata.metadata=minimal"
    assert headers["Date"] == "Tue, 03 Feb 2026 04:05:06 GMT"
    assert headers["x-ms-service-request-id"]
    assert "ARRAffinity" in headers["Set-Cookie"]


def test_tables_are_found_by_filter_and_by_name(caller: Caller) -> None:
    """With their set name, key and whether changes are tracked."""
    select = "LogicalName,EntitySetName,ChangeTrackingEnabled,ObjectTypeCode"
    text = "LogicalName eq 'opportunity' or LogicalName eq 'contact'"
    rows = caller.read(f"EntityDefinitions?$select={select}&$filter={text}")["value"]
    assert {row["EntitySetName"]: row["ObjectTypeCode"] for row in rows} == {
        "contacts": 2,
        "opportunities": 3,
    }
    assert all(row["ChangeTrackingEnabled"] and row["MetadataId"] for row in rows)
    one = caller.read(f"EntityDefinitions(LogicalName='contact')?$select={select}")
    assert one["EntitySetName"] == "contacts"
    assert one["MetadataId"] == caller.read(f"EntityDefinitions({one['MetadataId']})")["MetadataId"]


def test_columns_come_expanded_with_what_all_columns_have(caller: Caller) -> None:
    """Name, type, readability and security in one question."""
    inner = "$select=LogicalName,AttributeType,IsValidForRead,IsSecured"
    table = caller.read(
        f"EntityDefinitions(LogicalName='opportunity')?$select=LogicalName&$expand=Attributes({inner})"
    )
    columns = {column["LogicalName"]: column for column in table["Attributes"]}
    assert set(TABLES["opportunities"].attributes) <= set(columns)
    assert columns["customerid"]["AttributeType"] == "Customer"
    assert columns["isprivate"]["IsValidForRead"] is False


def test_columns_can_be_filtered_by_type(caller: Caller) -> None:
    """Enumerations are named with their namespace."""
    text = "AttributeType eq Microsoft.Dynamics.CRM.AttributeTypeCode'Money'"
    path = f"EntityDefinitions(LogicalName='account')/Attributes?$select=LogicalName&$filter={text}"
    names = [row["LogicalName"] for row in caller.read(path)["value"]]
    assert "revenue" in names
    assert all(TABLES["accounts"].attributes[name].type == "Money" for name in names)


@pytest.mark.parametrize(
    ("cast", "column", "name", "expected"),
    [
        ("StringAttributeMetadata", "fullname", "MaxLength", 160),
        ("LookupAttributeMetadata", "parentcustomerid", "Targets", ["account", "contact"]),
        ("MoneyAttributeMetadata", "annualincome", "Precision", 2),
        ("DateTimeAttributeMetadata", "birthdate", "DateTimeBehavior", {"Value": "DateOnly"}),
        ("DateTimeAttributeMetadata", "modifiedon", "DateTimeBehavior", {"Value": "UserLocal"}),
    ],
)
def test_what_belongs_to_a_type_comes_with_a_cast(
    caller: Caller, cast: str, column: str, name: str, expected: Any
) -> None:
    """Lengths, targets, precision and date behaviour."""
    rows = caller.read(f"{CAST}{cast}?$select=LogicalName,{name}")["value"]
    assert expected == {row["LogicalName"]: row[name] for row in rows}[column]


@pytest.mark.parametrize(
    ("cast", "column", "expected"),
    [
        ("StateAttributeMetadata", "statecode", {0: "Active", 1: "Inactive"}),
        ("StatusAttributeMetadata", "statuscode", {1: "Active", 2: "Inactive"}),
        ("PicklistAttributeMetadata", "gendercode", {1: "Male", 2: "Female"}),
    ],
)
def test_choices_have_their_labels(
    caller: Caller, cast: str, column: str, expected: dict[int, str]
) -> None:
    """In the organisation's base language."""
    path = f"{CAST}{cast}?$select=LogicalName&$expand=OptionSet,GlobalOptionSet"
    rows = {row["LogicalName"]: row for row in caller.read(path)["value"]}
    options = rows[column]["OptionSet"]["Options"]
    assert expected == {
        item["Value"]: item["Label"]["UserLocalizedLabel"]["Label"] for item in options
    }
    assert options[0]["Label"]["LocalizedLabels"][0]["LanguageCode"] == 1033


def test_two_options_have_a_true_and_a_false_side(caller: Caller) -> None:
    """Booleans carry their labels apart."""
    path = f"{CAST}BooleanAttributeMetadata?$select=LogicalName&$expand=OptionSet"
    rows = {row["LogicalName"]: row["OptionSet"] for row in caller.read(path)["value"]}
    labels = rows["donotemail"]["TrueOption"]["Label"]["UserLocalizedLabel"]["Label"]
    assert labels == "Do Not Allow"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("EntityDefinitions(LogicalName='nosuch')", 404),
        ("EntityDefinitions(LogicalName='contact')/Attributes(LogicalName='nosuch')", 404),
        ("EntityDefinitions(LogicalName='contact')/Nothing", 404),
        ("EntityDefinitions?$select=Nothing", 400),
        ("EntityDefinitions?$filter=Nothing eq 'x'", 400),
        ("EntityDefinitions?$top=1", 400),
        (f"{CAST}EnumAttributeMetadata", 400),
        (f"{CAST}StringAttributeMetadata?$select=Targets", 400),
    ],
)
def test_wrong_questions_about_metadata_are_refused(caller: Caller, path: str, status: int) -> None:
    """In Dataverse's shape, too."""
    assert status == caller.refusal(path)[0]


def test_the_metadata_document_describes_every_property_and_lookup(caller: Caller) -> None:
    """Properties with Edm types, lookups as navigation properties with their constraint."""
    root = ET.fromstring(caller.get("$metadata").content)  # noqa: S314  our own server's
    contact = next(item for item in root.iter(f"{EDM}EntityType") if item.get("Name") == "contact")
    types = {item.get("Name"): item.get("Type") for item in contact.iter(f"{EDM}Property")}
    assert (
        types["_parentcustomerid_value"],
        types["birthdate"],
        types["modifiedon"],
        types["annualincome"],
        types["versionnumber"],
    ) == ("Edm.Guid", "Edm.Date", "Edm.DateTimeOffset", "Edm.Decimal", "Edm.Int64")
    lookups = {item.get("Name"): item for item in contact.iter(f"{EDM}NavigationProperty")}
    constraint = next(lookups["parentcustomerid_account"].iter(f"{EDM}ReferentialConstraint"))
    assert constraint.get("Property") == "_parentcustomerid_value"


def test_privileges_tell_how_deep_each_table_may_be_read(
    caller: Caller, organisation: Organisation
) -> None:
    """Global by default; another depth shows, none is absent."""
    organisation.read_depth.update({"contact": "Basic", "account": "None"})
    user = caller.read("WhoAmI")["UserId"]
    path = f"systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges"
    depths = {row["PrivilegeName"]: row["Depth"] for row in caller.read(path)["RolePrivileges"]}
    assert depths["prvReadContact"] == "Basic"
    assert "prvReadAccount" not in depths
    names = {"prvReadOpportunity", "prvReadConnection", "prvReadConnectionRole", "prvReadUser"}
    assert {"Global"} == {depths[name] for name in names}


def test_a_missing_privilege_is_named_in_the_refusal(
    caller: Caller, organisation: Organisation
) -> None:
    """403 with the privilege, the table and its code."""
    organisation.read_depth["opportunity"] = "None"
    status, code, message = caller.refusal("opportunities")
    assert (status, code) == (403, "0x80040220")
    assert "is missing prvReadOpportunity privilege" in message
    assert "on OTC=3 for entity 'opportunity'" in message


def test_rows_without_access_are_absent_without_a_trace(
    caller: Caller, organisation: Organisation, contacts: list[str]
) -> None:
    """From lists, counts and the change feed; asked for by key they are refused."""
    link = caller.read("contacts", "odata.track-changes")["@odata.deltaLink"]
    organisation.hide("contacts", contacts[0])
    organisation.update("contacts", contacts[0], {"nickname": "x"})
    assert contacts[1:] == caller.values("contacts", "contactid", "odata.maxpagesize=2")
    assert caller.get("contacts/$count").text == "8"
    assert caller.read(link)["value"] == []
    assert caller.refusal(f"contacts({contacts[0]})")[0] == 403
    user = caller.read("WhoAmI")["UserId"]
    access = f"systemusers({user})/Microsoft.Dynamics.CRM.RetrievePrincipalAccess(Target=@t)?@t="
    target = "{{'@odata.id':'contacts({})'}}"
    assert caller.read(access + target.format(contacts[0]))["AccessRights"] == "None"
    assert caller.read(access + target.format(contacts[1]))["AccessRights"] == "ReadAccess"
    organisation.show("contacts", contacts[0])
    assert contacts == caller.values("contacts", "contactid")


@pytest.mark.usefixtures("contacts")
def test_total_record_counts_come_for_several_tables(caller: Caller) -> None:
    """As parallel lists."""
    body = caller.read("RetrieveTotalRecordCount(EntityNames=['contact','account'])")
    counts = body["EntityRecordCountCollection"]
    assert dict(zip(counts["Keys"], counts["Values"], strict=True)) == {"contact": 9, "account": 0}


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT"])
def test_nothing_can_be_written(caller: Caller, contacts: list[str], method: str) -> None:
    """The sandbox reads only."""
    caller.sign_in()
    answer = caller.session.request(
        method,
        f"{caller.root}contacts({contacts[0]})",
        headers={"Authorization": f"Bearer {caller.token}"},
        json={"fullname": "x"},
    )
    assert answer.status_code == 405
    assert "error" in answer.json()


def batch(
    caller: Caller, *paths: str, prefer: str = "", part_prefer: str = ""
) -> requests.Response:
    """Send GETs as one batch."""
    caller.sign_in()
    inner = f"Prefer: {part_prefer}\r\n" if part_prefer else ""
    parts = "".join(
        "--batch_7a\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"GET /api/data/v9.2/{path} HTTP/1.1\r\nAccept: application/json\r\n{inner}\r\n"
        for path in paths
    )
    headers = {
        "Authorization": f"Bearer {caller.token}",
        "Content-Type": 'multipart/mixed; boundary="batch_7a"',
        "Prefer": prefer,
    }
    return caller.session.post(
        f"{caller.root}$batch", data=f"{parts}--batch_7a--\r\n", headers=headers, timeout=60
    )


@pytest.mark.usefixtures("contacts")
def test_a_batch_answers_each_get_in_order(caller: Caller) -> None:
    """Preferences belong to the parts; a nextLink in a part is an ordinary link."""
    answer = batch(caller, "contacts?$select=fullname", "WhoAmI", part_prefer="odata.maxpagesize=2")
    assert answer.status_code == 200
    boundary = answer.headers["Content-Type"].partition("boundary=")[2]
    parts = answer.text.split(f"--{boundary}")
    assert len(parts) == 4
    assert "HTTP/1.1 200 OK" in parts[1]
    assert '"fullname":"B"' in parts[1]
    assert '"fullname":"C"' not in parts[1]
    assert "OrganizationId" in parts[2]


def test_a_batch_stops_at_the_first_failure_unless_told_to_go_on(caller: Caller) -> None:
    """The outer status is that of the failure, or 200 with statuses inside."""
    stopped = batch(caller, "nosuch", "WhoAmI")
    assert stopped.status_code == 404
    assert "OrganizationId" not in stopped.text
    all_of_it = batch(caller, "nosuch", "WhoAmI", prefer="odata.continue-on-error")
    assert all_of_it.status_code == 200
    assert "HTTP/1.1 404" in all_of_it.text
    assert "OrganizationId" in all_of_it.text


@pytest.mark.parametrize(("count", "status"), [(1000, 200), (1001, 400)])
def test_a_batch_holds_a_thousand_parts_at_most(caller: Caller, count: int, status: int) -> None:
    """One more is refused as a whole."""
    assert status == batch(caller, *["RetrieveVersion()"] * count).status_code


def test_long_urls_pass_in_batches_only(caller: Caller) -> None:
    """32 thousand characters in a GET, twice that in a batch."""
    path = "contacts?$select=contactid&$filter=fullname ne '" + "x" * 40_000 + "'"
    assert caller.get(path).status_code == 413
    assert batch(caller, path.replace(" ", "%20")).status_code == 200
