"""What each way of Dataverse to say no means, and what to do about it: one table.

HTTP status and Dataverse code disagree often (throttling with 400, privileges with 403 or 401,
bodies that are empty or HTML), so both are looked at: a known code decides, but for 401, then
the status. Codes come as hexadecimal or as signed decimal text. Source: reference 1.6, 2.7, 5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec
import requests

from opportunity_sync.errors import (
    AuthenticationError,
    ConfigError,
    PrivilegeError,
    QueryError,
    Request,
    SyncError,
    ThrottledError,
    TransientError,
)
from opportunity_sync.http.retry_after import retry_after
from opportunity_sync.http.wiping import wiped

if TYPE_CHECKING:
    from collections.abc import Mapping

API_ROOT: Final = "/api/data/v9.2/"
EXPIRED_DELTA_CODE: Final = "0x80044352"
UNKNOWN_RECORD_CODE: Final = "0x80040217"
_CODE: Final = re.compile(r"-?[0-9]{1,20}")
_IDENTIFIER: Final = re.compile(r"[\w.:{}-]{1,100}", re.ASCII)
_FULL_SYNC: Final = re.compile(
    r"(?i)\bfull[ -]?(re)?sync|\bversion stamp\b.*\bexpired\b|\bdelta ?token\b.*\bexpired\b"
)
_MAY_MEAN_EXPIRED: Final = frozenset({400, 404, 410})
_PRIVILEGE: Final = re.compile(r"missing (prv\w+) privilege")
_NOT_THERE: Final = re.compile(r"(?i)\bwith id\b.*\bdoes not exist\b")
_TABLE: Final = re.compile(r"for entity '(\w+)'")


@dataclass(frozen=True, slots=True)
class Failure:
    """One row of the table: what is wrong, in words, and what to do."""

    kind: type[SyncError]
    problem: str
    next_step: str


_WAIT = "wait: the next try or the next run goes on"
_LIMIT = f"{_WAIT}; if it stays, run fewer readers as this application user at the same time"
_HEAVY = f"{_WAIT}; if it stays, set OPPORTUNITY_SYNC_PAGE_SIZE lower (500 is a good try)"
_REPORT = "compare the request with the organisation's columns and tables; report it as a defect"
_ROLE = "give the application user a security role that reads these tables at organisation level"
_SIGN_IN = (
    "check that the connection's host is this organisation, and that it has an enabled "
    "application user for the client id"
)

BY_CODE: Final[Mapping[str, Failure]] = {
    "0x80072321": Failure(ThrottledError, "the limit of execution time was reached", _LIMIT),
    "0x80072322": Failure(ThrottledError, "the limit of requests was reached", _LIMIT),
    "0x80072326": Failure(ThrottledError, "the limit of concurrent requests was reached", _LIMIT),
    "0x80048544": Failure(ThrottledError, "Dataverse throttles this query", _HEAVY),
    "0x80048644": Failure(ThrottledError, "Dataverse throttles this query", _HEAVY),
    "0x80048744": Failure(ThrottledError, "Dataverse throttles this query", _HEAVY),
    "0x80048745": Failure(ThrottledError, "Dataverse throttles this query", _HEAVY),
    "0x80048573": Failure(TransientError, "the query timed out", _HEAVY),
    "0x80048574": Failure(TransientError, "the query timed out", _HEAVY),
    "0x80044151": Failure(TransientError, "the database of Dataverse timed out", _HEAVY),
    "0x80044150": Failure(TransientError, "the database of Dataverse failed", _WAIT),
    "0x80040220": Failure(PrivilegeError, "the application user lacks a privilege", _ROLE),
    "0x80048405": Failure(PrivilegeError, "access is denied", _ROLE),
    "0x80072560": Failure(
        AuthenticationError,
        "the client is not a member of the organisation",
        "create an application user for the client id in this organisation and give it a role",
    ),
    "0x80095ffc": Failure(
        AuthenticationError,
        "the organisation blocks this client id",
        "ask the tenant's administrator to allow the application in the environment's settings",
    ),
    EXPIRED_DELTA_CODE: Failure(
        QueryError,
        "the change tracking token has expired, a full sync is asked for",
        "read the table in full once",
    ),
    "0x80060888": Failure(QueryError, "Dataverse does not know a column or option", _REPORT),
    "0x8006088a": Failure(QueryError, "Dataverse does not know the table", _REPORT),
    UNKNOWN_RECORD_CODE: Failure(QueryError, "the record does not exist", _REPORT),
}

BY_STATUS: Final[Mapping[int, Failure]] = {
    401: Failure(AuthenticationError, "Dataverse refused the token, a fresh one too", _SIGN_IN),
    403: Failure(PrivilegeError, "access is denied", _ROLE),
    407: Failure(ConfigError, "the proxy wants credentials", "correct HTTPS_PROXY of the workers"),
    408: Failure(TransientError, "the request timed out", _HEAVY),
    410: Failure(QueryError, "the link has expired", "read the table in full once"),
    413: Failure(QueryError, "the request is too long", _REPORT),
    429: Failure(ThrottledError, "a service protection limit was reached", _LIMIT),
    511: Failure(
        ConfigError, "the network wants a sign-in", "let the workers pass the network's gateway"
    ),
    501: Failure(QueryError, "Dataverse does not support the request", _REPORT),
}
_REFUSED = Failure(QueryError, "Dataverse refused the request", _REPORT)
_BROKEN = Failure(TransientError, "Dataverse or its gateway failed", _WAIT)
_CODES: Final = ("code", "ErrorCode", "errorcode")
_MESSAGES: Final = ("message", "description", "Message", "ExceptionMessage")
_MOVED = Failure(
    ConfigError,
    "the answer is a redirect, which is never followed with the token",
    "set the connection's host to the organisation's own address",
)


def failure(response: requests.Response, body: bytes | None = None) -> SyncError:
    """The error that a response other than 2xx stands for; never a secret in its text.

    `body` is for a response whose content was read as a stream.
    """
    code, message = _said(response.content if body is None else body)
    row = _row(response.status_code, code, message)
    request = request_of(response, code=code)
    text = _sentence(row, wiped(message, _token_of(response)), response)
    if issubclass(row.kind, TransientError):
        return row.kind(
            text,
            next_step=row.next_step,
            request=request,
            retry_after=retry_after(response.headers),
        )
    next_step = _privilege_step(row, message)
    return row.kind(text, next_step=next_step, request=request)


def request_of(response: requests.Response, *, code: str | None = None) -> Request:
    """What names the exchange in Dataverse's logs."""
    headers = response.headers
    named = (headers.get(name) for name in ("x-ms-service-request-id", "REQ_ID", "x-ms-request-id"))
    found = (value for value in named if value and _IDENTIFIER.fullmatch(value))
    return Request(
        method=response.request.method or "GET",
        path=path_of(response.request.url or ""),
        status=response.status_code,
        code=code,
        request_id=next(found, None),
    )


