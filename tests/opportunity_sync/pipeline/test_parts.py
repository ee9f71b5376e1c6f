"""What pages say beside their rows is gathered page by page, each reason once."""

from __future__ import annotations

from opportunity_sync.errors import DataError
from opportunity_sync.pipeline.parts import PartState, Reading, Reason, Refusals, Refused


def test_refusals_of_many_pages_are_gathered_with_each_reason_once() -> None:
    """In the order of the pages; what was gathered before is kept as it is, not gone through."""
    reasons = [Reason("modifiedon", "invalid_value", f"is wrong ({kind})") for kind in range(3)]
    pages = [
        [Refused(f"{page}-{record}", record, reasons[(page + record) % 3]) for record in range(4)]
        for page in range(5)
    ]
    reading = Reading()
    for page in pages:
        before = reading.refusals.records
        reading.add(PartState(refusals=Refusals.gathered(page)), 0)
        assert all(old is new for old, new in zip(before, reading.refusals.records, strict=False))

    assert list(reading.refusals) == [refused for page in pages for refused in page]
    assert len(reading.refusals.reasons) == len(reasons)


def an_error(record_id: str | None, version: int | None = None) -> DataError:
    """What a decoder says of a contact whose date is none."""
    return DataError(
        "is not a date", entity="contact", record_id=record_id, field="createdon", version=version
    )


def test_a_decoder_s_errors_become_refusals() -> None:
    """With what is known of each record."""
    reason = Reason("createdon", "DataError", "is not a date")

    found = Refusals.of([an_error("c1", 3), an_error(None)])

    assert list(found) == [Refused("c1", 3, reason), Refused(None, None, reason)]


def test_records_that_are_refused_alike_share_one_reason() -> None:
    """It names the column and no record: a bad page has thousands of them."""
    found = Refusals.of([an_error(f"c{number}", number) for number in range(5000)])

    assert found.reasons == (Reason("createdon", "DataError", "is not a date"),)
    assert len(found) == 5000
