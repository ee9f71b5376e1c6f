"""A folder of Web API answers becomes an organisation that lacks nothing a live one has."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox.findings import told
from dynamics_sandbox.folder import FolderError, load_folder, read_folder
from dynamics_sandbox.lookup_tables import NAVIGATION_PROPERTY
from dynamics_sandbox.schema import FORMATTED_VALUE, LOOKUP_TABLE, TABLES, Attribute

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = "a0000000-0000-0000-0000-000000000001"
CONTACT = "c0000000-0000-0000-0000-000000000001"
OTHER = "c0000000-0000-0000-0000-000000000002"
CURRENCY = "d0000000-0000-0000-0000-000000000001"
ROLE = "e0000000-0000-0000-0000-000000000001"
NOON = "2026-01-05T12:00:00Z"


def a_contact(contact_id: str = CONTACT, **columns: Any) -> dict[str, Any]:
    """A contact's row with its times."""
    return {"contactid": contact_id, "createdon": NOON, "modifiedon": NOON, **columns}


def a_folder(path: Path, **files: Any) -> Path:
    """A folder with a file for each table; a string is written as it is."""
    for name, rows in files.items():
        text = rows if isinstance(rows, str) else json.dumps({"value": rows})
        (path / f"{name}.json").write_text(text, encoding="utf-8")
    return path


def attribute_of(path: Path, *values: Any, column: str = "new_thing", **columns: Any) -> Attribute:
    """What a column with these values on contacts is taken for."""
    rows = [
        a_contact(f"c0000000-0000-0000-0000-{number:012}", **{column: value}, **columns)
        for number, value in enumerate(values)
    ]
    tables, _ = load_folder(a_folder(path, contacts=rows))
    known = {item.property_name: item for item in tables["contacts"].attributes.values()}
    return known[column]


def test_every_table_is_there_and_absent_ones_are_empty(tmp_path: Path) -> None:
    """A client can ask for connections of an organisation whose export has none."""
    tables, rows = load_folder(a_folder(tmp_path, contacts=[a_contact()]))
    assert tables.keys() == rows.keys() == TABLES.keys()
    assert not rows["connections"]


def test_files_of_other_tables_and_notes_of_the_export_are_passed_over(tmp_path: Path) -> None:
    """Leads, statistics and keys that Dataverse doesn't have are not served."""
    role = {"connectionroleid": ROLE, "from": "notes", "associated_tables": ["account"]}
    tag = {"@odata.etag": 'W/"1"'}
    _, rows = load_folder(
        a_folder(tmp_path, connectionroles=[{**role, **tag}], leads="no JSON", stats="{}")
    )
    [loaded] = rows["connectionroles"]
    assert not {"from", "associated_tables", "@odata.etag"} & loaded.keys()


def test_missing_versions_follow_the_order_of_changes(tmp_path: Path) -> None:
    """Whoever was modified later has the higher version, over all tables."""
    later = "2026-01-06T00:00:00Z"
    folder = a_folder(
        tmp_path,
        contacts=[a_contact(modifiedon=later), a_contact(OTHER)],
        accounts=[{"accountid": ACCOUNT, "createdon": NOON, "modifiedon": later}],
    )
    _, rows = load_folder(folder)
    newest, oldest = rows["contacts"]
    assert oldest["versionnumber"] < rows["accounts"][0]["versionnumber"] < newest["versionnumber"]


def test_given_versions_are_kept_and_doubled_ones_replaced(tmp_path: Path) -> None:
    """Versions are unique in an organisation, and supplied ones are newer than all given."""
    folder = a_folder(
        tmp_path,
        accounts=[{"accountid": ACCOUNT, "versionnumber": 70}],
        contacts=[a_contact(versionnumber=70), a_contact(OTHER, versionnumber=900)],
    )
    _, rows = load_folder(folder)
    assert rows["accounts"][0]["versionnumber"] == 70
    assert [row["versionnumber"] for row in rows["contacts"]] == [901, 900]


