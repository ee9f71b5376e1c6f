"""Bytes of a page become typed columns, and one bad row costs only itself."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opportunity_sync.dynamics import EntityPlan, PageDecoder, Plan, staged_schema
from opportunity_sync.entities import CONNECTION_ROLE, CONTACT, ENTITIES, OPPORTUNITY, Entity
from opportunity_sync.errors import ResponseError

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


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.name)
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
        ({"actualclosedate": "2026-02-03T00:00:00Z"}, "actualclosedate"),
        ({"actualclosedate": "2026-02-30"}, "actualclosedate"),
        ({"_customerid_value": OTHER}, "customerid"),
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


def test_a_number_that_would_fill_memory_is_refused() -> None:
    """An exponent of a billion is not written out."""
    text = an_opportunity().replace('"unasked"', '"estimatedvalue": 1e999999999, "unasked"')
    page = decoder().decode(a_page(text))
    assert (page.table.num_rows, len(page.refused)) == (0, 1)


def test_a_row_that_is_no_object_is_refused() -> None:
    """Even then the rest of the page is good."""
    page = decoder().decode(a_page("[]", an_opportunity(), "null"))
    assert (page.table.num_rows, len(page.refused)) == (1, 2)


@pytest.mark.parametrize("name", [None, ""])
def test_a_role_without_a_name_is_refused(name: str | None) -> None:
    """Its name is the key of every role it gives."""
    row = json.dumps({"connectionroleid": ID, "versionnumber": 1, "name": name, "category": 1000})
    (error,) = decoder(CONNECTION_ROLE).decode(a_page(row)).refused
    assert (error.record_id, error.field) == (ID, "name")


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
        b'{"value":[{"opportunityid":"\xff"}]}',
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
