"""Query options over rows: what comes back, in which order, and what is refused how."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox import Attribute, Organisation

if TYPE_CHECKING:
    from sandbox_caller import Caller

A_GUID = "8f3c0000-0000-0000-0000-0000000000a1"
TYPE = "@Microsoft.Dynamics.CRM.lookuplogicalname"
LABEL = "@OData.Community.Display.V1.FormattedValue"


@pytest.fixture
def people(organisation: Organisation) -> dict[str, str]:
    """An account, and contacts that differ in what filters ask for; ids by name."""
    ids = {
        "Umbra": organisation.create(
            "accounts", {"accountid": A_GUID, "name": "Umbra Ltd", "revenue": Decimal("20000.0000")}
        )
    }
    rows: dict[str, dict[str, Any]] = {
        "Ada": {"fullname": "Ada Byron", "numberofchildren": 2, "donotemail": True},
        "Bob": {"fullname": "bob O'Neil", "numberofchildren": 10, "birthdate": "1980-05-06"},
        "Cy": {"fullname": "Cy 100%", "annualincome": Decimal("0.1"), "statecode": 1},
        "Nul": {"fullname": None, "description": 'line\r\nbreak "quoted" \''},
    }
    for day, (name, values) in enumerate(rows.items(), start=1):
        ids[name] = organisation.create("contacts", values, modified_at=f"2026-01-0{day}T00:00:00Z")
    organisation.update(
        "contacts",
        ids["Ada"],
        {"_parentcustomerid_value": A_GUID},
        modified_at="2026-01-01T00:00:00Z",
    )
    return ids


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("fullname eq 'ADA byron'", ["Ada"]),
        ("fullname eq 'Bob O''Neil'", ["Bob"]),
        ("fullname ne 'Ada Byron'", ["Bob", "Cy", "Nul"]),
        ("fullname eq null", ["Nul"]),
        ("fullname ne null", ["Ada", "Bob", "Cy"]),
        ("fullname gt 'b'", ["Bob", "Cy"]),
        ("contains(fullname,'BYR')", ["Ada"]),
        ("startswith(fullname,'bob')", ["Bob"]),
        ("endswith(fullname,'byron')", ["Ada"]),
        ("contains(fullname,'a%n')", ["Ada"]),
        ("contains(fullname,'[%]')", ["Cy"]),
        ("not contains(fullname,'a')", ["Bob", "Cy", "Nul"]),
        ("numberofchildren gt 2", ["Bob"]),
        ("2 le numberofchildren", ["Ada", "Bob"]),
        ("numberofchildren gt -1 and numberofchildren lt 10", ["Ada"]),
        ("annualincome eq 0.1", ["Cy"]),
        ("donotemail eq true", ["Ada"]),
        ("birthdate ge 1980-05-06", ["Bob"]),
        (
            "modifiedon ge 2026-01-02T00:00:00Z and modifiedon lt 2026-01-04T00:00:00Z",
            ["Bob", "Cy"],
        ),
        ("modifiedon gt 2026-01-02T00:00:00.5Z", ["Cy", "Nul"]),
        ("modifiedon ge 2026-01-04T01:00:00+01:00", ["Nul"]),
        ("modifiedon eq createdon", ["Ada", "Bob", "Cy", "Nul"]),
        (f"_parentcustomerid_value eq {A_GUID}", ["Ada"]),
        (f"_parentcustomerid_value eq '{A_GUID}'", ["Ada"]),
        ("parentcustomerid_account/name eq 'umbra ltd'", ["Ada"]),
        ("parentcustomerid_contact/fullname ne null", []),
        ("(statecode eq 1 or numberofchildren eq 2) and fullname ne null", ["Ada", "Cy"]),
        (
            "Microsoft.Dynamics.CRM.In(PropertyName='fullname',PropertyValues=['Ada Byron','x'])",
            ["Ada"],
        ),
        (
            (
                "Microsoft.Dynamics.CRM.In("
                "PropertyName=@p1,PropertyValues=@p2)&@p1='fullname'&@p2=[\"bob O'Neil\"]"
            ),
            ["Bob"],
        ),
        ("Microsoft.Dynamics.CRM.NotIn(PropertyName='statecode',PropertyValues=['0'])", ["Cy"]),
        (
            "Microsoft.Dynamics.CRM.Between(PropertyName='numberofchildren',PropertyValues=['1','5'])",
            ["Ada"],
        ),
        (
            "Microsoft.Dynamics.CRM.On(PropertyName='modifiedon',PropertyValue='2026-01-02')",
            ["Bob"],
        ),
        (
            "Microsoft.Dynamics.CRM.OnOrAfter(PropertyName='modifiedon',PropertyValue='2026-01-03')",
            ["Cy", "Nul"],
        ),
    ],
)
def test_filters_find_what_dataverse_would_find(
    caller: Caller, people: dict[str, str], text: str, names: list[str]
) -> None:
    """Each operator and function, with nulls, case, quotes, wildcards and fractions of seconds."""
    path = f"contacts?$select=contactid&$orderby=modifiedon&$filter={text}".replace("%", "%25")
    found = caller.values(path.replace("+01:00", "%2B01:00"), "contactid")
    assert [people[name] for name in names] == found


def test_in_finds_rows_by_hundreds_of_keys(caller: Caller, people: dict[str, str]) -> None:
    """Ids are quoted in arrays; unknown ones are simply absent."""
    values = ",".join(f"'{A_GUID[:-3]}{number:03}'" for number in range(200))
    array = f"['{people['Cy']}',{values}]"
    text = f"Microsoft.Dynamics.CRM.In(PropertyName='contactid',PropertyValues={array})"
    assert [people["Cy"]] == caller.values(f"contacts?$filter={text}", "contactid")


def test_a_chain_of_hundreds_of_conditions_does_not_overflow(
    caller: Caller, people: dict[str, str]
) -> None:
    """Clients that avoid `In` write long chains."""
    chain = " or ".join(["contactid eq " + A_GUID] * 300 + ["contactid eq " + people["Bob"]])
    assert [people["Bob"]] == caller.values(f"contacts?$filter={chain}", "contactid")


@pytest.mark.parametrize(
    ("path", "status", "code", "part"),
    [
        (
            "contacts?$select=foo",
            400,
            "0x80060888",
            "Could not find a property named 'foo' on type",
        ),
        ("contacts?$select=parentcustomerid", 400, "0x80060888", "'parentcustomerid'"),
        ("opportunities?$select=isprivate", 400, "0x80060888", "'isprivate'"),
        ("contacts?$select=statecodename", 400, "0x80060888", "'statecodename'"),
        ("contacts?$filter=foo eq 1", 400, "0x80060888", "'foo'"),
        ("contacts?$filter=statecode eq 'x'", 400, "0x80060888", "incompatible types"),
        ("contacts?$filter=fullname eq", 400, "0x80060888", "Syntax error"),
        ("contacts?$filter=statecode in (1,2)", 400, "0x80060888", "not supported"),
        ("contacts?$filter=year(modifiedon) eq 2026", 400, "0x80060888", ""),
        ("contacts?$filter=fullname", 400, "0x80060888", "boolean"),
        ("contacts?$filter=contactid eq @p1", 400, "0x80060888", "alias"),
        (
            (
                "contacts?$filter=not Microsoft.Dynamics.CRM.In("
                "PropertyName='fullname',PropertyValues=['a'])"
            ),
            400,
            "0x80060888",
            "Not operator along with",
        ),
        (
            "contacts?$filter=Microsoft.Dynamics.CRM.Above(PropertyName='x',PropertyValue='y')",
            501,
            "0x80040216",
            "Above",
        ),
        ("contacts?$orderby=fullname sideways", 400, "0x80060888", "$orderby"),
        ("contacts?$orderby=foo", 400, "0x80060888", "'foo'"),
        ("contacts?$top=x", 400, "0x80060888", "$top"),
        ("contacts?$count=maybe", 400, "0x80060888", "$count"),
        ("contacts?$skip=5", 400, "0x80060888", "$skip"),
        ("contacts?$search=x", 400, "0x80060888", "$search"),
        ("contacts?$apply=aggregate($count as c)", 501, "0x80040216", "$apply"),
        ("contacts?$expand=foo", 400, "0x80060888", "'foo'"),
        ("contacts?$expand=parentcustomerid", 400, "0x80060888", "'parentcustomerid'"),
        ("contacts?$expand=ownerid($filter=fullname eq 'x')", 501, "0x80040216", "$expand"),
        ("contacts?$skiptoken=tampered", 400, "0x80060888", "Malformed XML in the Paging Cookie"),
        ("nosuchset", 404, "0x8006088a", "'nosuchset'"),
        ("contacts/nosuch", 404, "0x8006088a", ""),
        (f"contacts({A_GUID})", 404, "0x80040217", "Does Not Exist"),
        (f"contacts({A_GUID})?$filter=statecode eq 0", 400, "0x80060888", "single row"),
    ],
)
def test_what_dataverse_refuses_is_refused_in_its_shape(
    caller: Caller, path: str, status: int, code: str, part: str
) -> None:
    """Status, code and text of each wrong request."""
    refused = caller.refusal(path)
    assert (status, code) == refused[:2]
    assert part in refused[2]


def test_errors_are_annotated_only_on_demand(caller: Caller) -> None:
    """All annotations bring the exception's name and status into the error."""
    plain = caller.get("nosuchset").json()["error"]
    annotated = caller.get("nosuchset", 'odata.include-annotations="*"').json()["error"]
    assert {"code", "message"} == set(plain)
    assert annotated["@Microsoft.PowerApps.CDS.ErrorDetails.ApiExceptionHttpStatusCode"] == "404"


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("fullname", [None, "Ada Byron", "bob O'Neil", "Cy 100%"]),
        ("fullname desc", ["Cy 100%", "bob O'Neil", "Ada Byron", None]),
        ("statecode desc,modifiedon desc", ["Cy 100%", None, "bob O'Neil", "Ada Byron"]),
        ("_parentcustomerid_value desc,fullname", ["Ada Byron", None, "bob O'Neil", "Cy 100%"]),
        ("annualincome,numberofchildren,fullname", [None, "Ada Byron", "bob O'Neil", "Cy 100%"]),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 5000])
