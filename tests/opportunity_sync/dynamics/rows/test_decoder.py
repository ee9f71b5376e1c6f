"""Bytes of a page become typed columns, and one bad row costs only itself."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opportunity_sync.dynamics import EntityPlan, PageDecoder, Plan, staged_schema
from opportunity_sync.dynamics.pages.progress import MOST_PAGES
from opportunity_sync.errors import ConfigError, ResponseError
from opportunity_sync.model import (
    CONNECTION,
    CONNECTION_ROLE,
    CONTACT,
    DEFAULT_MODEL,
    OPPORTUNITY,
    Entity,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

ID = "5d1e0000-0000-4000-8000-0000000000f1"
OTHER = "8f3c0000-0000-4000-8000-0000000000a1"
LOOKUP_TYPE = "@Microsoft.Dynamics.CRM.lookuplogicalname"
OPEN = {"stage": {0: "Open", 1: "Won"}}


def an_opportunity(**values: Any) -> str:
    """A row's JSON; `raw_` values are put in as they are."""
    row = {"@odata.etag": 'W/"1"', "opportunityid": ID, "versionnumber": 7, "unasked": {"a": [1]}}
    return json.dumps({**row, **values})


def a_page(*rows: str, **beside: str) -> bytes:
    """A page of such rows; links beside them."""
    head = "".join(f"{json.dumps('@odata.' + name)}:{json.dumps(v)}," for name, v in beside.items())
    return f'{{"@odata.context":"x",{head}"value":[{",".join(rows)}]}}'.encode()


def decoder(entity: Entity = OPPORTUNITY, **labels: Any) -> PageDecoder:
    """A decoder of all columns; the choice labels are keywords."""
    plan = Plan.complete([entity])
    columns = plan.of(entity).columns
    return PageDecoder(entity, Plan("", None, {entity.name: EntityPlan(columns, labels=labels)}))


def the_row(*rows: str, **labels: Any) -> dict[str, Any]:
    """The only row that a page decodes to."""
    page = decoder(**labels).decode(a_page(*rows))
    assert page.refused == []
    (row,) = page.table.to_pylist()
    return dict(row)


def test_every_kind_of_value_arrives_typed() -> None:
    """Text, number, choice, money, date, instant and lookup each become their column."""
    row = the_row(
        an_opportunity(
            name="Pump",
            closeprobability=40,
            statecode=1,
            actualclosedate="2026-02-03",
            modifiedon="2026-02-03T04:05:06Z",
            _customerid_value=OTHER.upper(),
            new_synctomkto=False,
            **{f"_customerid_value{LOOKUP_TYPE}": "account"},
        ).replace('"unasked"', '"estimatedvalue": 20000.0000, "unasked"'),
        **OPEN,
    )
    expected = {
        "opportunity_id": ID,
        "version_number": 7,
        "name": "Pump",
        "close_probability": 40,
        "stage_code": 1,
        "stage_label": "Won",
        "actual_close_date": date(2026, 2, 3),
        "modified_at": datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
        "estimated_value": "20000.0000",
        "customer_id": OTHER,
        "customer_type": "account",
        "sync_filter": False,
    }
    assert expected == {name: row[name] for name in expected}


@pytest.mark.parametrize("entity", DEFAULT_MODEL.entities, ids=lambda entity: entity.name)
def test_an_empty_page_has_the_staged_columns(entity: Entity) -> None:
    """The schema is the entity's own, whatever came."""
    table = decoder(entity).decode(b'{"value":[]}').table
    assert staged_schema(entity) == table.schema
    assert [column.name for column in entity.staged_columns] == table.column_names


def test_absent_properties_are_null_and_unknown_ones_are_skipped() -> None:
    """A row needs its key and version, nothing else."""
    row = the_row(an_opportunity())
    assert {None} == {v for k, v in row.items() if k not in {"opportunity_id", "version_number"}}


