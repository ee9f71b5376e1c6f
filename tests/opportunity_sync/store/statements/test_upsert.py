"""Insert, change or leave alone: each row by itself, with one statement on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    MetaData,
    Table,
    Text,
    false,
    insert,
    select,
    true,
)

from opportunity_sync.store.schema.types import Identifier, Instant
from opportunity_sync.store.statements.counts import Counts
from opportunity_sync.store.statements.upsert import Upsert, upsert
from store_rows import NOON, content, later

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import Connection, Engine

BOOKS = Table(
    "book",
    MetaData(),
    Column("shelf", Identifier, primary_key=True),
    Column("order", BigInteger, primary_key=True),  # a word of SQL
    Column("title", Text),
    Column("is_lent", Boolean, nullable=False, server_default=false()),
    Column("synced_at", Instant, nullable=False),
    Column("first_seen_at", Instant),
    prefixes=["TEMPORARY"],
)
ARRIVED = Table(
    "arrived_book",
    MetaData(),
    Column("shelf", Identifier),
    Column("order", BigInteger),
    Column("title", Text),
    prefixes=["TEMPORARY"],
)


@pytest.fixture(params=["sqlite_engine", "shared_postgres_store"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A transaction with both tables, empty; it is rolled back."""
    engine: Engine = request.getfixturevalue(request.param)
    with engine.connect() as connection:
        BOOKS.create(connection)
        ARRIVED.create(connection)
        yield connection


def a_book(title: str | None = "Emma", *, shelf: str = "a", order: int = 1) -> dict[str, Any]:
    """A book that arrives."""
    return {"shelf": shelf, "order": order, "title": title}


def put(connection: Connection, *books: dict[str, Any], moment: datetime, **changes: Any) -> Counts:
    """Upsert the books at a moment: those of other titles are brought back, unless said else."""
    connection.execute(ARRIVED.delete())
    if books:
        connection.execute(insert(ARRIVED), [*books])
    counted = changes.pop("counted", True)
    given: dict[str, Any] = {
        "table": BOOKS,
        "rows": select(ARRIVED).where(true()),
        "compared": ["title"],
        "fixed": {"is_lent": False},
        "stamps": {"synced_at": moment},
        "inserted": {"first_seen_at": moment},
        "guard": lambda _given, differs: differs,
    }
    return upsert(connection, Upsert(**given | changes), counted=counted)


def lend(connection: Connection) -> None:
    """Give every book away."""
    connection.execute(BOOKS.update().values(is_lent=True))


def test_a_new_row_has_its_values_stamps_and_defaults(connection: Connection) -> None:
    """And what only new rows get."""
    assert put(connection, a_book(), moment=NOON) == Counts(inserted=1)
    new = {"is_lent": False, "synced_at": NOON, "first_seen_at": NOON}
    assert content(connection, BOOKS) == [a_book() | new]


def test_a_row_that_differs_is_written_with_fixed_values_and_stamps(
    connection: Connection,
) -> None:
    """What new rows got stays."""
    put(connection, a_book("Emma"), moment=NOON)
    lend(connection)
    assert put(connection, a_book("Persuasion"), moment=later()) == Counts(updated=1)
    changed = {"is_lent": False, "synced_at": later(), "first_seen_at": NOON}
    assert content(connection, BOOKS) == [a_book("Persuasion") | changed]


@pytest.mark.parametrize("title", ["Emma", "", None])
def test_a_row_that_is_equal_is_not_written(connection: Connection, title: str | None) -> None:
    """Null is equal to null; fixed values and stamps alone are no difference."""
    put(connection, a_book(title), moment=NOON)
    lend(connection)
    before = content(connection, BOOKS)
    assert put(connection, a_book(title), moment=later()) == Counts()
    assert before == content(connection, BOOKS)


@pytest.mark.parametrize(("old", "new"), [("Emma", None), (None, "Emma"), (None, ""), ("", None)])
def test_null_differs_from_every_value(
    connection: Connection, old: str | None, new: str | None
) -> None:
    """An empty text is a value, too."""
    put(connection, a_book(old), moment=NOON)
    assert put(connection, a_book(new), moment=later()) == Counts(updated=1)
    assert [book["title"] for book in content(connection, BOOKS)] == [new]


def test_the_guard_has_the_last_word(connection: Connection) -> None:
    """It may refuse a row that differs and ask for one that does not; new rows need none."""
    put(connection, a_book("Emma", order=1), a_book("Ulysses", order=2), moment=NOON)
    arriving = [a_book("Persuasion", order=1), a_book("Ulysses", order=2), a_book(order=3)]
    counts = put(
        connection,
        *arriving,
        moment=later(),
        guard=lambda given, _differs: given.title == BOOKS.c.title,
    )
    assert counts == Counts(inserted=1, updated=1)
    found = [(book["title"], book["synced_at"]) for book in content(connection, BOOKS)]
    assert found == [("Emma", NOON), ("Ulysses", later()), ("Emma", later())]


def test_each_part_of_a_key_counts(connection: Connection) -> None:
    """Rows that share a part of it are rows of their own."""
    put(connection, a_book(shelf="a", order=1), moment=NOON)
    counts = put(connection, a_book(shelf="a", order=2), a_book(shelf="b", order=1), moment=later())
    assert counts == Counts(inserted=2)
    assert [(book["shelf"], book["order"]) for book in content(connection, BOOKS)] == [
        ("a", 1),
        ("a", 2),
        ("b", 1),
    ]


def test_rows_that_do_not_arrive_stay(connection: Connection) -> None:
    """Nothing arriving at all is nothing to do."""
    put(connection, a_book(), moment=NOON)
    before = content(connection, BOOKS)
    assert put(connection, moment=later()) == Counts()
    assert put(connection, a_book(order=9), moment=later()) == Counts(inserted=1)
    assert content(connection, BOOKS)[:1] == before


def test_without_counting_everything_written_is_an_update(connection: Connection) -> None:
    """Facts are told by their public rows, so nobody asks which of them are new."""
    put(connection, a_book(order=1), a_book(order=2), moment=NOON)
    arriving = [a_book(order=1), a_book("Persuasion", order=2), a_book(order=3)]
    assert put(connection, *arriving, moment=later(), counted=False) == Counts(updated=2)
