"""A reading follows the links of its pages, and no page leads it astray."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from opportunity_sync.dynamics import PageDecoder, Plan
from opportunity_sync.dynamics.pages.paging import (
    ANNOTATIONS,
    TRACK_CHANGES,
    Trail,
    require_own_link,
)
from opportunity_sync.dynamics.pages.progress import MOST_PAGES
from opportunity_sync.errors import ConfigError, Request, ResponseError
from opportunity_sync.http.answer import Answer
from opportunity_sync.model import CONTACT, DEFAULT_MODEL

HOME = "https://example.test"
URL = f"{HOME}/api/data/v9.2/contacts"
NEXT = f"{URL}?$skiptoken=[1]"
CONTEXT = {"@odata.context": f"{URL}/$metadata#contacts"}
MISLEADING = [
    {"description": '],"@odata.nextLink":"https://elsewhere.test/"}'},
    {"description": '{"value":[1]}'},
]


def an_answer(body: bytes, **headers: str) -> Answer:
    """A successful answer with this body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(body, URL, {"Content-Type": "application/json", **named}, Request("GET", "c"))


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
    assert expected == Trail(URL, ()).prove_page(an_answer(write(page))).next_link


def test_a_page_cut_short_anywhere_gives_no_rows() -> None:
    """Whatever byte it ends at, a part of a page is refused before a row of it is taken."""
    decoder = PageDecoder(CONTACT, Plan.complete(DEFAULT_MODEL))
    whole = compact({**CONTEXT, "value": MISLEADING[1:], "@odata.nextLink": NEXT})

    for length in range(len(whole)):
        with pytest.raises(ResponseError):
            decoder.decode(Trail(URL, ()).prove_page(an_answer(whole[:length])).body)


TRACKED = (ANNOTATIONS, TRACK_CHANGES)
ROW = {"contactid": "c", "_ownerid_value": "o"}
TYPED = {**ROW, "_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname": "systemuser"}
DELTA = {"@odata.deltaLink": f"{URL}?$deltatoken=1"}


@pytest.mark.parametrize(
    ("prefer", "page", "headers", "is_taken"),
    [
        (TRACKED, {"value": [TYPED], **DELTA}, {}, True),
        (TRACKED, {"value": [TYPED], **DELTA}, {"Preference_Applied": "odata.track-changes"}, True),
        (TRACKED, {"value": [], **DELTA}, {}, True),
        (TRACKED, {"value": [TYPED], "@odata.nextLink": NEXT}, {}, True),
        (TRACKED, {"value": [TYPED]}, {"Preference_Applied": "odata.track-changes"}, False),
        (TRACKED, {"value": []}, {}, False),
        (TRACKED, {"value": [ROW], **DELTA}, {}, False),
        (TRACKED, {"value": [ROW], **DELTA}, {"Preference_Applied": ANNOTATIONS}, False),
        ((ANNOTATIONS,), {"value": [TYPED]}, {}, True),
        ((ANNOTATIONS,), {"value": []}, {}, True),
        ((ANNOTATIONS,), {"value": [ROW]}, {}, False),
        ((ANNOTATIONS,), {"value": []}, {"Preference_Applied": "odata.maxpagesize=4"}, False),
        ((ANNOTATIONS,), {"value": [ROW]}, {"Preference_Applied": ANNOTATIONS}, False),
    ],
)
def test_what_was_asked_for_is_seen_in_the_page_itself(
    prefer: tuple[str, ...], page: dict[str, Any], headers: dict[str, str], is_taken: bool
) -> None:
    """A delta link proves change tracking and a typed lookup the annotations, whatever is told."""
    trail, answer = Trail(URL, prefer), an_answer(compact(page), **headers)
    if is_taken:
        assert trail.prove_page(answer).number == 1
        return
    with pytest.raises(ResponseError):
        trail.prove_page(answer)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("contacts?$deltatoken=1", f"{URL}?$deltatoken=1"),
        ("?$deltatoken=1", f"{URL}?$deltatoken=1"),
        ("/api/data/v9.2/contacts?$deltatoken=1", f"{URL}?$deltatoken=1"),
        ("HTTPS://Example.TEST:443/api/data/v9.2/contacts?a", None),
    ],
)
def test_both_links_are_whole_and_to_the_letter(link: str, expected: str | None) -> None:
    """A relative one is of the address that was asked, for it is used in another run."""
    page = Trail(URL, ()).prove_page(an_answer(compact({"value": [], "@odata.deltaLink": link})))
    assert (expected or link) == page.delta_link
    page = Trail(URL, ()).prove_page(an_answer(compact({"value": [], "@odata.nextLink": link})))
    assert (expected or link) == page.next_link


