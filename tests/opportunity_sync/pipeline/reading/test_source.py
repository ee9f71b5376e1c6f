"""Where a reading starts: by the best way that there is, and what its end then proves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opportunity_sync.dynamics import ANNOTATIONS, TRACK_CHANGES, Plan
from opportunity_sync.model import CONTACT, DEFAULT_MODEL
from opportunity_sync.pipeline.reading.parts import PartState
from opportunity_sync.pipeline.reading.source import Source, sources_of
from opportunity_sync.pipeline.run import Baseline, Link, Run, Window

if TYPE_CHECKING:
    from opportunity_sync.pipeline.run import Mode

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
PLAN = Plan.complete(DEFAULT_MODEL)
ALL_FIELDS = PLAN.of(CONTACT).columns
LINK = Link("https://example.com/link", {"first_name": "", "parent": ""})
OFFERED = Link("https://example.com/offer", {"first_name": "", "parent": "", "phone": ""})


def sources(
    *, mode: Mode = "continue", fills: dict[str, tuple[str, ...]] | None = None, **known: Any
) -> list[Source]:
    """The ways to read contacts for a run that knows this of them."""
    known = {"window": Window(NOON)} | known
    run = Run(
        dag_id="a_dag",
        run_id="a_run",
        attempt="1",
        mode=mode,
        staging="memory://unused",
        started_at=NOON,
        model=DEFAULT_MODEL,
        plan=PLAN,
        tables={"contact": Baseline(**known)},
        fills=fills or {},
    )
    return list(sources_of(run, CONTACT))


def ways(found: list[Source]) -> list[tuple[str, bool]]:
    """How each source comes by rows, and whether it ends with a link."""
    return [(source.way, source.is_tracked) for source in found]


def test_an_untracked_table_is_read_by_its_window() -> None:
    """With all planned fields; absence from a window proves nothing."""
    (source,) = sources()

    assert (source.way, source.is_tracked, source.fields) == ("window", False, ALL_FIELDS)
    assert source.link == "contacts"
    assert source.params["$filter"] == "modifiedon ge 2024-05-01T12:00:00Z"
    assert source.prefer == (ANNOTATIONS,)


def test_a_window_without_bounds_reads_the_whole_table() -> None:
    """What does not come then may be gone."""
    (source,) = sources(window=Window())

    assert (source.way, source.is_tracked) == ("whole", False)
    assert "$filter" not in source.params


def test_a_range_by_creation_filters_by_creation() -> None:
    """A quick sync reads no more than the fields that it fills."""
    (source,) = sources(
        mode="fill", window=Window(NOON, None, "createdon"), fills={"contact": ("email",)}
    )

    assert source.fields == ("email",)
    assert source.params == {
        "$select": "contactid,versionnumber,emailaddress1",
        "$filter": "createdon ge 2024-05-01T12:00:00Z",
    }


def test_a_tracked_table_without_a_link_is_read_whole_once() -> None:
    """And the last page has the link: the window is of no use to it."""
    (source,) = sources(is_tracked=True)

    assert (source.way, source.is_tracked, source.fields) == ("whole", True, ALL_FIELDS)
    assert "$filter" not in source.params
    assert source.prefer == (ANNOTATIONS, TRACK_CHANGES)


def test_a_link_is_followed_and_a_whole_pass_stands_by() -> None:
    """For the day on which Dataverse refuses the link; it gives the fields it was made with."""
    first, second = sources(is_tracked=True, link=LINK)

    assert (first.link, first.params, first.fields) == (LINK.url, {}, ("first_name", "parent"))
    assert ways([first, second]) == [("link", True), ("whole", True)]


def test_the_offered_link_comes_after_the_stored_one() -> None:
    """What changed before the quick sync's pass must not be skipped."""
    found = sources(is_tracked=True, link=LINK, offered=OFFERED)

    assert ways(found) == [("link", True), ("offer", True), ("whole", True)]
    assert [source.link for source in found] == [LINK.url, OFFERED.url, "contacts"]


def test_a_table_that_waits_for_a_quick_sync_is_read_by_window_if_its_link_is_dead() -> None:
    """A whole pass would hold the running sync up, and the quick sync makes one anyway."""
    assert ways(sources(is_tracked=True, link=LINK, waiting=("phone",))) == [
        ("link", True),
        ("window", False),
    ]
    assert ways(sources(is_tracked=True, waiting=("phone",))) == [("whole", True)]


def test_a_reconciliation_lists_keys_and_versions() -> None:
    """Of every row, without annotations: there is no lookup whose table matters."""
    (source,) = sources(mode="reconcile", is_tracked=True, link=LINK)

    assert (source.way, source.is_tracked, source.fields) == ("whole", False, ())
    assert source.params == {"$select": "contactid,versionnumber"}
    assert source.prefer == ()


def test_a_reading_goes_on_after_the_part_that_was_staged_last() -> None:
    """As the part began, which may be another way than this run would choose now."""
    (source,) = sources(is_tracked=True)
    staged = PartState(next_link="https://example.com/2", way="link", fields=("parent",))

    after = source.after(staged)

    assert (after.link, after.params, after.way, after.fields) == (
        "https://example.com/2",
        {},
        "link",
        ("parent",),
    )
    assert after.is_tracked


def test_a_reading_that_began_by_window_ends_without_a_link() -> None:
    """Whoever asked for one would wait for it in vain."""
    (source,) = sources(is_tracked=True)

    assert source.after(PartState(way="window")).is_tracked is False
    assert source.after(PartState(way="window")).link == ""
