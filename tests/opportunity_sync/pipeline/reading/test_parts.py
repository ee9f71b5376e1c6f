"""What pages say beside their rows is gathered page by page, each reason once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from opportunity_sync.errors import DataError
from opportunity_sync.pipeline.reading.parts import PartState, Reading, Reason, Refusals, Refused

if TYPE_CHECKING:
    from opportunity_sync.pipeline.reading.parts import Way


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
        reading.add(PartState(refusals=Refusals.gather(page)), 0)
        assert all(old is new for old, new in zip(before, reading.refusals.records, strict=False))

    assert list(reading.refusals) == [refused for page in pages for refused in page]
    assert len(reading.refusals.reasons) == len(reasons)


WRONG = Reason("modifiedon", "invalid_value", "is wrong")
MISSING = Reason("name", "missing_value", "is missing")


def a_refusal(record_id: str | None = "r1", version: int | None = 3) -> Refused:
    """One refused record."""
    return Refused(record_id, version, WRONG)


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


def test_nothing_refused_is_empty_and_adds_nothing() -> None:
    """A page without refusals is the usual one."""
    one = Refusals.gather([a_refusal()])

    assert (len(Refusals()), list(Refusals())) == (0, [])
    assert one.with_page(Refusals()) == one
    assert Refusals().with_page(one) == one


@pytest.mark.parametrize(
    ("refused", "known", "is_listed"),
    [
        (a_refusal("r1", 3), {"r1": 3}, True),
        (a_refusal("r1", 4), {"r1": 3}, False),
        (a_refusal("r1", 3), {"r1": None}, False),
        (a_refusal("r1", None), {"r1": None}, True),
        (a_refusal("r1", None), {}, False),
        (a_refusal("r2", 3), {"r1": 3}, False),
        (a_refusal(None, 3), {"r1": 3}, False),
    ],
)
def test_a_record_is_listed_at_its_very_version(
    refused: Refused, known: dict[str, int | None], is_listed: bool
) -> None:
    """A record that changed, and one that nobody can name, is refused anew."""
    assert refused.is_listed(known) == is_listed


def test_a_part_s_state_comes_back_from_json() -> None:
    """It lies in the footer of a file, where a retry finds it."""
    state = PartState(
        next_link="https://example.com/2",
        deleted_ids=("d1", "d2"),
        way="link",
        fields=("email",),
        refusals=Refusals.gather([a_refusal(), a_refusal(None, None)]),
        requests=2,
    )

    assert PartState.from_dict(json.loads(json.dumps(state.to_dict()))) == state


def test_a_reading_adds_its_parts_up() -> None:
    """The last part tells how it ended, the sums are over all of them."""
    reading = Reading()
    first = PartState(way="whole", fields=("email",), requests=1, replaced=2, deleted_ids=("d",))
    reading.add(first, 500)
    last = PartState(way="whole", fields=("email",), requests=3, unidentified=1, delta_link="link")
    reading.add(last, 20)

    assert (reading.rows, reading.pages, reading.requests) == (520, 2, 4)
    assert (reading.replaced, reading.unidentified, reading.deletions) == (2, 1, 1)
    assert (reading.way, reading.fields, reading.delta_link) == ("whole", ("email",), "link")
    assert Reading.from_dict(json.loads(json.dumps(reading.to_dict()))) == reading


@pytest.mark.parametrize(
    ("way", "is_whole", "is_delta"),
    [
        ("whole", True, False),
        ("window", False, False),
        ("link", False, True),
        ("offer", False, True),
        ("ids", False, False),
    ],
)
def test_only_a_whole_reading_shows_what_is_gone(way: Way, is_whole: bool, is_delta: bool) -> None:
    """Links show it by tombstones, the other ways not at all."""
    reading = Reading()
    reading.add(PartState(way=way), 1)

    assert (reading.is_whole, reading.is_delta) == (is_whole, is_delta)


@pytest.mark.parametrize(
    ("rows", "known", "is_refused"),
    [(0, {}, True), (1, {}, False), (0, {"r1": 3, "r2": 3}, False), (0, {"r1": 3}, True)],
)
def test_a_page_is_refused_when_no_row_passes_and_one_is_new(
    rows: int, known: dict[str, int | None], is_refused: bool
) -> None:
    """Records that are refused every time are no sign that something has changed."""
    reading = Reading()
    refusals = Refusals.gather([a_refusal("r1"), a_refusal("r2")])

    reading.add(PartState(refusals=refusals), rows)

    assert reading.has_refused_page(known) == is_refused


def test_a_refused_page_is_remembered_over_good_ones() -> None:
    """An empty page is none."""
    reading = Reading()
    reading.add(PartState(), 0)
    assert not reading.has_refused_page({})
    reading.add(PartState(refusals=Refusals.gather([a_refusal()])), 0)
    reading.add(PartState(), 500)
    assert reading.has_refused_page({})
