"""Tests of lists: their pages are read by indexes alone, whatever they are sorted by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from opportunity_sync.status.lists.listing import Question, QuestionError
from opportunity_sync.status.lists.open_records import REFUSED, UNRESOLVED
from opportunity_sync.status.lists.timeline import RUNS

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from opportunity_sync.status.lists.listing import Listing

SORTED = [
    pytest.param(listing, sign + name, id=f"{listing.table.name} by {sign}{name}")
    for listing in (REFUSED, UNRESOLVED, RUNS)
    for name in listing.sorts
    for sign in ("", "-")
]


def steps(engine: Engine, listing: Listing, question: Question) -> str:
    """How the database would find the keys of a page, were the table large."""
    page = select(listing.page_of(question))
    statement = page.compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")
            return "\n".join(row[3] for row in rows)
        for way in ("seqscan", "bitmapscan", "sort"):
            connection.exec_driver_sql(f"SET LOCAL enable_{way} TO off")
        return "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}").scalars())


@pytest.mark.parametrize(("listing", "sort"), SORTED)
def test_a_page_comes_from_an_index_in_its_order(
    engine: Engine, listing: Listing, sort: str
) -> None:
    """The keys of a page are read from an index that has them in order: nothing is sorted."""
    found = steps(engine, listing, Question(page=7, sort=sort))
    by_index = {"sqlite": "USING COVERING INDEX", "postgresql": "Index Only Scan"}
    assert by_index[engine.dialect.name] in found
    assert [word for word in ("TEMP B-TREE", "Sort", "Seq Scan") if word in found] == []


@pytest.mark.parametrize("listing", [REFUSED, UNRESOLVED], ids=["refused", "unresolved"])
def test_a_prefix_is_searched_by_index(engine: Engine, listing: Listing) -> None:
    """A list of any length is not looked through for a prefix."""
    found = steps(engine, listing, Question(search="0A"))
    table = listing.table.name
    assert [word for word in (f"SCAN {table}", "Seq Scan") if word in found] == []


def test_what_is_no_page_is_refused() -> None:
    """A page before the first one, and one of too many rows, are refused."""
    for page, per_page in ((0, 50), (1, 0), (1, 501)):
        with pytest.raises(QuestionError):
            Question(page, per_page)


@pytest.mark.parametrize("search", ["\u3000", "a\u00a0b", "\u200c", "\u00ad", "👩\u200d💻"])
def test_characters_that_can_not_be_seen_are_searched(search: str) -> None:
    """They are in names: wide blanks, joiners, soft hyphens."""
    assert Question(search=search).search == search


@pytest.mark.parametrize("search", ["a\x00", "\ud800", "\U0010ffff"])
def test_characters_that_no_store_holds_are_refused(search: str) -> None:
    """Databases take none of them, or put them after all others."""
    with pytest.raises(QuestionError):
        Question(search=search)
