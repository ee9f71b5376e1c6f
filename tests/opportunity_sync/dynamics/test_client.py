"""Every way a reading can be disturbed ends in all rows, exactly once, or in an error."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from opportunity_sync.dynamics.client import IDS_PER_REQUEST
from opportunity_sync.errors import (
    AuthenticationError,
    ConfigError,
    PrivilegeError,
    QueryError,
    ResponseError,
    ThrottledError,
    TransientError,
)
from opportunity_sync.model import CONTACT
from scripted_dataverse import Reply, connection_to, keys_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dynamics_sandbox import Organisation, Sandbox
    from opportunity_sync.dynamics import DataverseClient, DynamicsConnection, Page
    from scripted_dataverse import ScriptedServer

QUERY = {"$select": "contactid,fullname,_parentcustomerid_value"}


@pytest.fixture
def contacts(organisation: Organisation) -> set[str]:
    """Ten contacts of one account: three pages of four."""
    account = organisation.create("accounts", {"name": "A"})
    row = {"_parentcustomerid_value": account}
    return {organisation.create("contacts", {**row, "lastname": f"N{n}"}) for n in range(10)}


def test_all_pages_are_read_in_order(client: DataverseClient, contacts: set[str]) -> None:
    """The reading ends where there is no link, and pages tell where they are from."""
    pages = list(client.pages("contacts", params=QUERY))
    assert [page.number for page in pages] == [1, 2, 3]
    assert contacts == set(keys_of(pages))
    assert [page.next_link for page in pages[:-1]] == [page.url for page in pages[1:]]
    assert pages[-1].next_link is None
    assert pages[0].server_date is not None
    assert pages[0].request_id is not None


def test_a_reading_resumes_from_a_link(client: DataverseClient, contacts: set[str]) -> None:
    """The link kept with the last complete part brings just the rest."""
    first, *_ = pages = list(client.pages("contacts", params=QUERY))
    assert first.next_link is not None
    rest = keys_of(client.pages(first.next_link))
    assert keys_of(pages[1:]) == rest
    assert contacts == {*keys_of([first]), *rest}


PASSING_FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("throttle", {"retry_after": "0.05"}),
    ("status", {"status": 503, "body": ""}),
    ("status", {"status": 502, "body": "<html>Bad Gateway</html>"}),
    ("status", {"status": 500, "code": "0x80044151"}),
    ("drop_connection", {}),
    ("truncate", {}),
    ("truncate_json", {}),
    ("sign_in_page", {}),
    ("stall", {"seconds": 1.5}),
    ("revoke_tokens", {}),
    ("lose_annotations", {}),
]


@pytest.mark.parametrize(
    ("kind", "options", "page"),
    [
        *((kind, options, page) for kind, options in PASSING_FAULTS for page in (1, 2, 3)),
        ("repeat_next_link", {}, 1),
        ("repeat_next_link", {}, 2),
    ],
)
def test_a_passing_fault_costs_no_row(
    client_of: Callable[..., DataverseClient],
    sandbox: Sandbox,
    contacts: set[str],
    kind: str,
    options: dict[str, Any],
    page: int,
) -> None:
    """The page is asked for again, and every row comes exactly once."""
    client = client_of(connection_to(sandbox), request_timeout_seconds=1)
    fault = sandbox.faults.add(kind, "contacts", page=page, **options)
    keys = keys_of(client.pages("contacts", params=QUERY))
    assert fault.struck == 1
    assert sorted(contacts) == sorted(keys)
    assert client.counters.retries >= 1


@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [
        ("throttle", {"retry_after": "0.01"}, ThrottledError),
        ("status", {"status": 503}, TransientError),
        ("drop_connection", {}, TransientError),
        ("truncate", {}, TransientError),
        ("truncate_json", {}, ResponseError),
        ("sign_in_page", {}, ResponseError),
        ("repeat_next_link", {}, ResponseError),
        ("lose_annotations", {}, ResponseError),
        ("foreign_next_link", {}, ConfigError),
        ("status", {"status": 400, "code": "0x80060888"}, QueryError),
        ("status", {"status": 403, "code": "0x80040220"}, PrivilegeError),
        ("status", {"status": 401, "body": ""}, AuthenticationError),
    ],
)
def test_a_lasting_fault_is_an_error_and_never_an_end(
    client_of: Callable[..., DataverseClient],
    sandbox: Sandbox,
    contacts: set[str],
    kind: str,
    options: dict[str, Any],
    error: type[Exception],
) -> None:
    """The pages before it were whole; then the reading fails with the cause."""
    client = client_of(connection_to(sandbox), page_timeout_seconds=2)
    sandbox.faults.add(kind, "contacts", page=2, times=99, **options)
    read: list[Page] = []
    with pytest.raises(error) as raised:
        read.extend(client.pages("contacts", params=QUERY))
    assert len(keys_of(read)) in {0, 4}
    assert len(contacts) == 10
    assert "Next step" in str(raised.value)


def test_what_cannot_heal_is_asked_once(client: DataverseClient, sandbox: Sandbox) -> None:
    """A refused query is not repeated: that would only cost requests."""
    fault = sandbox.faults.add("status", "contacts", times=9, status=400, code="0x80060888")
    with pytest.raises(QueryError):
        list(client.pages("contacts", params=QUERY))
    assert fault.struck == 1


def test_an_empty_page_with_a_link_is_no_end(
    client: DataverseClient, sandbox: Sandbox, contacts: set[str]
) -> None:
    """Dataverse may send a page without rows in the middle."""
    sandbox.faults.add("empty_page", "contacts", page=2)
    pages = list(client.pages("contacts", params=QUERY))
    assert contacts == set(keys_of(pages))


def test_a_duplicated_row_is_passed_on_as_it_came(
    client: DataverseClient, sandbox: Sandbox, contacts: set[str]
) -> None:
    """The client hides nothing: the load makes rows unique by key."""
    sandbox.faults.add("duplicate_row", "contacts", page=1)
    keys = keys_of(client.pages("contacts", params=QUERY))
    assert contacts == set(keys)
    assert len(keys) == 11


def test_retry_after_is_obeyed_and_every_wait_is_said(
    client: DataverseClient, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the seconds and the reason, and the counters add up."""
    sandbox.faults.add("throttle", "contacts", retry_after="0.4")
    started = time.monotonic()
    with caplog.at_level(logging.WARNING):
        list(client.pages("contacts", params=QUERY))
    assert time.monotonic() - started >= 0.4
    assert "Waiting 0.4 s before attempt 2 of 3: The limit of" in caplog.text
    assert pytest.approx(client.counters.waited_seconds) == 0.4


