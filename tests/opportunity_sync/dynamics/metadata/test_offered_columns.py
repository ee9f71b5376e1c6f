"""Whoever chooses columns sees all that there are, and what each would become."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync.dynamics import DataverseClient, OfferedColumn, describe_columns
from opportunity_sync.model import CONTACT, Kind

if TYPE_CHECKING:
    from dynamics_sandbox import Organisation, Sandbox


def offered(client: DataverseClient, language: int | None = None) -> dict[str, OfferedColumn]:
    """What contacts offer, by logical name."""
    return {
        each.logical_name: each for each in describe_columns(client, CONTACT, language=language)
    }


def test_every_column_is_described_in_the_order_of_its_name(client: DataverseClient) -> None:
    """With its label, its type in the words of its form, and the kind that it would become."""
    columns = describe_columns(client, CONTACT)
    names = [column.logical_name for column in columns]
    assert sorted(names) == names
    assert len(names) > len(CONTACT.all_fields)
    found = {column.logical_name: column for column in columns}
    assert found["jobtitle"] == OfferedColumn(
        "jobtitle", "Jobtitle", "Single line of text", Kind.TEXT
    )
    kinds = {
        name: (found[name].type_name, found[name].kind)
        for name in ("birthdate", "createdon", "statecode", "donotphone", "contactid", "ownerid")
    }
    assert kinds == {
        "birthdate": ("Date only", Kind.DATE),
        "createdon": ("Date and time", Kind.INSTANT),
        "statecode": ("Status", Kind.CHOICE),
        "donotphone": ("Yes/no", Kind.BOOLEAN),
        "contactid": ("Unique identifier", Kind.GUID),
        "ownerid": ("Owner", Kind.LOOKUP),
    }
    assert found["parentcustomerid"].is_polymorphic
    assert not found["transactioncurrencyid"].is_polymorphic


def test_what_can_be_no_column_says_why(
    client: DataverseClient, organisation: Organisation
) -> None:
    """By its type, its flags, or what it is for."""
    organisation.add_column("contacts", "new_file", "File")
    organisation.add_column("contacts", "new_sum", "Money", source_type=1)
    organisation.add_column("contacts", "new_shut", "String", is_valid_for_read=False)
    organisation.add_column("contacts", "new_when", "DateTime")
    organisation.garble_metadata("contacts", "new_when", DateTimeBehavior=None)
    organisation.add_column("contacts", "new_odd", "String")
    organisation.garble_metadata("contacts", "new_odd", AttributeType=5, AttributeTypeName=None)
    found = offered(client)
    reasons = {
        "new_file": "it is of the type File, which can't be a column",
        "new_shut": "it is not valid for read",
        "new_when": "metadata does not say how its times behave",
        "new_odd": "metadata does not say of what type it is",
        "statecodename": "it only helps to show statecode",
    }
    assert reasons == {name: found[name].reason for name in reasons}
    assert "it is calculated" in found["new_sum"].reason
    without_kind = {name for name, column in found.items() if column.kind is None}
    assert without_kind == {name for name, column in found.items() if not column.can_be_read}


def test_a_secured_column_says_whether_it_can_be_read_now(
    client: DataverseClient, organisation: Organisation
) -> None:
    """Each of them would become a column as soon as it can."""
    for name in ("jobtitle", "salutation", "lastname"):
        organisation.secure_column("contacts", name)
    organisation.grant_column("contacts", "salutation")
    organisation.grant_column("contacts", "lastname")
    organisation.mask_column("contacts", "lastname")
    found = offered(client)
    assert "column security hides it" in found["jobtitle"].reason
    assert (found["salutation"].can_be_read, found["salutation"].reason) == (True, "")
    assert "a masking rule" in found["lastname"].reason
    assert {found[name].kind for name in ("jobtitle", "salutation", "lastname")} == {Kind.TEXT}
    assert [found[name].can_be_read for name in ("jobtitle", "lastname")] == [False, False]


def test_labels_are_in_the_wanted_language_or_in_any_that_there_is(
    client: DataverseClient, organisation: Organisation
) -> None:
    """The base language without another wish; a column can have no label at all."""
    labels = [
        {"Label": "Gebiet", "LanguageCode": 1031},
        {"Label": "Region", "LanguageCode": 1033},
    ]
    organisation.add_column("contacts", "new_region", "String")
    organisation.garble_metadata("contacts", "new_region", DisplayName={"LocalizedLabels": labels})
    assert offered(client)["new_region"].label == "Region"
    in_german = offered(client, language=1031)
    assert (in_german["new_region"].label, in_german["jobtitle"].label) == ("Gebiet", "Jobtitle")
    assert in_german["statecodename"].label == ""


def test_a_description_costs_few_requests(client: DataverseClient, sandbox: Sandbox) -> None:
    """Table, times, lookups, language and user; no row is read."""
    describe_columns(client, CONTACT)
    assert client.counters.requests == 5
    paths = [request.path for request in sandbox.requests.all("/api/data/")]
    assert not any(path.endswith("/contacts") for path in paths)
