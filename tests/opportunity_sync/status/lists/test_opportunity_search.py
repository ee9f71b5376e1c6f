"""Tests of the search for opportunities, by the beginning of the name or by the id."""

# ruff: noqa: RUF001 - letters of other scripts are what is searched

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete

from opportunity_sync.model import OPPORTUNITY
from opportunity_sync.status import find_opportunities
from opportunity_sync.status.lists.listing import Question, QuestionError
from opportunity_sync.store.schema.tables import store_column
from statement_plans import watching_plans
from store_rows import NOON, guid, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

NAMES = ("Alpha", "ALPINE tour", "alp", "Beta", "Ärger", "100% off", None)


@pytest.fixture
def named(engine: Engine) -> Engine:
    """A store with an opportunity of each name, numbered from 1."""
    rows = [
        {"id": number, "name": name, "account_id": guid(99), "modified_at": NOON}
        for number, name in enumerate(NAMES, start=1)
    ]
    write(engine, OPPORTUNITY, *rows)
    return engine


def found(engine: Engine, search: str, **how: Any) -> list[str | None]:
    """The names that a search finds, in their order."""
    with engine.connect() as connection:
        answer = find_opportunities(connection, Question(search=search, **how))
    return [row["name"] for row in answer.rows]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("al", ["alp", "Alpha", "ALPINE tour"]),
        ("ALP", ["alp", "Alpha", "ALPINE tour"]),
        (" beta ", ["Beta"]),
        ("ärg", ["Ärger"]),
        ("100%", ["100% off"]),
        ("%", []),
        ("lpha", []),
        (guid(4).upper(), ["Beta"]),
        (guid(7), [None]),
    ],
)
def test_names_are_found_by_their_beginning_whatever_the_case(
    named: Engine, search: str, expected: list[str | None]
) -> None:
    """A whole id is that of one opportunity; no character has a meaning of its own."""
    assert expected == found(named, search)


def test_a_match_is_told_with_what_leads_on(named: Engine) -> None:
    """The columns by which a page shows it."""
    with named.connect() as connection:
        answer = find_opportunities(connection, Question(search="beta"))
    row = {"name": "Beta", "opportunity_id": guid(4), "account_id": guid(99)}
    assert answer.rows == [row | {"modified_at": NOON, "is_deleted": False}]
    assert (answer.total, answer.more) == (1, False)


def test_matches_come_page_by_page_in_either_order(named: Engine) -> None:
    """The second page goes on where the first one ends."""
    assert found(named, "al", per_page=2, page=2) == ["ALPINE tour"]
    assert found(named, "al", per_page=2, sort="-name") == ["ALPINE tour", "Alpha"]
    with pytest.raises(QuestionError, match="can't be sorted"):
        found(named, "al", sort="stage")


def test_without_names_ids_are_searched(named: Engine) -> None:
    """Somebody who selects no names still finds an opportunity by how its id begins."""
    with named.connect() as connection:  # which keeps nothing of it
        connection.execute(delete(store_column).where(store_column.c.source == "name"))
        answer = find_opportunities(connection, Question(search=guid(3)[:8]))
    assert [row["opportunity_id"] for row in answer.rows] == [guid(3)]


@pytest.mark.parametrize("search", ["al", "ärg", guid(4)])
def test_no_search_looks_through_all_opportunities(named: Engine, search: str) -> None:
    """Each finds its rows by an index."""
    with named.connect() as connection:
        if named.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL enable_seqscan TO off")
        with watching_plans() as readings:
            find_opportunities(connection, Question(search=search))
    assert [each for each in readings if each.in_sequence and each.table == "opportunity"] == []


FOREIGN = (
    "ООО Ромашка",
    "Société à Évry",
    "Büro ÖÄÜ",
    "山田\u3000太郎",
    "ΌΣΟΣ",
    "[Über] \\ (a|b)*",
)


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("spell", [str, str.lower, str.upper, str.title, str.swapcase])
def test_names_of_every_script_are_found_in_any_case(
    engine: Engine, name: str, spell: Callable[[str], str]
) -> None:
    """Typed to the letter, and in every other case, also where the database knows ASCII only."""
    write(engine, OPPORTUNITY, *({"id": n, "name": each} for n, each in enumerate(FOREIGN, 1)))
    if len(spell(name)) == len(name) and spell(name).lower() == name.lower():
        assert found(engine, spell(name)) == [name]
        assert found(engine, spell(name[:-1])) == [name]


def test_a_name_is_compared_to_its_last_letter(engine: Engine) -> None:
    """Though only its first letters are looked up by the index."""
    write(engine, OPPORTUNITY, {"id": 1, "name": "ООО Ромашка"}, {"id": 2, "name": "ООО Ромашки"})
    assert found(engine, "ооо ромашки") == ["ООО Ромашки"]


@pytest.mark.parametrize("sort", ["name", "opportunity_id", "account_id", "modified_at"])
def test_matches_are_sorted_by_every_column_that_is_shown(named: Engine, sort: str) -> None:
    """Up and down; what has no value comes last."""
    assert len(found(named, "al", sort=sort)) == 3
    assert len(found(named, "", sort=f"-{sort}")) == len(NAMES)
    assert found(named, "", sort="name")[-1] is None
    assert found(named, "", sort="-name")[-1] is None
    assert found(named, "al", sort="-opportunity_id") == ["alp", "ALPINE tour", "Alpha"]


@pytest.mark.parametrize("search", ["", "ооо ромашка"])
def test_no_list_of_opportunities_is_read_from_end_to_end(named: Engine, search: str) -> None:
    """Also without a search, and where each spelling is looked up."""
    with named.connect() as connection:
        if named.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL enable_seqscan TO off")
        with watching_plans() as readings:
            find_opportunities(connection, Question(search=search, sort="-name"))
    whole = [each for each in readings if each.in_sequence and each.table == "opportunity"]
    # To count without a search takes the first 10,001 as they come.
    assert [each for each in whole if "count(*)" not in each.statement] == []