def test_a_wait_longer_than_the_page_may_take_is_not_begun(server: ScriptedServer) -> None:
    """The scheduler is told how long instead of a worker being blocked."""
    server.say({"error": {"code": "0x80072322", "message": "busy"}}, 429, Retry_After="600")
    with pytest.raises(ThrottledError, match="Given up after trying once") as raised:
        server.client(page_timeout_seconds=5).get("contacts")
    assert raised.value.retry_after == 600
    assert "600 s of rest" in raised.value.next_step


def test_a_stall_meets_the_page_time_out(
    client_of: Callable[..., DataverseClient], sandbox: Sandbox
) -> None:
    """It is bounded by the page's time, however often it is tried."""
    sandbox.faults.add("stall", "contacts", times=99, seconds=60)
    client = client_of(
        connection_to(sandbox), request_timeout_seconds=0.3, page_timeout_seconds=0.8
    )
    started = time.monotonic()
    with pytest.raises(TransientError):
        list(client.pages("contacts", params=QUERY))
    assert time.monotonic() - started < 30


def test_a_body_that_trickles_meets_the_page_time_out(server: ScriptedServer) -> None:
    """Each byte is in time, the page is not: no read time-out ever sees it."""
    server.replies.append(Reply(b'{"value":[]}' + b" " * 200, pause=0.4))
    started = time.monotonic()
    with pytest.raises(TransientError, match="did not arrive whole"):
        list(server.client(page_timeout_seconds=0.5).pages("contacts"))
    assert time.monotonic() - started < 30


