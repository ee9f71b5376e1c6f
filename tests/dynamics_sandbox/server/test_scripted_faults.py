"""Each scripted fault does on the wire what it says, to the requests it is meant for only."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from dynamics_sandbox.server.scripted_faults import FaultScript
    from sandbox_caller import Caller

pytestmark = pytest.mark.usefixtures("contacts")
SIZE = "odata.maxpagesize=4"
NAMES = list("ABCDEFGHI")


@pytest.fixture
def faults(caller: Caller) -> FaultScript:
    """The script of a sandbox at which the caller has signed in."""
    caller.sign_in()
    return caller.sandbox.faults


@pytest.mark.parametrize("wait", [7, 0.5, "Tue, 03 Feb 2026 04:05:09 GMT", None])
def test_throttling_is_429_with_the_wait(
    caller: Caller, faults: FaultScript, wait: float | str | None
) -> None:
    """In Dataverse's shape; seconds, fractions, dates or no header at all."""
    faults.add("throttle", retry_after=wait)
    answer = caller.get("contacts")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "0x80072322")
    assert (None if wait is None else str(wait)) == answer.headers.get("Retry-After")
    assert caller.get("contacts").status_code == 200


def test_any_status_code_and_body_can_be_served(caller: Caller, faults: FaultScript) -> None:
    """Dataverse's error with a chosen code, or a gateway's page."""
    faults.add("status", status=500, code="0x80044151")
    faults.add("status", nth=2, status=502, body="<html>Bad Gateway</html>")
    first, second = caller.get("contacts"), caller.get("contacts")
    assert (first.status_code, first.json()["error"]["code"]) == (500, "0x80044151")
    assert (second.status_code, second.headers["Content-Type"]) == (502, "text/html")


def test_a_dropped_connection_gives_no_answer(caller: Caller, faults: FaultScript) -> None:
    """The client sees a reset, and the next request works."""
    faults.add("drop_connection")
    with pytest.raises(requests.exceptions.ConnectionError):
        caller.get("contacts")
    assert caller.get("contacts").status_code == 200
    assert [request.status for request in caller.sandbox.requests.all("contacts")] == [0, 200]


def test_a_truncated_body_ends_before_its_length(caller: Caller, faults: FaultScript) -> None:
    """The connection ends in the middle."""
    faults.add("truncate")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        caller.get("contacts")


def test_truncated_json_is_well_framed(caller: Caller, faults: FaultScript) -> None:
    """Status and length are right, only the JSON is cut."""
    faults.add("truncate_json")
    answer = caller.get("contacts")
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.content)


def test_a_sign_in_page_looks_like_success(caller: Caller, faults: FaultScript) -> None:
    """HTML with status 200."""
    faults.add("sign_in_page")
    answer = caller.get("contacts")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_a_stall_delays_only_the_request_it_strikes(caller: Caller, faults: FaultScript) -> None:
    """Other requests pass it by."""
    faults.add("stall", "accounts", seconds=3)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(caller.get, "accounts")
        while not faults.all()[0]["struck"]:
            time.sleep(0.01)
        assert caller.get("contacts").status_code == 200
        assert slow.result().status_code == 200
    accounts = caller.sandbox.requests.all("accounts")[0]
    contacts = caller.sandbox.requests.all("contacts")[0]
    assert accounts.started < contacts.started < contacts.ended < accounts.ended


def test_a_stalled_request_does_not_hold_up_the_end(caller: Caller, faults: FaultScript) -> None:
    """The sandbox stops at once, whatever is under way."""
    faults.add("stall", seconds=300)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(caller.get, "contacts")
        while not faults.all()[0]["struck"]:
            time.sleep(0.01)
        begun = time.monotonic()
        caller.sandbox.stop()
        assert time.monotonic() - begun < 60
        assert isinstance(waiting.exception(), requests.exceptions.ConnectionError)


def test_revoked_tokens_end_in_401(caller: Caller, faults: FaultScript) -> None:
    """From the struck request on, until someone signs in again."""
    faults.add("revoke_tokens", nth=2)
    assert [caller.get("contacts").status_code for _ in range(3)] == [200, 401, 401]
    caller.sign_in()
    assert caller.get("contacts").status_code == 200


