"""What an answer claims to be is looked at before a byte of it is believed."""

from __future__ import annotations

import pytest

from opportunity_sync.errors import Request, ResponseError
from opportunity_sync.http.answer import Answer


def an_answer(kind: str) -> Answer:
    """An answer of this content type."""
    url = "https://example.test/api/data/v9.2/contacts"
    return Answer(b'{"value":[]}', url, {"Content-Type": kind}, Request("GET", "contacts"))


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8", "us-ascii"])
def test_only_utf8_is_read(charset: str) -> None:
    """In another encoding the texts would be read as something else, and nobody would notice."""
    kind = f"application/json; odata.metadata=minimal; charset={charset}; IEEE754Compatible=false"
    an_answer(kind).require_json()
    for other in (kind.replace(charset, "iso-8859-1"), kind.replace(charset, '"UTF-16"')):
        with pytest.raises(ResponseError, match="encoding"):
            an_answer(other).require_json()


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON", "text/JSON; Charset=UTF-8"]
)
def test_the_type_of_an_answer_is_the_same_in_capitals(kind: str) -> None:
    """So is a page of HTML."""
    an_answer(kind).require_json()
    with pytest.raises(ResponseError, match="HTML page"):
        an_answer("Text/HTML").require_json()