def test_the_token_is_asked_for_once(
    client: DataverseClient, sandbox: Sandbox, contacts: set[str]
) -> None:
    """All pages share it; a refused one is replaced exactly once."""
    list(client.pages("contacts", params=QUERY))
    assert len(sandbox.requests.all("/oauth2/v2.0/token")) == 1
    sandbox.faults.add("revoke_tokens", "contacts")
    assert contacts == set(keys_of(client.pages("contacts", params=QUERY)))
    assert len(sandbox.requests.all("/oauth2/v2.0/token")) == 2


def test_no_cookie_goes_back(server: ScriptedServer, connection: DynamicsConnection) -> None:
    """An affinity cookie would pin every request to one server."""
    from opportunity_sync.http.session import StrictSession

    assert connection.verify
    server.say(Set_Cookie="ARRAffinity=abc; Path=/")
    with StrictSession(None) as session:
        for _ in range(2):
            session.get(f"{server.url}/api/data/v9.2/contacts", timeout=5)
    assert "Cookie" not in server.headers[1]


def test_only_gets_with_the_documented_headers_are_sent(
    client: DataverseClient, sandbox: Sandbox, contacts: set[str]
) -> None:
    """Nothing is ever written, and each page asks for what the first one asked for."""
    assert len(keys_of(client.pages("contacts", params=QUERY))) == len(contacts)
    asked = sandbox.requests.all("/api/data/")
    assert {"GET"} == {request.method for request in asked}
    prefer = {request.headers.get("prefer") for request in asked}
    assert {
        'odata.include-annotations="Microsoft.Dynamics.CRM.lookuplogicalname",odata.maxpagesize=4'
    } == prefer


def test_the_paging_cookie_goes_back_to_the_letter(server: ScriptedServer) -> None:
    """Re-encoding it is the most reported cause of a malformed cookie."""
    cookie = "contacts?$select=a,b&$skiptoken=%253ccookie%2520page%253d%25222%2522%2d~%7e'%253e"
    server.say({"value": [], "@odata.nextLink": f"{server.url}/api/data/v9.2/{cookie}"})
    server.say()
    list(server.client().pages("contacts"))
    assert f"/api/data/v9.2/{cookie}".lower() == server.paths[1].lower()


def test_a_relative_link_is_followed(server: ScriptedServer) -> None:
    """OData allows it, though Dataverse sends whole ones."""
    server.say({"value": [], "@odata.nextLink": "contacts?$skiptoken=2"})
    server.say()
    list(server.client().pages("contacts"))
    assert server.paths[1] == "/api/data/v9.2/contacts?$skiptoken=2"


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/api/data/v9.2/contacts?$skiptoken=2",
        "http://127.0.0.1:1/api/data/v9.2/contacts",
        "{url}.evil.example/api/data/v9.2/contacts",
        "{url}/main.aspx?next",
        "{url}/api/data/v9.2/../../../main.aspx",
        "//evil.example/api/data/v9.2/contacts",
    ],
)
def test_a_link_out_of_the_web_api_is_not_followed(server: ScriptedServer, link: str) -> None:
    """The token goes to the organisation's Web API only; the error says what to do."""
    server.say({"value": [], "@odata.nextLink": link.format(url=server.url)})
    with pytest.raises(ConfigError, match="Next step"):
        list(server.client().pages("contacts"))
    assert len(server.paths) == 1