def test_a_column_left_out_of_the_plan_is_a_null_column() -> None:
    """The staged shape stays the same when the organisation lacks a column."""
    plan = Plan("", None, {"opportunity": EntityPlan(("name",))})
    page = PageDecoder(OPPORTUNITY, plan).decode(a_page(an_opportunity(name="A", description="B")))
    assert staged_schema(OPPORTUNITY) == page.table.schema
    assert page.table.column("description").to_pylist() == [None]


def test_a_code_without_a_known_label_keeps_the_code() -> None:
    """A choice that was added a moment ago has a code and no label yet."""
    row = the_row(an_opportunity(statecode=5), **OPEN)
    assert (row["stage_code"], row["stage_label"]) == (5, None)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("20000.0000", "20000.0000"),
        ("0.1", "0.1"),
        ("-7", "-7"),
        ("12345678901234567890.1234567891", "12345678901234567890.1234567891"),
        ("1.50E3", "1500"),
        ("1e-3", "0.001"),
        ("null", None),
    ],
)
def test_money_is_the_digits_of_the_response(written: str, expected: str | None) -> None:
    """No float ever touches money; exponents are written out."""
    text = an_opportunity().replace('"unasked"', f'"estimatedvalue": {written}, "unasked"')
    assert expected == the_row(text)["estimated_value"]


@pytest.mark.parametrize(
    "written",
    [
        "2026-02-03T04:05:06Z",
        "2026-02-03T04:05:06.9Z",
        "2026-02-03T04:05:06.1234567Z",
        "2026-02-03T06:05:06+02:00",
        "2026-02-02T23:05:06.5-05:00",
    ],
)
def test_instants_of_every_form_become_whole_seconds_of_utc(written: str) -> None:
    """Fractions are cut, offsets are taken off."""
    row = the_row(an_opportunity(modifiedon=written))
    assert datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC) == row["modified_at"]


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ({"opportunityid": None}, "opportunityid"),
        ({"opportunityid": "not-a-guid"}, "opportunityid"),
        ({"opportunityid": ID.replace("-", "0")}, "opportunityid"),
        ({"opportunityid": f"{{{ID}}}"}, "opportunityid"),
        ({"versionnumber": None}, "versionnumber"),
        ({"versionnumber": 2**63}, "versionnumber"),
        ({"statecode": 2**31}, "statecode"),
        ({"statecode": "0"}, "statecode"),
        ({"closeprobability": 0.5}, "closeprobability"),
        ({"name": 5}, "name"),
        ({"new_synctomkto": 1}, "new_synctomkto"),
        ({"estimatedvalue": "12.5"}, "estimatedvalue"),
        ({"estimatedvalue": True}, "estimatedvalue"),
        ({"modifiedon": "yesterday"}, "modifiedon"),
        ({"modifiedon": "2026-02-03T04:05:06"}, "modifiedon"),
        ({"modifiedon": "2026-02-30T04:05:06Z"}, "modifiedon"),
        ({"actualclosedate": "2026-02-03T00:00:00"}, "actualclosedate"),
        ({"actualclosedate": "2026-02-30"}, "actualclosedate"),
        ({"_customerid_value": OTHER}, "customerid"),
        ({"_customerid_value": OTHER, f"_customerid_value{LOOKUP_TYPE}": "lead"}, "customerid"),
        ({"_customerid_value": OTHER, f"_customerid_value{LOOKUP_TYPE}": ""}, "customerid"),
        ({"modifiedon": "0000-01-01T00:00:00Z"}, "modifiedon"),
        ({"modifiedon": "0001-01-01T00:00:00+01:00"}, "modifiedon"),
        ({"modifiedon": "9999-12-31T23:59:59-01:00"}, "modifiedon"),
        ({"modifiedon": "10000-01-01T00:00:00Z"}, "modifiedon"),
        ({"modifiedon": "+12026-02-03T04:05:06Z"}, "modifiedon"),
        ({"modifiedon": "-0001-01-01T00:00:00Z"}, "modifiedon"),
        ({"modifiedon": ""}, "modifiedon"),
        ({"actualclosedate": "0000-01-01"}, "actualclosedate"),
        ({"actualclosedate": "10000-01-01"}, "actualclosedate"),
        ({"actualclosedate": "0000-12-31T23:00:00Z"}, "actualclosedate"),
        ({"actualclosedate": "2026-02-3"}, "actualclosedate"),
        ({"closeprobability": 2**63}, "closeprobability"),
        ({"closeprobability": -(2**63) - 1}, "closeprobability"),
        ({"_transactioncurrencyid_value": "x"}, "transactioncurrencyid"),
        ({"_transactioncurrencyid_value": ""}, "transactioncurrencyid"),
    ],
    ids=str,
)
def test_a_bad_row_is_refused_alone_and_named(values: dict[str, Any], column: str) -> None:
    """Its neighbours come through, and the error names record and column but never the value."""
    good = [an_opportunity(opportunityid=f"{ID[:-2]}0{n}", versionnumber=n) for n in (1, 2)]
    page = decoder().decode(a_page(good[0], an_opportunity(**values), good[1]))
    assert page.table.column("version_number").to_pylist() == [1, 2]
    (error,) = page.refused
    assert ("opportunity", column) == (error.entity, (error.field or "").strip("_").split("_v")[0])
    assert "yesterday" not in str(error)
    if "opportunityid" not in values:
        assert error.record_id == ID


