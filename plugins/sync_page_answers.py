"""How the page puts answers into JSON, and errors into one form: code, message, next step."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from opportunity_sync.errors import SyncError
from opportunity_sync.status import QuestionError

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_REFUSED = {
    401: ("page.no_login", "log in to Airflow, or send a token of its API."),
    403: ("page.not_allowed", "ask whoever gives out rights in Airflow for this one."),
    404: ("page.not_found", "check the address; docs/page.md lists all of them."),
    405: ("page.wrong_method", "check the method; docs/page.md lists all of them."),
}
_REPORT = ("page.failed", "look into the log of Airflow's API server.")


def json_answer(value: Any, status: int = 200) -> Response:
    """A response with plain values; instants are in UTC, with `Z`."""
    body = json.dumps(value, default=_plain_value, ensure_ascii=False, allow_nan=False)
    return Response(body, status, {**_HEADERS}, media_type="application/json")


def error_answer(code: str, message: str, *, next_step: str, status: int) -> Response:
    """A response that says what is wrong and what to do about it."""
    return json_answer({"code": code, "message": message, "next_step": next_step}, status)


def in_utc(moment: datetime) -> str:
    """An instant as all answers write it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return in_utc(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def answer_errors(page: FastAPI) -> None:
    """Let every error of the page be answered in the one form."""
    page.exception_handler(HTTPException)(_refusal)
    page.exception_handler(RequestValidationError)(_invalid_request)
    page.exception_handler(QuestionError)(_bad_question)
    page.exception_handler(SyncError)(_store_away)
    page.exception_handler(Exception)(_fault_of_the_program)


def _refusal(_request: Request, error: HTTPException) -> Response:
    code, step = _REFUSED.get(error.status_code, _REPORT)
    return error_answer(code, str(error.detail), next_step=step, status=error.status_code)


def _invalid_request(_request: Request, error: RequestValidationError) -> Response:
    faults = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors())
    step = "correct what is named; docs/page.md lists what each address takes."
    return error_answer("page.bad_question", f"{faults}.", next_step=step, status=422)


def _bad_question(_request: Request, error: QuestionError) -> Response:
    step = error.next_step
    return error_answer("page.bad_question", error.problem, next_step=step, status=422)


def _fault_of_the_program(_request: Request, error: Exception) -> Response:
    """Without its words, which may quote rows; the server logs it."""
    code, step = _REPORT
    message = f"The page itself failed ({type(error).__name__})."
    return error_answer(code, message, next_step=step, status=500)


def _store_away(_request: Request, error: SyncError) -> Response:
    return error_answer(error.code, error.problem, next_step=error.next_step, status=503)
