"""The envelope of a page: its link is found without reading the rows, or else by reading them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opportunity_sync.dynamics import PageDecoder, Plan
from opportunity_sync.dynamics.exchange import Answer
from opportunity_sync.dynamics.paging import Trail
from opportunity_sync.entities import CONTACT, ENTITIES
from opportunity_sync.errors import Request, ResponseError

URL = "https://example.test/api/data/v9.2/contacts"
NEXT = f"{URL}?$skiptoken=[1]"
CONTEXT = {"@odata.context": f"{URL}/$metadata#contacts"}
MISLEADING = [
    {"description": '],"@odata.nextLink":"https://elsewhere.test/"}'},
    {"description": '{"value":[1]}'},
]


def an_answer(body: bytes) -> Answer:
    """A successful answer with this body."""
    return Answer(body, URL, {"Content-Type": "application/json"}, Request("GET", "contacts"))


def compact(page: dict[str, Any]) -> bytes:
    """The page as Dataverse writes it."""
    return json.dumps(page, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        pytest.param({**CONTEXT, "value": MISLEADING}, None, id="last page"),
        pytest.param(
            {**CONTEXT, "value": MISLEADING, "@odata.nextLink": NEXT}, NEXT, id="link after rows"
        ),
        pytest.param(
            {**CONTEXT, "@odata.nextLink": NEXT, "value": MISLEADING}, NEXT, id="link before rows"
        ),
        pytest.param({"value": [], "@odata.nextLink": NEXT}, NEXT, id="no rows"),
    ],
)
@pytest.mark.parametrize("write", [compact, lambda page: json.dumps(page, indent=1).encode()])
def test_the_next_link_is_the_page_s_own(page: dict[str, Any], expected: str, write: Any) -> None:
    """Neither brackets in texts nor in links, nor the place of the link, lead it astray."""
    assert expected == Trail(URL, ()).page(an_answer(write(page))).next_link


def test_a_page_cut_short_anywhere_gives_no_rows() -> None:
    """Whatever byte it ends at, a part of a page is refused before a row of it is taken."""
    decoder = PageDecoder(CONTACT, Plan.complete(ENTITIES))
    whole = compact({**CONTEXT, "value": MISLEADING[1:], "@odata.nextLink": NEXT})

    for length in range(len(whole)):
        with pytest.raises(ResponseError):
            decoder.decode(Trail(URL, ()).page(an_answer(whole[:length])).body)