@pytest.mark.parametrize(
    "written",
    [
        "1e999999999",
        "1e-999999999",
        "1" * 41,
        f"0.{'1' * 41}",
        f"1.{'0' * 20_000}1",
        f"0.{'0' * 20_000}1",
        "9" * 140_000,
        "1e-41",
        "[1]",
        "{}",
        "true",
    ],
    ids=lambda value: f"{value[:12]} of {len(value)}",
)
def test_a_number_that_no_store_takes_is_refused(written: str) -> None:
    """An exponent of a billion is not written out, and PostgreSQL's numeric has an end as well."""
    text = an_opportunity().replace('"unasked"', f'"estimatedvalue": {written}, "unasked"')
    page = decoder().decode(a_page(text, an_opportunity(opportunityid=OTHER)))
    assert (page.table.num_rows, page.refused[0].field) == (1, "estimatedvalue")


def test_a_row_that_is_no_object_is_refused() -> None:
    """Even then the rest of the page is good."""
    page = decoder().decode(a_page("[]", an_opportunity(), "null"))
    assert (page.table.num_rows, len(page.refused)) == (1, 2)


@pytest.mark.parametrize("name", [None, "", "x" * 1001, "\U0001f600" * 601])
def test_a_role_whose_name_makes_no_key_is_refused(name: str | None) -> None:
    """Its name is part of the key of every role it gives, and an index takes no longer one."""
    row = json.dumps({"connectionroleid": ID, "versionnumber": 1, "name": name, "category": 1000})
    (error,) = decoder(CONNECTION_ROLE).decode(a_page(row)).refused
    assert (error.record_id, error.field, error.version) == (ID, "name", 1)


@pytest.mark.parametrize("name", ["x" * 1000, "\U0001f600" * 600, "x"])
def test_a_role_with_a_long_name_is_taken(name: str) -> None:
    """Ten times what Dynamics allows."""
    row = json.dumps({"connectionroleid": ID, "versionnumber": 1, "name": name, "category": 1000})
    assert decoder(CONNECTION_ROLE).decode(a_page(row)).refused == []