def test_a_missing_time_is_the_other_or_that_of_the_oldest_row(tmp_path: Path) -> None:
    """Roles and users that were read off lookups get times as well."""
    early = "2020-02-02T00:00:00Z"
    folder = a_folder(
        tmp_path,
        contacts=[a_contact(createdon=None), a_contact(OTHER, createdon=early, modifiedon=None)],
        connectionroles=[{"connectionroleid": ROLE}],
    )
    _, rows = load_folder(folder)
    first, second = rows["contacts"]
    assert (first["createdon"], second["modifiedon"]) == (NOON, early)
    assert rows["connectionroles"][0]["createdon"] == early
    assert rows["connectionroles"][0]["modifiedon"] == early


def test_a_null_state_is_active(tmp_path: Path) -> None:
    """A role whose state the export left out is an active one."""
    folder = a_folder(tmp_path, connectionroles=[{"connectionroleid": ROLE, "statecode": None}])
    [role] = load_folder(folder)[1]["connectionroles"]
    assert (role["statecode"], role["statuscode"]) == (0, 1)


def test_an_inactive_row_without_a_status_reason_gets_the_inactive_one(tmp_path: Path) -> None:
    """State and status reason never contradict each other."""
    [contact] = load_folder(a_folder(tmp_path, contacts=[a_contact(statecode=1)]))[1]["contacts"]
    assert contact["statuscode"] == 2


def test_numbers_are_kept_exactly(tmp_path: Path) -> None:
    """Amounts keep their decimals and big integers their digits."""
    numbers = (
        '"revenue": 20000.0000, "revenue_base": 0.1, "creditlimit": 7, '
        '"versionnumber": 9007199254740993'
    )
    text = f'{{"value": [{{"accountid": "{ACCOUNT}", {numbers}}}]}}'
    [account] = load_folder(a_folder(tmp_path, accounts=text))[1]["accounts"]
    assert str(account["revenue"]) == "20000.0000"
    assert account["revenue_base"] == Decimal("0.1")
    assert isinstance(account["creditlimit"], Decimal)
    assert account["versionnumber"] == 9007199254740993


def test_currencies_that_lookups_name_are_made_where_their_file_is_absent(tmp_path: Path) -> None:
    """Money without its currency would be no money."""
    column = "_transactioncurrencyid_value"
    named: dict[str, Any] = {
        column: CURRENCY,
        f"{column}{FORMATTED_VALUE}": "Euro",
        "exchangerate": 0.93,
    }
    [euro] = load_folder(a_folder(tmp_path, contacts=[a_contact(**named)]))[1][
        "transactioncurrencies"
    ]
    assert euro["transactioncurrencyid"] == CURRENCY
    assert (euro["currencyname"], euro["isocurrencycode"]) == ("Euro", "EUR")
    assert euro["exchangerate"] == Decimal("0.93")


def test_currencies_of_a_file_are_left_as_they_are(tmp_path: Path) -> None:
    """Where the export has currencies, none is invented."""
    folder = a_folder(
        tmp_path,
        contacts=[a_contact(_transactioncurrencyid_value=CURRENCY)],
        transactioncurrencies=[],
    )
    assert not load_folder(folder)[1]["transactioncurrencies"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "Boolean"),
        (3, "Integer"),
        (104_800_001, "Picklist"),
        (0.5, "Double"),
        ("short", "String"),
        ("two\nlines", "Memo"),
        ("2026-02-03", "DateTime"),
        ("2026-02-03T04:05:06Z", "DateTime"),
        (ACCOUNT, "Uniqueidentifier"),
        (None, "String"),
    ],
    ids=str,
)
def test_an_unknown_column_gets_the_type_its_values_show(
    tmp_path: Path, value: Any, expected: str
) -> None:
    """Custom columns are served with metadata of their own."""
    assert attribute_of(tmp_path, value, None).type == expected


def test_dates_without_a_time_are_told_from_instants(tmp_path: Path) -> None:
    """Edm.Date and Edm.DateTimeOffset are different types on the wire."""
    assert attribute_of(tmp_path, "2026-02-03", None).date_only
    assert not attribute_of(tmp_path, "2026-02-03T04:05:06Z").date_only