def test_rows_come_in_the_asked_order_at_any_page_size(
    caller: Caller, order: str, names: list[str | None], size: int
) -> None:
    """Nulls first, text without case, lookups by the name of their row; also across pages."""
    path = f"contacts?$select=fullname&$orderby={order}"
    assert names == caller.values(path, "fullname", f"odata.maxpagesize={size}")


def test_a_row_carries_key_etag_and_currency_beside_what_was_selected(
    caller: Caller, people: dict[str, str]
) -> None:
    """Selecting money brings its currency, and decimals keep their digits."""
    row = caller.read("accounts?$select=revenue")["value"][0]
    assert people["Umbra"] == row.pop("accountid")
    assert row.pop("@odata.etag").startswith('W/"')
    assert {"revenue", "_transactioncurrencyid_value"} == set(row)
    assert str(row["revenue"]) == "20000.0000"


@pytest.mark.usefixtures("people")
def test_annotations_come_only_as_asked(caller: Caller) -> None:
    """Table of a lookup, its navigation property and labels; none for a null."""
    path = "contacts?$select=_parentcustomerid_value,statecode,birthdate&$orderby=modifiedon&$top=1"
    assert not [name for name in caller.read(path)["value"][0] if "@" in name[1:]]
    asked = 'odata.include-annotations="Microsoft.Dynamics.CRM.*"'
    answer = caller.get(path, asked)
    assert asked == answer.headers["Preference-Applied"]
    row = answer.json()["value"][0]
    assert row[f"_parentcustomerid_value{TYPE}"] == "account"
    assert f"statecode{LABEL}" not in row
    row = caller.read(path, 'odata.include-annotations="*"')["value"][0]
    labels = {name: row[name] for name in row if name.endswith(LABEL)}
    assert labels == {f"_parentcustomerid_value{LABEL}": "Umbra Ltd", f"statecode{LABEL}": "Active"}
    navigation = "_parentcustomerid_value@Microsoft.Dynamics.CRM.associatednavigationproperty"
    assert row[navigation] == "parentcustomerid_account"