@pytest.mark.parametrize(
    ("entity", "lookup", "target", "is_taken"),
    [
        (OPPORTUNITY, "customerid", "account", True),
        (OPPORTUNITY, "customerid", "contact", True),
        (OPPORTUNITY, "customerid", "new_partner", False),
        (OPPORTUNITY, "customerid", None, False),
        (OPPORTUNITY, "ownerid", "systemuser", True),
        (OPPORTUNITY, "ownerid", None, True),
        (CONTACT, "parentcustomerid", "contact", True),
        (CONTACT, "parentcustomerid", "lead", False),
        (CONTACT, "parentcustomerid", None, False),
        (CONTACT, "ownerid", None, True),
        (CONNECTION, "record1id", "opportunity", True),
        (CONNECTION, "record2id", "new_partner", True),
        (CONNECTION, "record1id", None, False),
        (CONNECTION, "record2id", None, False),
    ],
)
def test_only_lookups_that_the_rules_need_must_name_a_table_they_know(
    entity: Entity, lookup: str, target: str | None, is_taken: bool
) -> None:
    """An owner without its type is an owner of an unknown type; a customer without one is none."""
    name = f"_{lookup}_value"
    row = {entity.key: ID, "versionnumber": 3, name: OTHER, f"{name}{LOOKUP_TYPE}": target}
    page = decoder(entity).decode(a_page(json.dumps(row)))
    if is_taken:
        field = next(field for field in entity.all_fields if field.source == lookup)
        values = [page.table.column(column.name).to_pylist()[0] for column in field.columns]
        assert values == [OTHER, target]
        return
    (error,) = page.refused
    assert (error.record_id, error.version, error.field) == (ID, 3, lookup)


BERLIN, HAWAII = "Europe/Berlin", "Pacific/Honolulu"


@pytest.mark.parametrize(
    ("written", "zone", "expected"),
    [
        ("2026-02-02T23:00:00Z", BERLIN, date(2026, 2, 3)),
        ("2026-07-02T22:00:00Z", BERLIN, date(2026, 7, 3)),
        ("2026-07-02T21:59:59Z", BERLIN, date(2026, 7, 2)),
        ("2026-02-03T10:00:00Z", HAWAII, date(2026, 2, 3)),
        ("2026-02-03T09:59:59.123Z", HAWAII, date(2026, 2, 2)),
        ("2026-02-03T01:00:00+02:00", "UTC", date(2026, 2, 2)),
        ("2026-02-03", BERLIN, date(2026, 2, 3)),
        ("2026-02-03T00:00:00Z", None, date(2026, 2, 3)),
        ("2026-02-03T23:59:59Z", None, date(2026, 2, 3)),
        ("0001-01-01T00:00:00Z", HAWAII, None),
        ("9999-12-31T23:30:00Z", BERLIN, None),
        ("2026-02-30T00:00:00Z", BERLIN, None),
        ("2026-02-03T00:00:00", BERLIN, None),
    ],
)
def test_a_date_that_comes_as_an_instant_is_its_day(
    written: str, zone: str | None, expected: date | None
) -> None:
    """In the zone of the plan; a neighbour that comes as a date is taken as it is."""
    columns = Plan.complete([OPPORTUNITY]).of(OPPORTUNITY).columns
    zones = {"actual_close_date": zone} if zone else {}
    plan = Plan("", None, {"opportunity": EntityPlan(columns, zones=zones)})
    rows = [
        an_opportunity(opportunityid=OTHER, actualclosedate="2026-01-01"),
        an_opportunity(actualclosedate=written),
        an_opportunity(opportunityid=OTHER.replace("8", "9"), actualclosedate=None),
    ]
    page = PageDecoder(OPPORTUNITY, plan).decode(a_page(*rows))
    found = page.table.column("actual_close_date").to_pylist()
    assert found == [date(2026, 1, 1), *([expected] if expected else []), None]
    assert [error.field for error in page.refused] == ([] if expected else ["actualclosedate"])


def test_a_zone_that_the_machine_does_not_know_is_a_configuration_error() -> None:
    """A day of it cannot be told."""
    columns, zones = ("actual_close_date",), {"actual_close_date": "No/Where"}
    plan = Plan("", None, {"opportunity": EntityPlan(columns, zones=zones)})
    with pytest.raises(ConfigError, match="No/Where"):
        PageDecoder(OPPORTUNITY, plan)