def test_a_number_with_a_base_twin_is_money(tmp_path: Path) -> None:
    """`<name>_base` beside a column tells an amount, whole or not, filled or not."""
    assert attribute_of(tmp_path, 5, new_thing_base=5).type == "Money"
    assert attribute_of(tmp_path, None, new_thing_base=None).type == "Money"
    assert attribute_of(tmp_path, 1, column="new_thing_base").type == "Money"


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


def test_unknown_option_values_get_their_label_from_the_row_or_a_readable_one(
    tmp_path: Path,
) -> None:
    """A custom status reason has a label in the metadata, beside the standard ones."""
    label = {f"statuscode{FORMATTED_VALUE}": "On leave"}
    folder = a_folder(
        tmp_path,
        contacts=[
            a_contact(statuscode=100000001, **label),
            a_contact(OTHER, statuscode=100000002),
        ],
    )
    options = load_folder(folder)[0]["contacts"].attributes["statuscode"].options
    assert options == {
        1: "Active",
        2: "Inactive",
        100000001: "On leave",
        100000002: "statuscode 100000002",
    }


def test_a_text_longer_than_the_standard_column_widens_it(tmp_path: Path) -> None:
    """Organisations lengthen columns; rows and metadata stay in agreement."""
    assert attribute_of(tmp_path, "x" * 60, column="firstname").max_length == 60
    assert attribute_of(tmp_path, "x", column="firstname").max_length == 50


def test_guids_are_served_in_lower_case(tmp_path: Path) -> None:
    """Ids compare as text in clients, so their case must not vary."""
    [account] = load_folder(a_folder(tmp_path, accounts=[{"accountid": ACCOUNT.upper()}]))[1][
        "accounts"
    ]
    assert account["accountid"] == ACCOUNT


def test_loading_twice_gives_the_same(tmp_path: Path) -> None:
    """What is supplied does not depend on the moment."""
    folder = a_folder(tmp_path, contacts=[a_contact(), a_contact(OTHER)])
    assert load_folder(folder) == load_folder(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no JSON", "contacts.json is not JSON"),
        ('{"value": [{"contactid": NaN}]}', "NaN is no JSON number"),
        ("[]", "is not a Web API answer"),
        ('{"rows": []}', "is not a Web API answer"),
        ('{"value": [7]}', "is not a Web API answer"),
        ([{"fullname": "keyless"}], "row 1: contactid must be a GUID"),
        ([{"contactid": "7"}], "row 1: contactid must be a GUID"),
        ([a_contact(), a_contact(CONTACT.upper())], "row 2: contactid must be a GUID that no"),
    ],
    ids=(
        "no JSON",
        "NaN",
        "list",
        "no value",
        "no rows",
        "no key",
        "short key",
        "equal keys",
    ),
)
def test_a_file_of_another_shape_is_refused_with_its_name_and_the_reason(
    tmp_path: Path, content: Any, message: str
) -> None:
    """The person who exported it can tell what to mend."""
    with pytest.raises(FolderError, match=r"contacts\.json") as caught:
        load_folder(a_folder(tmp_path, contacts=content))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"@odata.nextLink": "https://x/api?page=2"}, "it has a next page"),
        ({"@odata.nextlink": "x"}, "it has a next page"),
        ({"odata.nextLink": "x"}, "it has a next page"),
        ({"@Microsoft.Dynamics.CRM.morerecords": True}, "it has a next page"),
        ({"@odata.count": 7}, "1 rows of 7"),
        ({"error": {"code": "0x80040217"}}, "an error that the Web API answered"),
        ({"@odata.context": "https://x/$metadata#accounts(name)"}, "holds rows of accounts"),
    ],
    ids=str,
)
def test_a_file_that_is_not_the_whole_table_is_refused(
    tmp_path: Path, body: dict[str, Any], reason: str
) -> None:
    """What is absent from it would count as deleted."""
    text = json.dumps({**body, "value": [a_contact()]})
    with pytest.raises(FolderError, match=r"contacts\.json ") as caught:
        load_folder(a_folder(tmp_path, contacts=text))
    assert reason in str(caught.value)


