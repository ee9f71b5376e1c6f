"""Which error an answer of Dataverse stands for when its status is not 200.

The HTTP status and Dataverse's own code often disagree. Throttling comes with 400, a missing
privilege with 401 or 403, and many error bodies are empty or HTML. So both are looked at: a known
code decides, except beside a 401. Without a known code the status decides.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import requests

from opportunity_sync.dynamics.error_table import (
    BROKEN,
    BY_CODE,
    BY_STATUS,
    EXPIRED_DELTA_CODE,
    MOVED,
    REFUSED,
    UNKNOWN_RECORD_CODE,
    ErrorMeaning,
)
from opportunity_sync.dynamics.pages.characters import replace_unstorable
from opportunity_sync.dynamics.pages.envelope import MALFORMED
from opportunity_sync.errors import PrivilegeError, SyncError, TransientError
from opportunity_sync.http.retry_after import retry_after_seconds
from opportunity_sync.http.service import RemoteService
from opportunity_sync.http.wiping import wipe_secrets

API_ROOT: Final = "/api/data/v9.2/"
_CODE: Final = re.compile(r"-?[0-9]{1,20}")
_FULL_SYNC: Final = re.compile(
    r"(?i)\bfull[ -]?(re)?sync|\bversion stamp\b.*\bexpired\b|\bdelta ?token\b.*\bexpired\b"
)
_MAY_MEAN_EXPIRED: Final = frozenset({400, 404, 410})
_PRIVILEGE: Final = re.compile(r"missing (prv\w+) privilege")
_NOT_THERE: Final = re.compile(r"(?i)\bwith id\b.*\bdoes not exist\b")
_TABLE: Final = re.compile(r"for entity '(\w+)'")
_CODE_IN_BYTES: Final = re.compile(rb'(?i)"(?:error)?code"\s*:\s*"(0x8[0-9a-f]{7})"')
_NAMED_ID: Final = re.compile(r"(?i)\bid\s*=\s*\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
_CODES: Final = ("code", "ErrorCode", "errorcode")
_MESSAGES: Final = ("message", "description", "Message", "ExceptionMessage")


def error_of(response: requests.Response, body: bytes | None = None) -> SyncError:
    """The error that a response other than 2xx stands for. Its text never holds a secret.

    `body` is given where the content of the response was read as a stream.
    """
    code, message = _read_code_and_message(response.content if body is None else body)
    meaning = _find_meaning(response.status_code, code, message)
    request = DATAVERSE.request_of(response, code=code)
    text = _describe_problem(meaning, wipe_secrets(message, _token_of(response)), response)
    if issubclass(meaning.kind, TransientError):
        return meaning.kind(
            text,
            next_step=meaning.next_step,
            request=request,
            retry_after=retry_after_seconds(response.headers),
        )
    next_step = _next_step(meaning, message)
    return meaning.kind(text, next_step=next_step, request=request)


def canonical_code(code: object) -> str | None:
    """One spelling per code: `0x80072322`, also for -2147015902 or 2147951394; else None."""
    text = str(code or "").strip().lower()
    if _CODE.fullmatch(text):
        return f"0x{int(text) & 0xFFFFFFFF:08x}" if int(text) else None
    return text if re.fullmatch(r"0x[0-9a-f]{8}", text) else None


def _token_of(response: requests.Response) -> list[str]:
    return str(response.request.headers.get("Authorization", "")).split()[-1:]


def _find_meaning(status: int, code: str | None, message: str) -> ErrorMeaning:
    if status in _MAY_MEAN_EXPIRED and _FULL_SYNC.search(message):
        return BY_CODE[EXPIRED_DELTA_CODE]
    if code is not None and code in BY_CODE and status != requests.codes.unauthorized:
        return BY_CODE[code]
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status >= requests.codes.server_error:
        return BROKEN
    return REFUSED if status >= requests.codes.bad_request else MOVED


def _read_code_and_message(body: bytes) -> tuple[str | None, str]:
    """Code and message of an error body, in any shape that was seen.

    Of one that is no JSON, such as one cut short, no more than a code that stands there whole.
    """
    try:
        text, _ = replace_unstorable(body)
        content: Any = msgspec.json.decode(text)
    except MALFORMED:
        named = _CODE_IN_BYTES.search(body)
        return (canonical_code(named[1].decode()) if named else None), ""
    error = content.get("error") or content if isinstance(content, dict) else content
    if not isinstance(error, dict):
        return None, _text_of(error)
    code = next(filter(None, (error.get(name) for name in _CODES)), None)
    return canonical_code(code), next(filter(None, (_text_of(error.get(n)) for n in _MESSAGES)), "")


def _text_of(value: object) -> str:
    """The text itself, or the text in an object that also names its language; else empty."""
    text = value.get("value") if isinstance(value, dict) else value
    return text if isinstance(text, str) else ""


def _describe_problem(meaning: ErrorMeaning, message: str, response: requests.Response) -> str:
    problem = meaning.problem[0].upper() + meaning.problem[1:]
    if meaning is MOVED:
        message = f"it points to {_host_of(response.headers.get('Location', ''))}"
    return f"{problem}: {message}" if message else f"{problem}."


def _host_of(url: str) -> str:
    try:
        return wipe_secrets(urlsplit(url).hostname or "this host")
    except ValueError:
        return "no address"


def _next_step(meaning: ErrorMeaning, message: str) -> str:
    privilege, table = _PRIVILEGE.search(message), _TABLE.search(message)
    if meaning.kind is not PrivilegeError or privilege is None:
        return meaning.next_step
    on = f" on table {table[1]}" if table else ""
    return f"give the application user {privilege[1]}{on} at organisation level (Global)"


def is_expired_delta(error: SyncError) -> bool:
    """Whether Dataverse says that a delta link has expired and asks for a full synchronisation.

    Which status comes with that is not documented. A 410 without a code means the link as well.
    """
    request = error.request
    if request and (request.code == EXPIRED_DELTA_CODE or request.status == requests.codes.gone):
        return True
    return bool(_FULL_SYNC.search(error.problem))


def is_missing_record(error: SyncError, record_id: str) -> bool:
    """Whether Dataverse says that the record does not exist: a 404 with that code or message.

    Any other 404 can come from a gateway or a wrong address. It proves nothing about the record,
    nor does one that names another record by its id.
    """
    request = error.request
    if request is None or request.status != requests.codes.not_found:
        return False
    named = [found.lower() for found in _NAMED_ID.findall(error.problem)]
    if named and record_id.lower() not in named:
        return False
    return request.code == UNKNOWN_RECORD_CODE or bool(_NOT_THERE.search(error.problem))


DATAVERSE: Final = RemoteService(
    name="Dataverse",
    api_root=API_ROOT,
    request_id_headers=("x-ms-service-request-id", "REQ_ID", "x-ms-request-id"),
    error_of=error_of,
    step_if_late="set OPPORTUNITY_SYNC_PAGE_SIZE lower or OPPORTUNITY_SYNC_PAGE_TIMEOUT_SECONDS "
    "higher if it stays",
    step_if_unreadable="set OPPORTUNITY_SYNC_PAGE_SIZE lower if its size is the cause; otherwise "
    "find out what stands between Dataverse and the workers",
)
