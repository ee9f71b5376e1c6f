"""What the log says of a page: enough to act on, and never as much as the page itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from opportunity_sync.errors import DataError
from opportunity_sync.model import CONTACT
from opportunity_sync.pipeline import extraction

if TYPE_CHECKING:
    from sync_runs import SyncRuns


def refused(count: int, field: str | None) -> list[DataError]:
    """So many refused rows of one column."""
    return [
        DataError("is not a date", entity="contact", record_id=f"{n:036}", field=field)
        for n in range(count)
    ]


def test_a_bad_page_is_ten_lines_and_a_count(caplog: pytest.LogCaptureFixture) -> None:
    """The first ten records of a table are named, the others of each page counted by column."""
    caplog.set_level(logging.WARNING)
    pages = [refused(7, "createdon"), [*refused(4990, "createdon"), *refused(3, None)]]
    said = 0
    for page in pages:
        extraction._report_refused(CONTACT, page, said=said)
        said += len(page)

    named = [line for line in caplog.messages if "is not a date" in line]
    assert len(named) == extraction._REFUSALS_SAID
    assert caplog.messages[-1] == (
        "contacts: refused as well, by column: createdon: 4,987, the whole row: 3"
    )
    assert len(caplog.messages) == extraction._REFUSALS_SAID + 1


@pytest.mark.parametrize(
    ("rows", "rate", "expected"),
    [
        (0, 100, ""),
        (-5, 100, ""),
        (500, 0, ""),
        (500, 100, ", less than a minute to go"),
        (60_000, 100, ", about 10 min to go"),
        (1_000_000, 100, ", about 2 h 47 min to go"),
    ],
)
def test_the_time_that_is_left_is_told(rows: int, rate: float, expected: str) -> None:
    """In the unit that a person plans in; nothing where it is not known."""
    assert extraction.say_time_left(rows, rate=rate) == expected


def test_a_long_whole_read_tells_its_total(
    sqlite_runs: SyncRuns, caplog: pytest.LogCaptureFixture
) -> None:
    """From the fifth page on; before, the read may be over sooner than the question is answered."""
    caplog.set_level(logging.INFO)
    settings = sqlite_runs.settings.model_copy(update={"page_size": 20})
    sqlite_runs.settings = settings

    sqlite_runs.extract(sqlite_runs.begin(), "extract_opportunities")

    pages = [line for line in caplog.messages if line.startswith("opportunities: page ")]
    assert [" of about 150 rows so far" in line for line in pages] == [False] * 4 + [True] * 4


def test_a_total_that_is_not_told_holds_no_read_up(
    sqlite_runs: SyncRuns, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked for once: a server that has no answer to it costs a read no tries and waits."""
    caplog.set_level(logging.INFO)
    sqlite_runs.settings = sqlite_runs.settings.model_copy(update={"page_size": 20})
    faults = sqlite_runs.sandbox.faults
    fault = faults.add("status", "RetrieveTotalRecordCount", times=1000, status=503)

    summaries = sqlite_runs.extract(sqlite_runs.begin(), "extract_opportunities")

    assert fault.struck == 1
    assert summaries["opportunity"]["rows"] == 150
    assert "how many rows there are can't be asked" in caplog.text


@pytest.mark.parametrize("total", ["1e999", "1" + "0" * 400, "-1", '"150"', "true", "null"])
def test_a_total_that_is_no_number_of_rows_holds_no_read_up(
    sqlite_runs: SyncRuns, caplog: pytest.LogCaptureFixture, total: str
) -> None:
    """Whatever is answered: nothing but the log and the page's bar needs it."""
    caplog.set_level(logging.INFO)
    sqlite_runs.settings = sqlite_runs.settings.model_copy(update={"page_size": 20})
    body = f'{{"EntityRecordCountCollection":{{"Count":1,"Values":[{total}]}}}}'
    faults = sqlite_runs.sandbox.faults
    faults.add("status", "RetrieveTotalRecordCount", times=9, status=200, body=body)

    summaries = sqlite_runs.extract(sqlite_runs.begin(), "extract_opportunities")

    assert summaries["opportunity"]["rows"] == 150
    assert "how many rows there are can't be asked" in caplog.text