def test_a_list_of_changes_is_no_table(tmp_path: Path) -> None:
    """A delta link answers with deletions and with nothing that stayed as it was."""
    gone = {"@odata.context": "https://x/$metadata#contacts/$deletedEntity", "contactid": OTHER}
    with pytest.raises(FolderError, match="list of changes"):
        load_folder(a_folder(tmp_path, contacts=[a_contact(), gone]))


def test_members_that_come_twice_are_refused(tmp_path: Path) -> None:
    """A parser keeps one of them, and the other one vanishes."""
    text = '{"value": [{"contactid": "%s"}], "value": []}'
    with pytest.raises(FolderError, match="has value twice"):
        load_folder(a_folder(tmp_path, contacts=text % CONTACT))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_encoding_that_json_may_have_is_read(tmp_path: Path, encoding: str) -> None:
    """PowerShell writes UTF-16 or a BOM unless it is told otherwise."""
    text = json.dumps({"value": [a_contact(fullname="Zoë")]}, ensure_ascii=False)
    (tmp_path / "contacts.json").write_bytes(text.encode(encoding))
    assert load_folder(tmp_path)[1]["contacts"][0]["fullname"] == "Zoë"


def test_another_encoding_is_told_with_the_place_and_without_the_text(tmp_path: Path) -> None:
    """An export of a spreadsheet in a Windows code page."""
    text = json.dumps({"value": [a_contact(fullname="Zoë")]}, ensure_ascii=False)
    (tmp_path / "contacts.json").write_bytes(text.encode("cp1252"))
    with pytest.raises(FolderError, match=r"byte [\d,]+ is no UTF-8; save it as UTF-8") as caught:
        load_folder(tmp_path)
    assert "Zo" not in str(caught.value)


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    """A script that failed leaves one behind."""
    with pytest.raises(FolderError, match=r"contacts.json is empty"):
        load_folder(a_folder(tmp_path, contacts=" "))


@pytest.mark.parametrize("name", ["Contacts.json", "CONTACTS.JSON", "contacts.Json"])
def test_the_case_of_a_file_name_does_not_matter(tmp_path: Path, name: str) -> None:
    """It doesn't on Windows, where many exports are made."""
    (tmp_path / name).write_text(json.dumps({"value": [a_contact()]}))
    assert len(load_folder(tmp_path)[1]["contacts"]) == 1


@pytest.mark.parametrize(
    "name", ["contact.json", "contacts (1).json", "contacts.json.txt", "Contacts_.json"]
)
def test_a_file_that_is_almost_named_like_an_absent_table_is_refused(
    tmp_path: Path, name: str
) -> None:
    """Passed over, its table would be empty, and all its rows would count as deleted."""
    (tmp_path / name).write_text(json.dumps({"value": [a_contact()]}))
    with pytest.raises(FolderError, match=r"name it contacts\.json") as caught:
        load_folder(a_folder(tmp_path, accounts=[]))
    assert name in str(caught.value)


def test_two_files_of_one_table_are_refused(tmp_path: Path) -> None:
    """Neither of them is known to be the right one."""
    for name in ("contacts.json", "Contacts.json"):
        (tmp_path / name).write_text(json.dumps({"value": [a_contact()]}))
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system knows no case")
    with pytest.raises(FolderError, match="is the same table as"):
        load_folder(tmp_path)


def test_absent_tables_and_files_passed_over_are_told(tmp_path: Path) -> None:
    """An empty table and an unused file are no faults, but nobody should have to guess."""
    folder = a_folder(tmp_path, contacts=[a_contact()], accounts=[], opportunities=[], leads="x")
    assert [str(finding) for finding in read_folder(folder).findings] == [
        "leads.json is passed over: no table of the sandbox.",
        "connections.json is not there, so the table is empty.",
        "connectionroles.json is not there, so the table is empty.",
    ]


def test_all_faults_are_told_at_once_and_no_value(tmp_path: Path) -> None:
    """File, row, id and column of each; what a person is called, or writes, stays untold."""
    folder = a_folder(
        tmp_path,
        accounts=[{"accountid": ACCOUNT, "revenue": "Secret"}],
        contacts=[a_contact(birthdate="Secret"), {"fullname": "Secret"}],
        opportunities="Secret",
    )
    with pytest.raises(FolderError) as caught:
        load_folder(folder)
    told = str(caught.value)
    assert "opportunities.json is not JSON" in told
    assert "contacts.json, row 2: contactid must be a GUID" in told
    assert "contacts.json, row 1: column birthdate must be a date" in told
    assert f"holds a text; correct it (id {CONTACT})." in told
    assert "accounts.json, row 1: column revenue is Money but holds a text" in told
    assert "Secret" not in told


