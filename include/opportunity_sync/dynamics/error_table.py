"""What Dataverse's error codes and HTTP statuses mean, and what to do about each.

Microsoft lists the codes on its pages "Web service error codes" and "Service protection API
limits".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opportunity_sync.errors import (
    AuthenticationError,
    ConfigError,
    PrivilegeError,
    QueryError,
    SyncError,
    ThrottledError,
    TransientError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

EXPIRED_DELTA_CODE: Final = "0x80044352"
UNKNOWN_RECORD_CODE: Final = "0x80040217"


@dataclass(frozen=True, slots=True)
class ErrorMeaning:
    """The class of an error, what is wrong in words, and what to do about it."""

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

BY_CODE: Final[Mapping[str, ErrorMeaning]] = {
    "0x80072321": ErrorMeaning(ThrottledError, "the limit of execution time was reached", _LIMIT),
    "0x80072322": ErrorMeaning(ThrottledError, "the limit of requests was reached", _LIMIT),
    "0x80072326": ErrorMeaning(
        ThrottledError, "the limit of concurrent requests was reached", _LIMIT
    ),
    "0x80048544": ErrorMeaning(ThrottledError, "Dataverse throttles this query", _HEAVY),
    "0x80048644": ErrorMeaning(ThrottledError, "Dataverse throttles this query", _HEAVY),
    "0x80048744": ErrorMeaning(ThrottledError, "Dataverse throttles this query", _HEAVY),
    "0x80048745": ErrorMeaning(ThrottledError, "Dataverse throttles this query", _HEAVY),
    "0x80048573": ErrorMeaning(TransientError, "the query timed out", _HEAVY),
    "0x80048574": ErrorMeaning(TransientError, "the query timed out", _HEAVY),
    "0x80044151": ErrorMeaning(TransientError, "the database of Dataverse timed out", _HEAVY),
    "0x80044150": ErrorMeaning(TransientError, "the database of Dataverse failed", _WAIT),
    "0x80040220": ErrorMeaning(PrivilegeError, "the application user lacks a privilege", _ROLE),
    "0x80048405": ErrorMeaning(PrivilegeError, "access is denied", _ROLE),
    "0x80072560": ErrorMeaning(
        AuthenticationError,
        "the client is not a member of the organisation",
        "create an application user for the client id in this organisation and give it a role",
    ),
    "0x80095ffc": ErrorMeaning(
        AuthenticationError,
        "the organisation blocks this client id",
        "ask the tenant's administrator to allow the application in the environment's settings",
    ),
    EXPIRED_DELTA_CODE: ErrorMeaning(
        QueryError,
        "the change tracking token has expired, a full sync is asked for",
        "read the table in full once",
    ),
    "0x80060888": ErrorMeaning(QueryError, "Dataverse does not know a column or option", _REPORT),
    "0x8006088a": ErrorMeaning(QueryError, "Dataverse does not know the table", _REPORT),
    UNKNOWN_RECORD_CODE: ErrorMeaning(QueryError, "the record does not exist", _REPORT),
}

BY_STATUS: Final[Mapping[int, ErrorMeaning]] = {
    401: ErrorMeaning(
        AuthenticationError, "Dataverse refused the token, a fresh one too", _SIGN_IN
    ),
    403: ErrorMeaning(PrivilegeError, "access is denied", _ROLE),
    407: ErrorMeaning(
        ConfigError, "the proxy wants credentials", "correct HTTPS_PROXY of the workers"
    ),
    408: ErrorMeaning(TransientError, "the request timed out", _HEAVY),
    410: ErrorMeaning(QueryError, "the link has expired", "read the table in full once"),
    413: ErrorMeaning(QueryError, "the request is too long", _REPORT),
    429: ErrorMeaning(ThrottledError, "a service protection limit was reached", _LIMIT),
    511: ErrorMeaning(
        ConfigError, "the network wants a sign-in", "let the workers pass the network's gateway"
    ),
    501: ErrorMeaning(QueryError, "Dataverse does not support the request", _REPORT),
}
REFUSED: Final = ErrorMeaning(QueryError, "Dataverse refused the request", _REPORT)
BROKEN: Final = ErrorMeaning(TransientError, "Dataverse or its gateway failed", _WAIT)
MOVED: Final = ErrorMeaning(
    ConfigError,
    "the answer is a redirect, which is never followed with the token",
    "set the connection's host to the organisation's own address",
)
