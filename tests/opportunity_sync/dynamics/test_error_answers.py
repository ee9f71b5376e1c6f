"""Every row of the table of failures, and bodies in every shape seen."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from opportunity_sync.dynamics.error_answers import canonical_code, error_of, is_expired_delta
from opportunity_sync.dynamics.error_table import BY_CODE, BY_STATUS
from opportunity_sync.errors import (
    AuthenticationError,
    ConfigError,
    PrivilegeError,
    QueryError,
    SyncError,
    ThrottledError,
    TransientError,
)

TOKEN = "opaque-token-of-this-test"
PRIVILEGE = (
    "Principal user (Id=1, type=8) is missing prvReadOpportunity privilege (Id=2) on OTC=3 for "
    "entity 'opportunity' (LocalizedName='Opportunity')."
)


def a_response(status: int, body: Any = b"", **headers: str) -> requests.Response:
    """A response to a signed GET; a body that is no bytes is sent as JSON."""
    request = requests.Request(
        "GET",
        "https://contoso.crm.dynamics.com/api/data/v9.2/contacts?$skiptoken=cookie",
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    response = requests.Response()
    response.request = request.prepare()
    response.status_code = status
    response.headers.update(headers)
    response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return response


def an_error(code: str, message: str = "No.") -> dict[str, Any]:
    """The error body of Dataverse."""
    return {"error": {"code": code, "message": message}}


@pytest.mark.parametrize("code", BY_CODE)
@pytest.mark.parametrize("status", [400, 403, 429, 500])
def test_a_known_code_decides(code: str, status: int) -> None:
    """Whatever the status beside it, but for 401."""
    error = error_of(a_response(status, an_error(code)))
    assert type(error) is BY_CODE[code].kind
    assert error.request is not None
    assert (code, status) == (error.request.code, error.request.status)


@pytest.mark.parametrize("status", BY_STATUS)
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b'{"error"', b"[]", b"\xff"])
def test_a_status_decides_where_the_body_says_nothing(status: int, body: bytes) -> None:
    """Empty, HTML, cut short: classified all the same."""
    assert type(error_of(a_response(status, body))) is BY_STATUS[status].kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, ConfigError),
        (302, ConfigError),
        (400, QueryError),
        (404, QueryError),
        (405, QueryError),
        (412, QueryError),
        (418, QueryError),
        (500, TransientError),
        (502, TransientError),
        (503, TransientError),
        (504, TransientError),
        (599, TransientError),
    ],
)
def test_other_statuses_fall_into_their_class(status: int, kind: type[SyncError]) -> None:
    """What the client did wrong is not repeated; what the server did is."""
    assert type(error_of(a_response(status))) is kind


def test_a_refused_token_is_one_whatever_the_code_says() -> None:
    """401 means a fresh token first."""
    assert isinstance(error_of(a_response(401, an_error("0x80072322"))), AuthenticationError)


def test_a_missing_privilege_is_named_with_its_table() -> None:
    """The administrator needs both."""
    error = error_of(a_response(403, an_error("0x80040220", PRIVILEGE)))
    assert isinstance(error, PrivilegeError)
    assert "prvReadOpportunity on table opportunity" in error.next_step


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("0x80072322", "0x80072322"),
        ("0X80072322", "0x80072322"),
        ("-2147015902", "0x80072322"),
        (-2147015902, "0x80072322"),
        ("2147951394", "0x80072322"),
        ("", None),
        (None, None),
        ("0x0", None),
        ("0", None),
        ("General", None),
    ],
    ids=repr,
)
def test_codes_come_in_two_spellings(written: object, canonical: str | None) -> None:
    """Hexadecimal in bodies, decimal in Microsoft's own clients."""
    assert canonical == canonical_code(written)


@pytest.mark.parametrize(
    "body",
    [
        an_error("-2147015902", "busy"),
        {"Message": "busy", "ErrorCode": "0x80072322"},
        {"error": {"code": "0x80072322", "description": "busy"}},
        {"ExceptionMessage": "busy", "ErrorCode": -2147015902},
    ],
)
def test_every_shape_of_body_is_understood(body: dict[str, Any]) -> None:
    """They all were seen in the wild."""
    error = error_of(a_response(429, body, **{"Retry-After": "17.4"}))
    assert isinstance(error, ThrottledError)
    assert (error.retry_after, "busy" in error.problem) == (17.4, True)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (410, b""),
        (410, b"<html>"),
        (410, an_error("0x80060888")),
        (400, an_error("0x80044352")),
        (400, an_error("-2147204270")),
        (400, an_error("", "Version stamp associated with the client has expired.")),
        (400, an_error("", "Please perform a full sync.")),
        (404, an_error("0x80040216", "x" * 1000 + " please perform a Full-Sync")),
        (404, an_error("", "The delta token has expired")),
        (410, an_error("", "A full resync is needed")),
    ],
    ids=lambda value: str(value)[:60],
)
def test_the_end_of_a_delta_link_is_told_in_many_ways(status: int, body: Any) -> None:
    """The status beside it is not documented, and neither is that there is a body."""
    assert is_expired_delta(error_of(a_response(status, body)))