UNREADABLE = {
    "NaN": '"closeprobability": NaN',
    "minus infinity": '"closeprobability": -Infinity',
    "NaN in a text column": '"name": NaN',
    "a leading zero": '"closeprobability": 01',
    "no value": '"closeprobability": ',
    "a bare word": '"name": Pump',
    "a wrong escape": r'"name": "a\x41"',
    "half an escape": r'"name": "a\u12"',
    "a raw line break": '"name": "a\nb"',
    "a name twice": f'"opportunityid": "{ID}"',
    "another name twice": f'"opportunity\\u0069d": "{OTHER}"',
    "a version twice": '"versionnumber": 8',
    "brackets without end": f'"name": {"[" * 50_000}{"]" * 50_000}',
    "a number out of range": '"closeprobability": 1e400',
}


@pytest.mark.parametrize("fault", UNREADABLE)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_row_that_is_no_json_costs_itself_alone(fault: str, place: int) -> None:
    """Its neighbours come through, the links too, and nothing of the page stops the table."""
    good = [an_opportunity(opportunityid=f"{ID[:-2]}0{n}", versionnumber=n) for n in (1, 2)]
    bad = an_opportunity().replace('"unasked"', f'{UNREADABLE[fault]}, "unasked"')
    rows = [*good[:place], bad, *good[place:]]
    page = decoder().decode(a_page(*rows, nextLink="https://h/next"))
    assert page.table.column("version_number").to_pylist() == [1, 2]
    assert page.next_link == "https://h/next"
    (error,) = page.refused
    assert error.record_id == (None if fault == "another name twice" else ID)
    assert error.version == (None if fault == "a version twice" else 7)
    assert page.unidentified == (fault == "another name twice")


@pytest.mark.parametrize(
    ("row", "record_id", "version"),
    [
        ({"name": 5}, ID, 7),
        ({"versionnumber": None}, ID, None),
        ({"versionnumber": "7"}, ID, None),
        ({"versionnumber": 2**63}, ID, None),
        ({"modifiedon": "x"}, ID, 7),
        ({"statecode": "x", "modifiedon": 5}, ID, 7),
        ({"opportunityid": None}, None, 7),
        ({"opportunityid": 5}, None, 7),
        ({"opportunityid": [ID]}, None, 7),
        ({"opportunityid": "x", "name": 5}, None, 7),
        ({"opportunityid": ID.upper(), "name": 5}, ID, 7),
    ],
    ids=str,
)
def test_a_refused_row_names_id_and_version_where_they_can_be_read(
    row: dict[str, Any], record_id: str | None, version: int | None
) -> None:
    """Where the id cannot, the page says that nothing may be concluded from absence."""
    page = decoder().decode(a_page(an_opportunity(**row), an_opportunity(opportunityid=OTHER)))
    (error,) = page.refused
    assert (error.record_id, error.version) == (record_id, version)
    assert page.unidentified == (record_id is None)


@pytest.mark.parametrize("row", ["null", "[]", "7", '"x"', "NaN", "{}"])
def test_what_is_no_row_has_no_id(row: str) -> None:
    """It is counted, and its neighbour comes through."""
    page = decoder().decode(a_page(row, an_opportunity()))
    assert (page.table.num_rows, page.unidentified) == (1, 1)


def test_names_in_texts_are_no_members() -> None:
    """A text that talks of the key's name, or of escapes, makes no row suspicious."""
    texts = [
        {"name": "opportunityid", "description": '"opportunityid":"x"'},
        {"name": "versionnumber", "description": r'\u0061":'},
        {"name": '"versionnumber"', "description": "versionnumber"},
    ]
    for text in texts:
        row = the_row(an_opportunity(**text))
        assert text == {name: row[name] for name in text}


def pages_taken(pages: Iterable[bytes]) -> int:
    """How many pages the decoder took before it refused one that brings nothing new."""
    decode, taken = decoder().decode, 0
    for page in pages:
        try:
            decode(page)
        except ResponseError:
            return taken
        taken += 1
    return taken