def test_a_repeated_next_link_leads_to_the_same_page(caller: Caller, faults: FaultScript) -> None:
    """The page after the first links to itself."""
    faults.add("repeat_next_link", page=2)
    first = caller.read("contacts", SIZE)
    second = caller.read(first["@odata.nextLink"], SIZE)
    assert first["@odata.nextLink"] == second["@odata.nextLink"]


def test_a_foreign_next_link_names_another_host(caller: Caller, faults: FaultScript) -> None:
    """With everything else as it should be."""
    faults.add("foreign_next_link", "contacts")
    link = caller.read("contacts", SIZE)["@odata.nextLink"]
    assert link.startswith("https://elsewhere.example/api/data/v9.2/contacts?$skiptoken=")


@pytest.mark.parametrize("page", [1, 2])
@pytest.mark.parametrize("order", ["", "&$orderby=modifiedon desc,contactid desc"])
def test_an_empty_page_goes_on_where_it_was(
    caller: Caller, faults: FaultScript, page: int, order: str
) -> None:
    """No rows, a link that is new, and after it every row once."""
    faults.add("empty_page", "contacts", page=page)
    pages = caller.pages(f"contacts?$select=fullname{order}", SIZE)
    names = [[row["fullname"] for row in page["value"]] for page in pages]
    assert names[page - 1] == []
    assert (NAMES[::-1] if order else NAMES) == list(chain.from_iterable(names))
    links = [item.get("@odata.nextLink") for item in pages]
    assert len(links) == len(set(links))


def test_a_duplicate_row_is_on_two_pages(caller: Caller, faults: FaultScript) -> None:
    """The last of one is the first of the next."""
    faults.add("duplicate_row", "contacts", page=1)
    names = caller.values("contacts?$select=fullname", "fullname", SIZE)
    assert list("ABCDDEFGHI") == names


def test_lost_annotations_are_not_confirmed_either(
    caller: Caller, faults: FaultScript, contacts: list[str]
) -> None:
    """The page comes as if nothing had been asked."""
    organisation = caller.sandbox.organisation
    organisation.update("contacts", contacts[0], {"_parentcustomerid_value": contacts[1]})
    faults.add("lose_annotations")
    asked = 'odata.include-annotations="*"'
    path = f"contacts({contacts[0]})?$select=_parentcustomerid_value"
    lost, whole = caller.get(path, asked), caller.get(path, asked)
    assert "lookuplogicalname" not in lost.text
    assert "lookuplogicalname" in whole.text


def test_a_tracked_pass_can_end_without_any_link(caller: Caller, faults: FaultScript) -> None:
    """The old bug of the last page."""
    faults.add("lose_delta_link", "contacts", page=3)
    last = caller.pages("contacts", f"odata.track-changes,{SIZE}")[-1]
    assert not [name for name in last if name.endswith("Link")]


def test_an_expired_delta_token_can_be_had_at_once(caller: Caller, faults: FaultScript) -> None:
    """Without waiting seven days."""
    faults.add("expire_delta_token", "$deltatoken")
    link = caller.read("contacts", "odata.track-changes")["@odata.deltaLink"]
    assert caller.refusal(link)[1] == "0x80044352"
    assert caller.read(link)["value"] == []


def test_a_fault_strikes_from_its_nth_match_and_as_often_as_told(
    caller: Caller, faults: FaultScript
) -> None:
    """Other tables are not counted."""
    faults.add("status", "contacts", nth=2, times=2)
    seen = []
    for _ in range(4):
        assert caller.get("accounts?$filter=contains(name,'contacts')").status_code == 200
        seen.append(caller.get("contacts").status_code)
    assert seen == [200, 503, 503, 200]
    assert (faults.all()[0]["hits"], faults.all()[0]["struck"]) == (4, 2)
    faults.clear()
    assert faults.all() == []


def test_the_token_service_can_fail_as_well(caller: Caller, faults: FaultScript) -> None:
    """Its requests are matched by their path."""
    faults.add("status", "/oauth2/v2.0/token", status=503, body="busy")
    with pytest.raises(requests.exceptions.JSONDecodeError):
        caller.sign_in()
    assert caller.sign_in().status_code == 200


def test_a_fault_of_no_known_kind_is_refused_at_once(faults: FaultScript) -> None:
    """A mistyped fault must not pass a test."""
    with pytest.raises(ValueError, match="explode"):
        faults.add("explode")