@pytest.mark.parametrize(
    ("status", "body"), [(400, an_error("0x80060888")), (404, b""), (503, an_error("0x80044151"))]
)
def test_other_refusals_of_a_delta_link_are_not_its_end(status: int, body: Any) -> None:
    """A wrong column, or a gateway, is something else."""
    assert not is_expired_delta(error_of(a_response(status, body)))


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b"7",
        b'"text"',
        {"error": None},
        {"error": []},
        {"error": 7},
        {"error": "words"},
        {"error": {"code": None, "message": None}},
        {"error": {"code": ["x"], "message": {"lang": "en", "value": "words"}}},
        {"error": {"code": {}, "message": ["x"]}},
        {"error": {"code": "9" * 5000, "message": 7}},
        {"error": {"code": True, "message": True}},
        {"Message": None, "ErrorCode": 1e300},
        b"[" * 100_000,
        b'{"error":{"message":"\\ud800"}}',
        b'{"error":{"message":"\xff"}}',
    ],
    ids=lambda value: str(value)[:60],
)
@pytest.mark.parametrize("status", [400, 503])
def test_an_odd_body_is_no_exception(status: int, body: Any) -> None:
    """The status decides, and what is no text is not shown as one."""
    error = error_of(a_response(status, body))
    kinds: dict[int, type[SyncError]] = {400: QueryError, 503: TransientError}
    assert type(error) is kinds[status]
    assert str(error).isprintable()
    assert "None" not in error.problem


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://other.example/x?token=abc", "other.example"),
        ("https://user:geheim@other.example/", "other.example"),
        ("http://[bad", "no address"),
        ("/relative", "this host"),
        ("", "this host"),
        ("javascript:alert(1)", "this host"),
    ],
)
def test_a_redirect_names_the_other_host_alone(location: str, shown: str) -> None:
    """What else is in its address may be a secret."""
    error = error_of(a_response(302, Location=location))
    assert error.problem.endswith(shown)
    assert "geheim" not in str(error)


def test_an_identifier_of_another_shape_is_not_shown() -> None:
    """It is a header of whoever answered."""
    error = error_of(a_response(500, REQ_ID="a b\x1b[31m", **{"x-ms-request-id": "good-1"}))
    assert error.request
    assert error.request.request_id == "good-1"


@pytest.mark.parametrize("name", ["x-ms-service-request-id", "REQ_ID", "x-ms-request-id"])
def test_the_request_id_is_in_the_message(name: str) -> None:
    """Microsoft's support asks for it."""
    assert "request id abc-1" in str(error_of(a_response(500, **{name: "abc-1"})))


def test_tokens_and_cookies_never_show() -> None:
    """Neither the token that was sent, nor what looks like one, nor the query string."""
    jwt = "eyJhbGciOi.eyJzdWIi.c2ln"
    message = f"Bad {TOKEN} and {jwt} and Bearer xyz and access_token=pqr done"
    text = str(error_of(a_response(400, an_error("0x1", message))))
    assert "done" in text
    assert not [secret for secret in (TOKEN, jwt, "xyz", "pqr", "cookie") if secret in text]


def test_a_long_message_is_cut() -> None:
    """A stack trace belongs into Dataverse's log, not into ours."""
    assert len(str(error_of(a_response(500, an_error("", "x" * 10_000))))) < 1000


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"error":{"code":"0x80072322","message":"busy"}}',
        b'{"error":{"code":"0x80072322","message":"busy \\ud800"}}',
        b'{"error":{"code":"0x80072322","message":"busy \xff"}}',
        b'{"error":{"code":"0X80072322","mess',
        b'{"ErrorCode" : "0x80072322" "Message"',
    ],
    ids=["byte order mark", "half a surrogate", "no UTF-8", "cut short", "no JSON"],
)
def test_a_code_is_read_from_a_body_that_is_damaged(body: bytes) -> None:
    """Throttling comes with 400 too: it would be a question to a person, and never tried again."""
    error = error_of(a_response(400, body))
    assert isinstance(error, ThrottledError)
    assert error.request is not None
    assert error.request.code == "0x80072322"


@pytest.mark.parametrize(
    "body", [b"<html>0x80040217</html>", b'{"error":{"code":"0x8004', b'"code"']
)
def test_what_is_no_whole_code_is_none(body: bytes) -> None:
    """A gateway's page may quote one, and of one that is cut nobody knows which it is."""
    error = error_of(a_response(404, body))
    assert error.request is not None
    assert error.request.code is None