def test_a_page_that_brings_nothing_new_too_often_ends_the_reading() -> None:
    """Ever-new links to the same rows, in another order or with other values, end at some time."""
    same = [an_opportunity(), an_opportunity(opportunityid=OTHER)]
    pages = (
        a_page(
            *same[:: -1 if n % 2 else 1], an_opportunity(name=f"n{n}"), nextLink=f"https://h/{n}"
        )
        for n in range(MOST_PAGES * 2)
    )
    assert pages_taken(pages) == MOST_PAGES


def test_empty_pages_end_a_reading_too() -> None:
    """Not the first of them, for Dataverse sends some, but the fiftieth in a row."""
    pages = (a_page(nextLink=f"https://h/{number}") for number in range(MOST_PAGES * 2))
    assert pages_taken(pages) == MOST_PAGES - 1


def test_a_reading_that_comes_on_slowly_goes_on() -> None:
    """One new record or deletion in fifty pages is enough, and the next reading starts anew."""
    decode = decoder(CONTACT).decode
    for number in range(4 * MOST_PAGES):
        key = f"{ID[:-3]}{number // 40:03x}"
        row = {"contactid": key, "versionnumber": 3}
        if number % 80 >= 40:
            row = {"@odata.context": "x#contacts/$deletedEntity", "id": key}
        decode(a_page(json.dumps(row), nextLink=f"https://h/{number}"))
    decode(a_page())
    for _ in range(3):
        for number in range(MOST_PAGES - 1):
            decode(a_page(nextLink=f"https://h/{number}"))
        decode(a_page())


@pytest.mark.parametrize(
    ("written", "expected", "replaced"),
    [
        (r"a\u0000b", "a\ufffdb", 1),
        (r"\ud800", "\ufffd", 1),
        (r"\udc00x\uDBFF", "\ufffdx\ufffd", 2),
        (r"\ud83d\ude00", "\U0001f600", 0),
        (r"\ud83d\ud83d\ude00\u0000", "\ufffd\U0001f600\ufffd", 2),
        (r"\\u0000 \\ud800", r"\u0000 \ud800", 0),
        (r"\\\u0000", "\\\ufffd", 1),
        ("\u00e4 \U0001f600", "\u00e4 \U0001f600", 0),
    ],
)
def test_characters_no_store_can_hold_are_replaced_and_counted(
    written: str, expected: str, replaced: int
) -> None:
    """U+0000 and halves of pairs become U+FFFD; whole pairs and talk about escapes stay."""
    text = an_opportunity(name="@").replace("@", written, 2).replace(f"{written}odata", "@odata")
    page = decoder().decode(a_page(text))
    assert ([expected], replaced) == (page.table.column("name").to_pylist(), page.replaced)


def test_halves_written_as_bytes_are_replaced() -> None:
    """Some writers encode a lone surrogate as three bytes that are no UTF-8."""
    body = a_page(an_opportunity(name="HALF")).replace(b"HALF", b"\xed\xa0\x80!")
    page = decoder().decode(body)
    assert (page.table.column("name").to_pylist(), page.replaced) == (["\ufffd!"], 1)


@pytest.mark.parametrize(
    ("written", "expected", "replaced"),
    [
        (b"a\xffb", "a\ufffdb", 1),
        (b"\xc3", "\ufffd", 1),
        (b"\xe9t\xe9", "\ufffdt\ufffd", 2),
        (b"\xf0\x9f\x98", "\ufffd", 1),
        (b"\xc0\x80", "\ufffd\ufffd", 2),
        (b"\xef\xbf\xbd\xff", "\ufffd\ufffd", 1),
        (b"\0", "\ufffd", 1),
        (b"\xff\\u0000\xed\xa0\x80", "\ufffd\ufffd\ufffd", 3),
    ],
    ids=repr,
)
def test_bytes_that_are_no_utf8_spoil_one_character(
    written: bytes, expected: str, replaced: int
) -> None:
    """The text keeps all others, and the page all rows."""
    rows = [an_opportunity(name="SPOILT"), an_opportunity(opportunityid=OTHER, name="\ufffd")]
    page = decoder().decode(a_page(*rows).replace(b"SPOILT", written))
    assert page.table.column("name").to_pylist() == [expected, "\ufffd"]
    assert (page.replaced, page.refused) == (replaced, [])


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=30), st.booleans())
def test_text_survives_as_it_is(text: str, escaped: bool) -> None:
    """Whatever a person typed, in either spelling of JSON, but for U+0000."""
    row = {"opportunityid": ID, "versionnumber": 1, "name": text, "description": "x"}
    body = b'{"value":[' + json.dumps(row, ensure_ascii=escaped).encode() + b"]}"
    page = decoder().decode(body)
    assert [text.replace("\0", "\ufffd")] == page.table.column("name").to_pylist()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Sign in</html>",
        b'{"value":[{"opportunityid"',
        b'{"value":[]',
        b'{"value":{}}',
        b'{"value":null}',
        b'{"error":{"code":"0x0","message":"no"}}',
        b"[]",
    ],
)
def test_what_is_no_page_is_an_error_of_the_response(body: bytes) -> None:
    """It is never taken for an empty page."""
    with pytest.raises(ResponseError, match="opportunities"):
        decoder().decode(body)


