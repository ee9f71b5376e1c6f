"""What stands around the rows is read whole, and believed only where it leaves no doubt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opportunity_sync.dynamics import PageDecoder, Plan
from opportunity_sync.dynamics.pages.envelope import (
    Envelope,
    EnvelopeError,
    ParseRows,
    read_envelope,
    read_object,
)
from opportunity_sync.dynamics.pages.paging import Trail
from opportunity_sync.errors import Request, ResponseError
from opportunity_sync.http.answer import Answer
from opportunity_sync.model import CONTACT, DEFAULT_MODEL
from raw_proxy import answer, chunk, head
from scripted_dataverse import ScriptedServer

if TYPE_CHECKING:
    from raw_proxy import RawProxy

URL = "https://example.test/api/data/v9.2/contacts"
ANY_ROWS = msgspec.json.Decoder(list)
ROWS = b'"value":[{"contactid":"c1"},{"description":"]"}]'

UNBELIEVABLE = [
    b'{"value":[1],"value":[2]}',
    b'{"v\\u0061lue":[1],"value":[2]}',
    b'{"value":[1],"v\\u0061lue":[2]}',
    b'{"value":[],"@odata.nextLink":"a","@odata.nextLink":"b"}',
    b'{"@odata.nextLink":"a","value":[],"@odata.next\\u004cink":"a"}',
    b'{"value":[],"@odata.deltaLink":"a","@odata.deltaLink":"a"}',
    b'{"value":[1],"error":{"code":"0x80040216","message":"m"}}',
    b'{"error":{"code":"","message":"m"},"value":[1]}',
    b'{"value":[1],"odata.error":{"code":"0x0"}}',
    b'{"value":[1],"@odata.error":"m"}',
    b'{"value":[1],"Error":{"code":"0x0"}}',
    b'{"value":[1],"value@odata.error":{}}',
    b'{"error":{"code":"0x0"}}',
    b'{"value":[1],"error":null}',
    b'{"value":[],"@odata.nextLink":null}',
    b'{"value":[],"@odata.nextLink":""}',
    b'{"value":[],"@odata.nextLink":" "}',
    b'{"value":[],"@odata.nextLink":7}',
    b'{"value":[],"@odata.nextLink":["u"]}',
    b'{"value":[],"@odata.nextLink":{}}',
    b'{"value":[],"@odata.deltaLink":null}',
    b'{"value":[],"@odata.deltaLink":true}',
    b'{"value":[],"@odata.nextlink":"u"}',
    b'{"value":[],"@nextLink":"u"}',
    b'{"value":[],"odata.nextLink":"u"}',
    b'{"value":[],"value@odata.nextLink":"u"}',
    b'{"value":[],"@odata.nextLink":"u","@odata.deltaLink":"v"}',
    b'{"value":null}',
    b'{"value":{}}',
    b'{"value":"[]"}',
    b'{"value":7}',
    b'{"Value":[]}',
    b"{}",
]
NO_PAGE = [
    b"",
    b"null",
    b"[]",
    b"7",
    b'"x"',
    b"{",
    b'{"value":[]',
    b'{"value":[]}}',
    b'{"value":[}]',
]


def an_answer(body: bytes) -> Answer:
    """A successful answer with this body."""
    return Answer(body, URL, {"Content-Type": "application/json"}, Request("GET", "contacts"))


@pytest.mark.parametrize("body", UNBELIEVABLE, ids=str)
def test_an_envelope_that_leaves_a_doubt_is_no_page(body: bytes) -> None:
    """Neither the reading nor the decoder takes a row of it, and both say that it is the answer."""
    for parse_rows in (None, parse_any):
        with pytest.raises(EnvelopeError):
            read_envelope(body, parse_rows)
        with pytest.raises(ResponseError):
            Trail(URL, (), parse_rows).prove_page(an_answer(body))
    with pytest.raises(ResponseError):
        PageDecoder(CONTACT, Plan.complete(DEFAULT_MODEL)).decode(body)


@pytest.mark.parametrize("body", NO_PAGE, ids=str)
def test_what_is_not_whole_is_no_page(body: bytes) -> None:
    """Odd JSON is an error of the response, never an error of ours."""
    for parse_rows in (None, parse_any):
        with pytest.raises(ResponseError):
            Trail(URL, (), parse_rows).prove_page(an_answer(body))
    with pytest.raises(ResponseError):
        PageDecoder(CONTACT, Plan.complete(DEFAULT_MODEL)).decode(body)


@pytest.mark.parametrize(
    "beside", [b'"@x.y":[]', b'"@x.y":{"value":[]}', b'"@x":"]}"', b'"n":[[]]']
)
@pytest.mark.parametrize("order", ["rows first", "rows last"])
def test_members_that_nobody_asked_for_hide_no_link(beside: bytes, order: str) -> None:
    """The link is found whatever brackets stand behind the rows or before them."""
    members = [ROWS, b'"@odata.nextLink":"u"', beside]
    if order == "rows last":
        members.reverse()
    for body in (b"{%s}" % b",".join(members), b" {\n%s\n} " % b" ,\n".join(members)):
        for parse_rows in (None, parse_any):
            envelope = read_envelope(body, parse_rows)
            assert envelope.next_link == "u"
            assert len(envelope.split_rows()) == 2


MEMBERS = [
    b'"value":[]',
    b'"value":[{"contactid":"c1"}]',
    b'"value": [{"a":"]"},{"b":[1,2]}]',
    b'"value":[NaN]',
    b'"value":[1] ',
    b'"v\\u0061lue":[]',
    b'"@odata.context":"x\\"value\\":[1]"',
    b'"@x":{"value":[7]}',
    b'"@x":[{"value":[7]}]',
    b'"@x":"]"',
    b'"@odata.nextLink":"u"',
    b'"@odata.nextLink":"u]"',
    b'"@odata.deltaLink":"v"',
    b'"@odata.count":5',
    b'"error":{"code":"1"}',
    b'"value":[1}',
]
BODIES = st.lists(st.sampled_from(MEMBERS), max_size=4).map(lambda some: b"{%s}" % b",".join(some))


@settings(deadline=None)
@given(BODIES)
def test_rows_that_are_parsed_at_once_change_no_verdict(body: bytes) -> None:
    """Whatever members an answer has: the short way finds what the long way finds, or refuses."""
    assert verdict(body, parse_any) == verdict(body, None)


def test_a_page_as_they_are_is_read_once() -> None:
    """Its rows come parsed; a page whose rows are no good comes without."""
    body = b'{"@odata.context":"c","value":[{"a":1}],"@odata.nextLink":"u"}'
    assert read_envelope(body, parse_any).parsed == [{"a": 1}]
    assert read_envelope(body.replace(b"1", b"NaN"), parse_any).parsed is None


def test_a_sample_tells_rows_apart() -> None:
    """The same rows behind another link are the same; no rows have none."""
    pages = [b'{"value":[%s],"@odata.nextLink":"%d"}' % page for page in (
        (b"1,2", 1), (b"1,2", 2), (b"1,3", 3), (b" ", 4), (b"", 5),
    )]  # fmt: skip
    one, again, other, *none = (read_envelope(page).sample for page in pages)
    assert one == again != other
    assert none == [None, None]


def parse_any(rows: memoryview) -> list[Any]:
    """Parse rows of whatever shape."""
    parsed: list[Any] = ANY_ROWS.decode(rows)
    return parsed


def verdict(body: bytes, parse_rows: ParseRows | None) -> object:
    """Rows and links of an answer, or the kind of error that it is."""
    try:
        envelope = read_envelope(body, parse_rows)
    except EnvelopeError as error:
        return str(error)
    except ValueError:
        return "no whole JSON"
    return envelope.rows.strip(), envelope.next_link, envelope.delta_link


def test_the_code_of_an_error_is_named() -> None:
    """It is what Microsoft's support asks for; its text is not repeated."""
    body = b'{"value":[],"error":{"code":"0x80040216","message":"Ann Example failed"}}'
    with pytest.raises(ResponseError, match="0x80040216") as raised:
        Trail(URL, ()).prove_page(an_answer(body))
    assert "Ann" not in str(raised.value)