def test_a_circle_of_links_is_an_error(server: ScriptedServer) -> None:
    """Two pages that point to each other would be read for ever."""
    links = [f"{server.url}/api/data/v9.2/contacts?$skiptoken={name}" for name in "ab"]
    for link in (*links, links[0]):
        server.say({"value": [], "@odata.nextLink": link})
    with pytest.raises(ResponseError, match="circle"):
        list(server.client().pages("contacts"))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"value":[{"a":1}', {}),
        (b'{"value":[{"a":"x"}', {}),
        (b'{"other":[]}', {}),
        (b'{"value":{}}', {}),
        (b"", {}),
        (b"[]", {}),
        (b"<!DOCTYPE html><title>Sign in</title>", {}),
        (b'{"value":[]}', {"Content_Type": "text/html"}),
        (b'{"value":[]}', {"Content_Type": "text/plain"}),
        (b'{"value":[]}', {"Preference_Applied": "odata.maxpagesize=4"}),
        (
            b'{"value":[]}',
            {"Preference_Applied": 'odata.include-annotations="OData.Community.Display.V1.*"'},
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_success_that_is_no_page_is_tried_again_and_then_an_error(
    server: ScriptedServer, body: bytes, headers: dict[str, str]
) -> None:
    """A status of 200 proves nothing."""
    server.say(body, 200, **headers)
    with pytest.raises(ResponseError, match="Given up after trying 3 times"):
        list(server.client().pages("contacts"))
    assert len(server.paths) == 3


def test_success_without_content_is_an_error(server: ScriptedServer) -> None:
    """204 is no page either."""
    server.say(b"", 204)
    with pytest.raises(ResponseError):
        list(server.client(request_attempts=1).pages("contacts"))


def test_a_page_with_half_a_surrogate_pair_is_whole(server: ScriptedServer) -> None:
    """It is the decoder that replaces it; the page's bytes stay as they came."""
    server.say(rb'{"value":[{"name":"\ud800"}]}')
    (page,) = server.client().pages("contacts")
    assert rb"\ud800" in page.body


def test_a_redirect_is_not_followed(server: ScriptedServer) -> None:
    """Another address of the organisation belongs into the connection."""
    server.say(b"", 302, Location="https://other.example/api/data/v9.2/contacts")
    with pytest.raises(ConfigError, match=r"other\.example"):
        server.client().get("contacts")
    assert len(server.paths) == 1


def test_rows_are_found_by_their_ids(client: DataverseClient, organisation: Organisation) -> None:
    """In requests of bounded length; ids that do not exist bring nothing."""
    wanted = [organisation.create("contacts", {"lastname": "N"}) for _ in range(3)]
    organisation.create("contacts", {"lastname": "other"})
    unknown = [f"00000000-0000-4000-8000-{number:012}" for number in range(IDS_PER_REQUEST)]
    pages = client.by_ids(CONTACT, [*wanted, *unknown], select=("contactid",))
    assert sorted(wanted) == sorted(keys_of(pages))


def test_a_reading_that_is_left_early_stops(
    client: DataverseClient, sandbox: Sandbox, contacts: set[str]
) -> None:
    """At most the one page that was already asked for is fetched."""
    pages = client.pages("contacts", params=QUERY)
    assert next(pages).number <= len(contacts)
    pages.close()  # type: ignore[attr-defined]
    time.sleep(0.2)
    assert len(sandbox.requests.all("/contacts")) <= 2


def test_the_web_api_is_found_without_a_token(client: DataverseClient, sandbox: Sandbox) -> None:
    """It asks for one, and that is the answer; a token is neither asked for nor sent."""
    client.require_web_api()

    assert sandbox.requests.all("/oauth2/") == []


def test_a_certificate_of_nobody_is_a_configuration_error(
    sandbox: Sandbox, client_of: Callable[..., DataverseClient]
) -> None:
    """It says that the bundle belongs into the connection."""
    connection = connection_to(sandbox, verify=None)
    with pytest.raises(ConfigError, match="verify"):
        client_of(connection).get("WhoAmI")


def test_a_server_that_is_not_there_is_worth_waiting_for(server: ScriptedServer) -> None:
    """Down is not gone."""
    server.say()
    client = server.client(request_attempts=2)
    client.organization_url = "http://127.0.0.1:9"
    with pytest.raises(TransientError, match="Connection refused"):
        client.get("contacts")


IDENTITY = {
    "UserId": "00000000-0000-4000-8000-00000000000A",
    "OrganizationId": "00000000-0000-4000-8000-00000000000B",
}


def test_the_json_of_an_answer_is_whole_or_an_error(server: ScriptedServer) -> None:
    """Metadata is read with the same care as pages."""
    server.say(json.dumps(IDENTITY).encode()[:-1])
    server.say(IDENTITY)
    assert server.client().organization_id() == IDENTITY["OrganizationId"].lower()
    assert json.dumps(server.paths).count("WhoAmI") == 2


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": "0x80040216", "message": "no"}},
        {**IDENTITY, "error": {"code": "", "message": "broke off"}},
        {**IDENTITY, "odata.error": None},
        {"UserId": IDENTITY["UserId"]},
        {**IDENTITY, "OrganizationId": None},
        {**IDENTITY, "OrganizationId": ""},
        {**IDENTITY, "OrganizationId": 7},
        {**IDENTITY, "OrganizationId": "contoso"},
        {**IDENTITY, "UserId": ["x"]},
    ],
    ids=str,
)
def test_an_answer_that_does_not_say_who_it_is_claims_nothing(
    server: ScriptedServer, answer: dict[str, Any]
) -> None:
    """Neither an error within a success nor a missing or odd id becomes an organisation's."""
    server.say(answer)
    with pytest.raises(ResponseError, match="Given up after trying 3 times"):
        server.client().organization_id()