def test_links_and_tombstones_stand_beside_the_rows() -> None:
    """A change tracking page has rows, deletions and a delta link."""
    tombstone = {"@odata.context": "https://h/$metadata#contacts/$deletedEntity", "id": OTHER}
    nameless = {**tombstone, "id": "?"}
    row = {"contactid": ID, "versionnumber": 3}
    body = a_page(*map(json.dumps, [row, tombstone, nameless]), deltaLink="https://h/delta")
    page = decoder(CONTACT).decode(body)
    assert page.table.column("contact_id").to_pylist() == [ID]
    assert (
        page.deleted_ids,
        page.delta_link,
        page.next_link,
    ) == ([OTHER], "https://h/delta", None)
    assert [error.field for error in page.refused] == ["id"]


def test_good_rows_keep_their_order_and_types_when_others_are_refused() -> None:
    """The slow path for bad rows gives what the fast path gives."""
    rows = [
        an_opportunity(
            opportunityid=f"{ID[:-2]}{number:02}",
            versionnumber=number,
            name=None if number % 3 else f"n{number}",
            modifiedon="2026-02-03T04:05:06Z",
        )
        for number in range(40)
    ]
    alone = decoder().decode(a_page(*rows)).table
    among = decoder().decode(a_page(an_opportunity(name=1), *rows, an_opportunity(name=[]))).table
    assert alone.equals(pa.table(among.columns, schema=alone.schema))


def test_refused_records_are_new_ones_too() -> None:
    """A table of bad records ends at the guard that counts them, not as a circle of pages."""
    pages = (
        a_page(
            an_opportunity(opportunityid=f"{ID[:-3]}{number:03x}", modifiedon="0000-01-01"),
            nextLink=f"https://h/{number}",
        )
        for number in range(MOST_PAGES * 2)
    )
    assert pages_taken(pages) == MOST_PAGES * 2


def test_a_page_that_leaves_a_planned_column_out_is_no_page() -> None:
    """Null would be taken for the value of every row; one row that names it is enough."""
    of_contacts = decoder(CONTACT)
    names = Plan.complete(DEFAULT_MODEL).of(CONTACT).select(CONTACT)
    whole = {**dict.fromkeys(names), "contactid": ID, "versionnumber": 3}
    for left_out in ("emailaddress1", CONTACT.filter_source):
        row = {name: value for name, value in whole.items() if name != left_out}
        body = json.dumps({"value": [row]}).encode()
        page = of_contacts.decode(body)
        assert page.table.num_rows == 1
        with pytest.raises(ResponseError, match=f"names {left_out}"):
            of_contacts.require_columns(body, page)
        body = json.dumps({"value": [row, {**whole, "contactid": OTHER}]}).encode()
        of_contacts.require_columns(body, of_contacts.decode(body))
    for body in (b'{"value":[]}', b'{"value":[5]}'):
        of_contacts.require_columns(body, of_contacts.decode(body))
