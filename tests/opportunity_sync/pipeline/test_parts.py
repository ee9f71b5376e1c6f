"""What many pages refused is gathered page by page, each reason once."""

from __future__ import annotations

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
