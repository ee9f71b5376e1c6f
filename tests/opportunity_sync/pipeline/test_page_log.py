"""What the log says of a page: enough to act on, and never as much as the page itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from opportunity_sync.errors import DataError
from opportunity_sync.model import CONTACT
from opportunity_sync.pipeline import extraction

if TYPE_CHECKING:
    import pytest


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
