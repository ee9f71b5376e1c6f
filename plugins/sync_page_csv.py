"""The lists of what could not be taken, as CSV for a spreadsheet: whole, a few rows at a time.

Names and messages come from a CRM. A spreadsheet takes text that begins like a formula for one, so
such text gets an apostrophe in front of it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping  # noqa: TC003 - FastAPI reads them
from datetime import datetime
from io import StringIO
from itertools import chain
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from opportunity_sync import status
from sync_page_answers import in_utc
from sync_page_api import Asked  # noqa: TC001 - as above
from sync_page_sources import airflow_url, asked_store, known_organization_url

if TYPE_CHECKING:
    from sqlalchemy import Connection

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
exports = APIRouter(prefix="/api")


@exports.get("/errors.csv")
def errors_csv(question: Asked) -> Response:
    """All records that can't be taken and are searched for, whatever page is asked for."""
    return csv_answer(
        lambda connection: status.every_refused_record(
            connection,
            question,
            organization_url=known_organization_url(connection),
            airflow_url=airflow_url(),
        ),
        "errors",
    )


@exports.get("/unresolved.csv")
def unresolved_csv(question: Asked) -> Response:
    """All associations that are not resolved and are searched for, likewise."""
    return csv_answer(
        lambda connection: status.every_unresolved_association(
            connection, question, organization_url=known_organization_url(connection)
        ),
        "unresolved",
    )


def csv_answer(rows_of: Callable[[Connection], Iterable[Mapping[str, Any]]], name: str) -> Response:
    """The rows as a file to keep."""
    lines = csv_lines(rows_of)
    # The store is asked before the answer begins: once it has, no error can be told any more.
    first = next(lines, "")
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(chain([first], lines), headers=headers, media_type="text/csv")


def csv_lines(rows_of: Callable[[Connection], Iterable[Mapping[str, Any]]]) -> Iterator[str]:
    """A heading and a line for each row; nothing at all where there is no row."""
    with asked_store() as connection:
        for number, row in enumerate(rows_of(connection) if connection is not None else ()):
            if number == 0:
                yield csv_line(row)
            yield csv_line(row.values())


def csv_line(values: Iterable[Any]) -> str:
    """One line, each value as text that a spreadsheet leaves alone."""
    line = StringIO()
    csv.writer(line).writerow([plain_cell(value) for value in values])
    return line.getvalue()


def plain_cell(value: Any) -> Any:
    """A value as it stands in a cell: numbers as they are, text never as a formula."""
    if isinstance(value, datetime):
        return in_utc(value)
    if isinstance(value, str) and value.startswith(FORMULA_SIGNS):
        return f"'{value}"
    return value