@pytest.mark.parametrize("nested", [b"[" * 100_000 + b"]" * 100_000])
@pytest.mark.parametrize("shape", [b'{"value":[],"x":%s}', b'{"value":%s,"error":1}', b"%s"])
def test_brackets_without_end_are_an_error_of_the_response(nested: bytes, shape: bytes) -> None:
    """They exhaust the parser and not the sync."""
    with pytest.raises(ResponseError):
        Trail(URL, ()).prove_page(an_answer(shape % nested))


@pytest.mark.parametrize(
    "rows",
    [
        b"[1}",
        b"[1 {}]",
        b"[{}{}]",
        b"[1,]",
        b"[,]",
        b"[,1]",
        b'["a]',
        b"[1] [2]",
        b"[1],2",
        b"",
        b"1",
    ],
    ids=str,
)
def test_rows_that_no_bracket_tells_apart_are_no_rows(rows: bytes) -> None:
    """Where two rows may have run into each other, nothing of the page is taken."""
    with pytest.raises(ValueError, match="brackets"):
        Envelope(rows, slice(0, len(rows)), None, None).split_rows()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"a":1', "whole"),
        (b"null", "no object"),
        (b"[]", "no object"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":1,"a":2}', "twice"),
        (b'{"x":{"a":1,"\\u0061":2}}', "twice"),
        (b'{"a":1,"error":{"code":"0x1"}}', "code 0x1"),
        (b'{"a":1,"odata.error":{}}', "error"),
        (b'{"value":[],"@odata.nextLink":"u"}', "goes on"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "whole"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_answer_that_is_no_page_is_read_as_carefully(body: bytes, problem: str) -> None:
    """Metadata, `WhoAmI` and single records too come whole or as an error of the response."""
    with pytest.raises(ResponseError, match=problem):
        read_object(an_answer(body))


def test_an_answer_that_is_no_page_is_its_object() -> None:
    """Characters that no store could hold are replaced on the way."""
    body = b'\xef\xbb\xbf{"a":"x\xff","b":{"@x@odata.nextLink":"u"},"c":"\\ud800"}'
    expected = {"a": "x\ufffd", "b": {"@x@odata.nextLink": "u"}, "c": "\ufffd"}
    assert expected == read_object(an_answer(body))


REAL_ROW = b'{"contactid":"5d1e0000-0000-4000-8000-0000000000f1","versionnumber":1,"lastname":"%s"}'
SPOILT: dict[str, tuple[bytes, dict[str, str], bool]] = {
    "cut in a row": (b'{"value":[{"contactid":"5d1e', {}, False),
    "cut behind the rows": (b'{"value":[]', {}, False),
    "error behind the rows": (b'{"value":[],"error":{"code":"0x1"}}', {}, False),
    "other encoding": ('{"value":[]}'.encode("utf-16"), {}, False),
    "other encoding that is told": (
        b'{"value":[]}',
        {"Content-Type": "application/json; charset=iso-8859-1"},
        False,
    ),
    "byte order mark": (b"\xef\xbb\xbf" + b'{"value":[' + REAL_ROW % b"A" + b"]}", {}, True),
    "a byte that is no UTF-8": (b'{"value":[' + REAL_ROW % b"A\xff" + b"]}", {}, True),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_bytes_on_the_wire_end_in_rows_or_in_an_error(raw: RawProxy, fault: str) -> None:
    """A client of a server that sends such bytes never takes them for an empty table."""
    body, headers, is_taken = SPOILT[fault]
    raw.say(answer(body, headers=headers))
    client = ScriptedServer(raw.url).client(request_attempts=1)
    if is_taken:
        (page,) = client.pages("contacts")
        assert (
            PageDecoder(CONTACT, Plan.complete(DEFAULT_MODEL)).decode(page.body).table.num_rows == 1
        )
        return
    with pytest.raises(ResponseError):
        list(client.pages("contacts"))


def test_chunks_cut_short_are_no_end(raw: RawProxy) -> None:
    """A page that is whole JSON in a body that is not whole is asked for again."""
    headers = {
        "Content-Type": "application/json",
        "Transfer-Encoding": "chunked",
    }
    raw.say(head(headers=headers), chunk(b'{"value":[]}'))
    raw.say(
        head(headers=headers),
        chunk(json.dumps({"value": [{"contactid": "c"}]}).encode()),
        chunk(b""),
    )
    (page,) = ScriptedServer(raw.url).client().pages("contacts")
    assert b"contactid" in page.body
    assert len(raw.lines()) == 2