def test_of_many_rows_with_one_fault_some_are_named_and_the_others_counted(tmp_path: Path) -> None:
    """Twelve thousand lines help nobody."""
    rows = [
        a_contact(f"c0000000-0000-0000-0000-{number:012}", birthdate="?") for number in range(30)
    ]
    findings = read_folder(a_folder(tmp_path, contacts=rows)).findings
    lines = [line for line in told(findings) if "birthdate" in line]
    assert len(lines) == 11
    assert "column birthdate has 20 more rows like these" in lines[-1]


@pytest.mark.parametrize(
    ("column", "written", "expected"),
    [
        ("creditlimit", "12.50", Decimal("12.50")),
        ("creditlimit", 7, Decimal(7)),
        ("numberofchildren", 12.0, 12),
        ("numberofchildren", " 12 ", 12),
        ("statuscode", "1", 1),
        ("familystatuscode", 1.0, 1),
        ("donotemail", 0, False),
        ("donotemail", 1, True),
        ("donotemail", "True", True),
        ("donotemail", "0", False),
        ("birthdate", "", None),
        ("birthdate", "2026-02-03T00:00:00Z", "2026-02-03"),
        ("lastonholdtime", "", None),
        ("lastonholdtime", "2026-02-03T05:06:07.1234567+01:00", "2026-02-03T04:06:07Z"),
        ("lastonholdtime", "2026-02-03", "2026-02-03T00:00:00Z"),
        ("telephone1", 4255550100, "4255550100"),
        ("firstname", "", None),
        ("_masterid_value", "{C0000000-0000-0000-0000-000000000002}", OTHER),
        ("masterid", OTHER, OTHER),
        ("FirstName", "Ada", "Ada"),
    ],
    ids=repr,
)
def test_values_as_other_tools_write_them_are_read(
    tmp_path: Path, column: str, written: Any, expected: Any
) -> None:
    """Numbers as text, 12.0 for 12, an empty text for null, 0 and 1 for No and Yes."""
    loaded = read_folder(a_folder(tmp_path, contacts=[a_contact(**{column: written})]))
    [contact] = loaded.rows["contacts"]
    served = "_masterid_value" if column == "masterid" else column.lower()
    assert contact[served] == expected
    assert type(contact[served]) is type(expected)
    assert not [finding for finding in loaded.findings if finding.column]


@pytest.mark.parametrize(
    ("column", "written"),
    [
        ("creditlimit", "lots"),
        ("creditlimit", True),
        ("creditlimit", Decimal("1e999")),
        ("numberofchildren", 1.5),
        ("numberofchildren", 2**70),
        ("statuscode", "open"),
        ("donotemail", 2),
        ("birthdate", "yesterday"),
        ("birthdate", "0000-01-01"),
        ("birthdate", "2026-02-30"),
        ("createdon", "0000-00-00T00:00:00Z"),
        ("createdon", "0001-01-01T00:00:00+01:00"),
        ("createdon", "2026-01-01T00:00:00"),
        ("createdon", 1580702706000),
        ("modifiedon", "9999-12-31T23:59:59-01:00"),
        ("firstname", True),
        ("_masterid_value", "Ada"),
    ],
    ids=str,
)
def test_a_value_that_no_column_can_have_costs_nobody_else_anything(
    tmp_path: Path, column: str, written: Any
) -> None:
    """It is told and served as it is; the other rows get nothing of it."""
    row = json.dumps({**a_contact(), column: str(written)}).replace(
        f'"{written}"', str(written) if isinstance(written, Decimal) else json.dumps(written)
    )
    good = json.dumps({"contactid": OTHER, column: None})
    loaded = read_folder(a_folder(tmp_path, contacts=f'{{"value": [{row}, {good}]}}'))
    bad, other = loaded.rows["contacts"]
    [finding] = [finding for finding in loaded.findings if finding.column]
    assert (finding.row, finding.row_id, finding.column) == (1, CONTACT, column)
    assert isinstance(bad[column], str)
    assert bad[column] not in {other["createdon"], other["modifiedon"]}
    assert str(written) not in str(finding)