RECORD = "00000000-0000-4000-8000-0000000000c1"
OF_ANOTHER = f"systemuser With Id = {RECORD.replace('c1', 'c2')} Does Not Exist"


def test_a_record_is_gone_when_dataverse_says_so(
    client: DataverseClient, organisation: Organisation
) -> None:
    """Of one that is there it says nothing of the kind."""
    there = organisation.create("contacts", {"lastname": "N"})
    assert (client.is_gone(CONTACT, there), client.is_gone(CONTACT, RECORD)) == (False, True)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"error": {"code": "0x80040217", "message": "no"}}),
        (404, {"error": {"code": "-2147220969", "message": "no"}}),
        (404, {"error": {"code": "", "message": f"contact With Id = {RECORD} Does Not Exist"}}),
        (404, {"error": {"code": "", "message": f"With Id = {RECORD.upper()} Does Not Exist"}}),
    ],
    ids=str,
)
def test_gone_is_said_in_some_ways(server: ScriptedServer, status: int, body: Any) -> None:
    """By its code in either spelling, or in words."""
    server.say(body, status)
    assert server.client().is_gone(CONTACT, RECORD)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b"", QueryError),
        (404, {"error": {"code": "", "message": "Resource not found for the segment"}}, QueryError),
        (404, {"error": {"code": "", "message": "The host does not exist"}}, QueryError),
        (404, {"error": {"code": "0x80040217", "message": OF_ANOTHER}}, QueryError),
        (404, {"error": {"code": "", "message": OF_ANOTHER}}, QueryError),
        (400, {"error": {"code": "0x80040217", "message": "no"}}, QueryError),
        (403, {"error": {"code": "0x80040220", "message": "no"}}, PrivilegeError),
        (410, b"", QueryError),
        (503, b"", TransientError),
        (200, {"error": {"code": "0x80040217", "message": "no"}}, ResponseError),
        (200, {"value": []}, ResponseError),
        (200, {"contactid": RECORD.replace("c1", "c2")}, ResponseError),
    ],
    ids=str,
)
def test_whatever_else_is_answered_proves_no_absence(
    server: ScriptedServer, status: int, body: Any, error: type[Exception]
) -> None:
    """A gateway's 404, a refusal and an odd success are raised."""
    server.say(body, status)
    with pytest.raises(error):
        server.client().is_gone(CONTACT, RECORD)


@pytest.mark.parametrize("unreadable", [None, "no id", 7])
def test_a_record_that_comes_with_an_unreadable_id_is_there(
    server: ScriptedServer, unreadable: Any
) -> None:
    """It was asked for by its id, and Dataverse did not say that it does not exist."""
    server.say({"contactid": unreadable}, 200)

    assert not server.client().is_gone(CONTACT, RECORD)
