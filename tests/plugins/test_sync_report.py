"""The last lines of a red task's log, of every kind of error."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout

from opportunity_sync import errors
from opportunity_sync.errors import (
    DataError,
    FieldsFileError,
    FileFault,
    PrivilegeError,
    Request,
    StoreUnavailableError,
    SyncError,
    ThrottledError,
    TransientError,
)
from sync_report import describe_unforeseen, lines, without_promise

PROJECT = Path(__file__).parents[2]
RUNBOOK = PROJECT / "docs" / "runbook.md"
NAMES = ["What happened", "Next step", "Details", "Runbook"]
PROMISE = re.compile(r"(is|are) (re)?tried( again)?\b|next try|^nothing\b")


def every_error() -> list[BaseException]:
    """One of each class of ours, of Airflow's time-out and of what nobody foresaw."""
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    ours: list[BaseException] = [
        kind("It broke.", next_step="mend it")
        for kind in kinds
        if issubclass(kind, SyncError) and not issubclass(kind, DataError | FieldsFileError)
    ]
    bad_row = DataError("no date", entity="contact", record_id=None, field="birthdate")
    bad_line = FieldsFileError([FileFault(3, "it has no such table", "take the line out")])
    return [*ours, bad_row, bad_line, AirflowTaskTimeout("Timeout"), KeyError("contactid")]


@pytest.mark.parametrize("error", every_error(), ids=lambda error: type(error).__name__)
def test_an_error_is_told_in_four_lines(error: BaseException) -> None:
    """Each by its name and of one line; the last leads to a heading that the runbook has."""
    told = lines(error, outlook="Try 1 of 7.")
    headings = re.findall(r"^## (.+)$", RUNBOOK.read_text("utf-8"), re.MULTILINE)

    assert [line.partition(": ")[0] for line in told] == NAMES
    assert not [line for line in told if "\n" in line]
    anchor = told[-1].partition("#")[2]
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def test_the_request_is_among_the_details() -> None:
    """Method, table, status, code and request id come after what a person must do."""
    request = Request("GET", "contacts", 403, "0x80040220", "abc")
    error = PrivilegeError("No read access.", next_step="give the role", request=request)

    happened, step, details, _ = lines(error, outlook="Try 1 of 7.")

    assert (happened, step) == ("What happened: No read access.", "Next step: give the role")
    assert details == f"Details: {request}. Try 1 of 7."


def test_a_text_of_many_lines_becomes_one() -> None:
    """A server's page of HTML does not push the next step out of sight."""
    error = TransientError("An answer:\n  <html>\r\n</html>", next_step="wait")

    assert lines(error, outlook="")[0] == "What happened: An answer: <html> </html>"


def promising_steps() -> list[str]:
    """Next steps in the sources that promise a further try."""
    texts = []
    wanted = re.compile(r'(?:next_step=|_[A-Z]+ = )f?"([^"\n]*(?:tried|next try)[^"\n]*)"')
    for path in (PROJECT / "include" / "opportunity_sync").rglob("*.py"):
        # Adjacent strings are one text.
        source = re.sub(r'"\s*\n\s*f?"', "", path.read_text("utf-8"))
        texts += wanted.findall(source)
    return sorted({text for text in texts if text and "{" not in text})


@pytest.mark.parametrize("step", promising_steps())
def test_the_last_try_promises_no_further_one(step: str) -> None:
    """Of all the next steps that the sources have, none says it again when no try is left."""
    error = TransientError("Gone away.", next_step=step)
    told = without_promise(error, outlook="the next run goes on")

    assert not PROMISE.search(told.next_step)
    assert "clear the task with everything downstream" in told.next_step
    assert step not in str(told)
    assert told.next_step in str(told)


@pytest.mark.parametrize(
    ("step", "rest"),
    [
        ("nothing: the task is retried by itself, and reads the page again", "mend the cause"),
        ("nothing if it goes on: the task is retried; otherwise end the program.", "end the pro"),
        ("nothing: it is tried again by itself; if it stays, check the proxy", "check the proxy;"),
        ("make room on the store's disk; the task is retried.", "make room on the store's disk;"),
        ("point the connection at the primary server.", "point the connection at the primary s"),
    ],
)
def test_what_a_person_can_do_stays(step: str, rest: str) -> None:
    """Only the promise is taken out of a next step."""
    error = StoreUnavailableError("x", next_step=step)

    assert without_promise(error, outlook="the next run goes on").next_step.startswith(rest)


def test_an_unforeseen_error_is_told_without_what_it_quotes() -> None:
    """Its class, its words and its causes; quotes, brackets and numbers may hold data."""
    error = ValueError("Failing row contains (Jane, Doe, 0170 1234567)\nJane")
    error.__cause__ = KeyError("jane@example.com")

    assert (
        str(describe_unforeseen(error))
        == "ValueError: Failing row contains …, caused by KeyError: …"
    )


def test_a_wait_that_nobody_named_is_no_wait_of_ours() -> None:
    """The report never changes the error's own wait."""
    error = ThrottledError("x", retry_after=5)

    assert without_promise(error, outlook="the next run goes on").retry_after == 5
