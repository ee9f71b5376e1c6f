"""A folder of Web API answers becomes an organisation that lacks nothing a live one has."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox.exports.export_folder import load_folder
from dynamics_sandbox.schema.attribute import FORMATTED_VALUE, LOOKUP_TABLE
from folder_rows import (
    ACCOUNT,
    CURRENCY,
    NOON,
    OTHER,
    ROLE,
    a_contact,
    a_folder,
    attribute_of,
)

if TYPE_CHECKING:
    from pathlib import Path


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
    assert attribute_of(tmp_path, "2026-02-03", None).is_date
    assert not attribute_of(tmp_path, "2026-02-03T04:05:06Z").is_date


def test_a_number_with_a_base_twin_is_money(tmp_path: Path) -> None:
    """`<name>_base` beside a column tells an amount, whole or not, filled or not."""
    assert attribute_of(tmp_path, 5, new_thing_base=5).type == "Money"
    assert attribute_of(tmp_path, None, new_thing_base=None).type == "Money"
    assert attribute_of(tmp_path, 1, column="new_thing_base").type == "Money"


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


@pytest.mark.parametrize(
    ("value", "expected"), [(None, None), (0, False), ("1", True), ("No", False), ("false", False)]
)
def test_the_sync_filter_is_yes_or_no_whatever_its_values_look_like(
    tmp_path: Path, value: Any, expected: bool | None
) -> None:
    """An organisation's own column of that name is, and another type would stop the run."""
    tables, rows = load_folder(a_folder(tmp_path, contacts=[a_contact(new_synctomkto=value)]))
    assert tables["contacts"].attributes["new_synctomkto"].type == "Boolean"
    assert rows["contacts"][0].get("new_synctomkto") is expected


def test_a_text_that_looks_like_an_id_stays_as_it_is(tmp_path: Path) -> None:
    """Ids are folded where the column is one."""
    text = f"{{{ACCOUNT.upper()}}}"
    contact = a_contact(firstname=text, _parentcustomerid_value=text)
    [served] = load_folder(a_folder(tmp_path, contacts=[contact]))[1]["contacts"]
    assert served["firstname"] == text
    assert served["_parentcustomerid_value"] == ACCOUNT