def test_labels_of_the_rows_win_over_those_of_the_standard_table(tmp_path: Path) -> None:
    """An organisation names its options itself, in its own language."""
    labels = {f"statecode{FORMATTED_VALUE}": "Aktiv", f"donotemail{FORMATTED_VALUE}": "Verboten"}
    rows = [a_contact(statecode=0, donotemail=True, **labels), a_contact(OTHER, statecode="1")]
    known = load_folder(a_folder(tmp_path, contacts=rows))[0]["contacts"].attributes
    assert known["statecode"].options == {0: "Aktiv", 1: "Inactive"}
    assert known["donotemail"].options == {0: "Allow", 1: "Verboten"}


def test_a_number_with_a_shown_form_is_no_choice(tmp_path: Path) -> None:
    """A live answer writes "1,234" beside 1234, and that is no option's label."""
    shown = {f"new_thing{FORMATTED_VALUE}": "1,234"}
    assert attribute_of(tmp_path, 1234, **shown).type == "Integer"


def test_an_unknown_column_of_numbers_and_numeric_texts_is_a_number(tmp_path: Path) -> None:
    """One tool of two quoted them."""
    assert attribute_of(tmp_path, 1, "2").type == "Integer"
    assert attribute_of(tmp_path, 1.5, "2").type == "Double"
    assert attribute_of(tmp_path, 1, "two").type == "String"
    assert attribute_of(tmp_path, True, 0).type == "Boolean"


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


def test_a_folder_without_any_table_is_refused(tmp_path: Path) -> None:
    """A wrong path would otherwise be an empty organisation."""
    with pytest.raises(FolderError, match="holds no table"):
        load_folder(tmp_path / "nowhere")


def test_the_banking_sample_loads_whole(shared_data: Path) -> None:
    """Rows, customers, custom status reasons and the currency of a real export."""
    tables, rows = load_folder(shared_data / "dynamics_banking")
    counts = {name: len(found) for name, found in rows.items() if found}
    assert counts == {
        "accounts": 5,
        "contacts": 30,
        "opportunities": 23,
        "systemusers": 3,
        "transactioncurrencies": 1,
    }
    kinds = [row.get(f"_customerid_value{LOOKUP_TABLE}") for row in rows["opportunities"]]
    assert (kinds.count("contact"), kinds.count("account"), kinds.count(None)) == (11, 11, 1)
    options = tables["opportunities"].attributes["statuscode"].options
    assert {104800000, 104800002} <= set(options or ())
    assert tables["opportunities"].attributes["msfsi_requestedamount"].type == "Money"


def test_the_nonprofit_sample_loads_whole(shared_data: Path) -> None:
    """Connections with their mirrors and roles, the null state of one role made active."""
    tables, rows = load_folder(shared_data / "dynamics_nonprofit")
    counts = {name: len(found) for name, found in rows.items() if found}
    assert counts == {
        "accounts": 36,
        "contacts": 83,
        "opportunities": 3,
        "connections": 34,
        "connectionroles": 3,
        "systemusers": 2,
        "transactioncurrencies": 1,
    }
    assert {0} == {role["statecode"] for role in rows["connectionroles"]}
    assert "msnfp_designation" in tables["connections"].attributes["record1id"].targets
    versions = [row["versionnumber"] for found in rows.values() for row in found]
    assert len(versions) == len(set(versions))


@pytest.mark.parametrize("name", ["banking", "nonprofit"])
def test_every_column_of_a_sample_has_its_attribute(shared_data: Path, name: str) -> None:
    """No row holds what the metadata of its table doesn't tell."""
    tables, rows = load_folder(shared_data / f"dynamics_{name}")
    for set_name, table in tables.items():
        known = {attribute.property_name for attribute in table.attributes.values()}
        for row in rows[set_name]:
            assert {column.partition("@")[0] for column in row} <= known
