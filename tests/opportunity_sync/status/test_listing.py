"""Tests of lists: their pages are read by indexes alone, whatever they are sorted by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text

from opportunity_sync.status.listing import Question, QuestionError
from opportunity_sync.status.open_records import REFUSED, UNRESOLVED
from opportunity_sync.status.timeline import RUNS

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from opportunity_sync.status.listing import Listing

SORTED = [
    pytest.param(listing, sign + name, id=f"{listing.table.name} by {sign}{name}")
    for listing in (REFUSED, UNRESOLVED, RUNS)
    for name in listing.sorts
    for sign in ("", "-")
]


def steps(engine: Engine, listing: Listing, question: Question) -> list[str]:
    """How SQLite would find the keys of a page, step by step."""
    page = select(listing.page_of(question))
    compiled = page.compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        return [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}"))]


@pytest.mark.parametrize(("listing", "sort"), SORTED)
def test_a_page_comes_from_an_index_in_its_order(
    empty_store: Engine, listing: Listing, sort: str
) -> None:
    """The keys of a page are read from an index that has them in order: nothing is sorted."""
    found = steps(empty_store, listing, Question(page=7, sort=sort))
    assert [step for step in found if "COVERING INDEX" not in step and "page" not in step] == []
    assert [step for step in found if "TEMP B-TREE" in step] == []


@pytest.mark.parametrize("listing", [REFUSED, UNRESOLVED], ids=["refused", "unresolved"])
def test_a_prefix_is_searched_by_index(empty_store: Engine, listing: Listing) -> None:
    """A list of any length is not looked through for a prefix."""
    found = steps(empty_store, listing, Question(search="0A"))
    table = listing.table.name
    assert [step for step in found if step.startswith(f"SCAN {table}")] == []


def test_what_is_no_page_is_refused() -> None:
    """A page before the first one, and one of too many rows, are refused."""
    for given in ({"page": 0}, {"per_page": 0}, {"per_page": 501}):
        with pytest.raises(QuestionError):
            Question(**given)