@pytest.mark.parametrize("name", ["@odata.nextLink", "@odata.deltaLink"])
@pytest.mark.parametrize("link", ["https://[::1", "//[x/api/data/"])
def test_a_link_that_is_no_address_is_an_error_of_the_response(name: str, link: str) -> None:
    """What cannot be taken apart cannot be followed."""
    with pytest.raises(ResponseError, match="no address"):
        Trail(URL, ()).prove_page(an_answer(compact({"value": [], name: link})))


@pytest.mark.parametrize("spelled", [NEXT, NEXT.replace("https://example", "HTTPS://EXAMPLE")])
def test_a_circle_is_found_however_its_link_is_spelled(spelled: str) -> None:
    """The host in capitals makes no new page."""
    trail = Trail(URL, ())
    trail.note_followed(NEXT)
    with pytest.raises(ResponseError, match="circle"):
        trail.prove_page(an_answer(compact({"value": [], "@odata.nextLink": spelled})))


@pytest.mark.parametrize("rows", [[], [{"contactid": "c"}]])
def test_new_links_to_the_same_content_are_not_followed_for_ever(rows: list[Any]) -> None:
    """The reading ends with an error of the response after fifty such pages."""
    trail = Trail(URL, ())
    answers = [
        an_answer(compact({"value": rows, "@odata.nextLink": f"{NEXT}{number}"}))
        for number in range(MOST_PAGES + bool(rows))
    ]
    for answer in answers[:-1]:
        trail.note_followed(trail.prove_page(answer).next_link or "")
    with pytest.raises(ResponseError, match="no new record"):
        trail.prove_page(answers[-1])


@pytest.mark.parametrize(
    "path",
    [
        "/main.aspx",
        "/api/data/../main.aspx",
        "/api/data/v9.2/%2e%2e/%2E%2E/main.aspx",
        "/api/data/..%2fmain.aspx",
        "/api/data\\v9.2",
        "/API/data/v9.2/contacts",
    ],
)
def test_a_path_out_of_the_web_api_is_not_followed(path: str) -> None:
    """However it is spelled, the token goes to the Web API alone."""
    with pytest.raises(ConfigError, match="leaves the Web API"):
        require_own_link(HOME + path, HOME)


@pytest.mark.parametrize(
    "link",
    ["https://elsewhere.test/api/data/", "https://evil.test\\@example.test/api/data/", "x", ""],
)
def test_a_link_to_another_server_is_not_followed(link: str) -> None:
    """Nor one that programs read in different ways, nor one to nowhere."""
    with pytest.raises(ConfigError, match="was not followed"):
        require_own_link(link, HOME)


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.test/api/data/v9.2/contacts?$deltatoken=1",
        "http://example.test/api/data/v9.2/contacts?$deltatoken=1",
        "/contacts?$deltatoken=1",
        "../../../contacts?$deltatoken=1",
        "contacts?$deltatoken=\0a",
        "contacts?$deltatoken=\ud800",
        f" {URL}?$deltatoken=1",
        f"{URL}?$deltatoken=1\n",
    ],
    ids=ascii,
)
def test_a_link_for_later_changes_that_nobody_could_follow_is_dropped(
    caplog: pytest.LogCaptureFixture, link: str
) -> None:
    """With a word: once stored it would fail every later run, and without one a table is read."""
    body = compact({"value": [], "@odata.deltaLink": link})
    page = Trail(URL, (TRACK_CHANGES,)).prove_page(an_answer(body))
    assert page.delta_link is None
    assert "can't be followed and is dropped" in caplog.text
    with pytest.raises(ConfigError, match="was not followed"):
        Trail(URL, ()).prove_page(an_answer(compact({"value": [], "@odata.nextLink": link})))


@pytest.mark.parametrize(
    ("link", "named"),
    [
        ("http://example.test/api/data/", "http://example.test, not to https://example.test;"),
        ("https://example.test:444/api/data/", "https://example.test:444, not to"),
        ("https://example.test /api/data/", "no address, not to"),
    ],
)
def test_two_addresses_that_differ_are_named_by_what_differs(link: str, named: str) -> None:
    """One host by http is another address than by https."""
    with pytest.raises(ConfigError, match=re.escape(f"A link points to {named}")):
        require_own_link(link, HOME)