@pytest.mark.usefixtures("people")
def test_expand_follows_one_lookup(caller: Caller) -> None:
    """To the table the navigation property names, else null."""
    path = (
        "contacts?$select=fullname&$orderby=modifiedon"
        "&$expand=parentcustomerid_account($select=name),parentcustomerid_contact"
    )
    first, second, *_ = caller.read(path)["value"]
    assert first["parentcustomerid_account"]["name"] == "Umbra Ltd"
    assert (first["parentcustomerid_contact"], second["parentcustomerid_account"]) == (None, None)


@pytest.mark.usefixtures("people")
def test_counts_tell_all_matching_rows(caller: Caller) -> None:
    """With the rows, or alone as text."""
    page = caller.read("contacts?$count=true&$top=1&$filter=statecode eq 0")
    assert (page["@odata.count"], len(page["value"])) == (3, 1)
    assert "@odata.nextLink" not in page
    assert caller.get("contacts/$count").text == "4"


def test_one_row_is_read_by_its_key(caller: Caller, people: dict[str, str]) -> None:
    """With the context of an entity."""
    row = caller.read(f"contacts({people['Nul'].upper()})?$select=description")
    assert row["@odata.context"].endswith("$metadata#contacts(description)/$entity")
    assert row["description"] == 'line\r\nbreak "quoted" \''