def path_of(url: str) -> str:
    """Path below the API root, without the query string: cookies and tokens live there."""
    return urlsplit(url).path.removeprefix(API_ROOT)


def canonical_code(code: object) -> str | None:
    """`0x80072322` for that, its upper-case form, -2147015902 and 2147951394; None for none."""
    text = str(code or "").strip().lower()
    if _CODE.fullmatch(text):
        return f"0x{int(text) & 0xFFFFFFFF:08x}" if int(text) else None
    return text if re.fullmatch(r"0x[0-9a-f]{8}", text) else None


def _token_of(response: requests.Response) -> list[str]:
    return str(response.request.headers.get("Authorization", "")).split()[-1:]


def _row(status: int, code: str | None, message: str) -> Failure:
    if status in _MAY_MEAN_EXPIRED and _FULL_SYNC.search(message):
        return BY_CODE[EXPIRED_DELTA_CODE]
    if code is not None and code in BY_CODE and status != requests.codes.unauthorized:
        return BY_CODE[code]
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status >= requests.codes.server_error:
        return _BROKEN
    return _REFUSED if status >= requests.codes.bad_request else _MOVED


def _said(body: bytes) -> tuple[str | None, str]:
    """Code and message of an error body, in any of the shapes seen; empty where it is no JSON."""
    try:
        content: Any = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None, ""
    error = content.get("error") or content if isinstance(content, dict) else content
    if not isinstance(error, dict):
        return None, _words(error)
    code = next(filter(None, (error.get(name) for name in _CODES)), None)
    return canonical_code(code), next(filter(None, (_words(error.get(n)) for n in _MESSAGES)), "")


def _words(value: object) -> str:
    """A text, also where it is wrapped together with its language; nothing else is one."""
    text = value.get("value") if isinstance(value, dict) else value
    return text if isinstance(text, str) else ""


def _sentence(row: Failure, message: str, response: requests.Response) -> str:
    problem = row.problem[0].upper() + row.problem[1:]
    if row is _MOVED:
        message = f"it points to {_host_of(response.headers.get('Location', ''))}"
    return f"{problem}: {message}" if message else f"{problem}."


def _host_of(url: str) -> str:
    try:
        return wiped(urlsplit(url).hostname or "this host")
    except ValueError:
        return "no address"


def _privilege_step(row: Failure, message: str) -> str:
    privilege, table = _PRIVILEGE.search(message), _TABLE.search(message)
    if row.kind is not PrivilegeError or privilege is None:
        return row.next_step
    on = f" on table {table[1]}" if table else ""
    return f"give the application user {privilege[1]}{on} at organisation level (Global)"


def is_expired_delta(error: SyncError) -> bool:
    """Whether Dataverse asks for a full synchronisation instead of a delta.

    The status beside it is not documented. A bare 410 to a delta link means the link itself.
    """
    request = error.request
    if request and (request.code == EXPIRED_DELTA_CODE or request.status == requests.codes.gone):
        return True
    return bool(_FULL_SYNC.search(error.problem))


def says_it_does_not_exist(error: SyncError) -> bool:
    """Whether Dataverse says that the record asked for does not exist: a 404 that says so.

    A bare 404 can be a gateway's, or a wrong address; it proves nothing about the record.
    """
    request = error.request
    if request is None or request.status != requests.codes.not_found:
        return False
    return request.code == UNKNOWN_RECORD_CODE or bool(_NOT_THERE.search(error.problem))