def test_text_that_utf8_cannot_carry_travels_as_escapes(
    organisation: Organisation, caller: Caller
) -> None:
    """U+0000 and lone surrogates, beside exact decimals in the same row."""
    text = "a\x00b \ud83d c \u00e9"
    organisation.create(
        "contacts", {"fullname": text, "annualincome": Decimal("922337203685477.5807")}
    )
    answer = caller.get("contacts?$select=fullname,annualincome")
    assert b"\\u0000" in answer.content
    assert b"\\ud83d" in answer.content
    assert b"922337203685477.5807" in answer.content
    assert text == answer.json()["value"][0]["fullname"]


def test_secured_columns_read_as_null_and_can_not_be_searched(
    organisation: Organisation, caller: Caller, people: dict[str, str]
) -> None:
    """Unless the reader is in a field security profile."""
    organisation.add_column("contacts", Attribute("jobtitle", "String", is_secured=True))
    organisation.update("contacts", people["Ada"], {"jobtitle": "Countess"})
    path = "contacts?$select=jobtitle&$filter=jobtitle ne null"
    assert caller.read(path)["value"] == []
    assert caller.values(
        "contacts?$select=jobtitle&$filter=fullname eq 'Ada Byron'", "jobtitle"
    ) == [None]
    organisation.is_field_security_administrator = True
    assert caller.values(path, "jobtitle") == ["Countess"]


def test_columns_come_and_go(
    organisation: Organisation, caller: Caller, people: dict[str, str]
) -> None:
    """An added column is null in old rows; a dropped one can no longer be selected."""
    version = organisation.row("contacts", people["Ada"])["versionnumber"]
    organisation.add_column("contacts", Attribute("new_synctomkto", "Boolean"))
    assert caller.values("contacts?$select=new_synctomkto", "new_synctomkto") == [None] * 4
    organisation.remove_column("contacts", "jobtitle")
    assert caller.refusal("contacts?$select=jobtitle")[0] == 400
    assert version == organisation.row("contacts", people["Ada"])["versionnumber"]
    assert organisation.row("contacts", people["Ada"])["fullname"] == "Ada Byron"
