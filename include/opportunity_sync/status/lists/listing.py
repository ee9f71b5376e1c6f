"""Pages of long lists: in an order that an index gives, found by prefix, counted only so far.

A list can have a million rows. So its key columns alone are paged through, by an index in the
wanted order, and only the rows of the page are fetched whole; and nobody counts beyond 10,000. Of
what a search finds, the first 10,000 are put in order, by what was searched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select, union

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import (
        ColumnCollection,
        ColumnElement,
        Connection,
        RowMapping,
        Select,
        Subquery,
        Table,
    )

    Columns = ColumnCollection[str, Any]

COUNTED = 10_000
MOST_PER_PAGE = 500
# Beyond it no list has rows, and databases no numbers.
LAST_PAGE = 1_000_000_000
LAST_CHARACTER = "\U0010ffff"  # a text with it comes after all that begin alike
# What no store holds. Others that can't be seen are in names: wide blanks, joiners, soft hyphens.
_NOWHERE = re.compile(rf"[\x00\ud800-\udfff{LAST_CHARACTER}]")


class QuestionError(ValueError):
    """A question that no list can answer: one sentence, and what to ask instead."""

    def __init__(self, problem: str, *, next_step: str) -> None:
        """Keep both parts apart, as answers show them."""
        self.problem = problem
        self.next_step = next_step
        super().__init__(f"{problem} Next step: {next_step}")


@dataclass(frozen=True, slots=True)
class Question:
    """Which page of a list is asked for; `sort` is a column, `-` before it for descending."""

    page: int = 1
    per_page: int = 50
    search: str = ""
    sort: str | None = None

    def __post_init__(self) -> None:
        """Refuse a page that can't be."""
        if not 1 <= self.per_page <= MOST_PER_PAGE:
            raise QuestionError(
                f"A page has 1 to {MOST_PER_PAGE} rows, and per_page is {self.per_page}.",
                next_step=f"ask with per_page from 1 to {MOST_PER_PAGE}.",
            )
        if not 1 <= self.page <= LAST_PAGE:
            raise QuestionError(
                f"Pages are counted from 1, and page is {self.page}.",
                next_step="ask for page 1 or a later one.",
            )
        if _NOWHERE.search(self.search):
            raise QuestionError(
                "The text to search for has characters that no list has.",
                next_step="search without them.",
            )


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a page; `total` is exact up to 10,000, then None with `more`."""

    rows: list[dict[str, Any]]
    total: int | None
    more: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A table as a list: columns to sort by, each with an index, and those that are searched.

    `small_sorts`: columns to sort by without an index in their order, of a list that is small.
    `is_lower`: the searched columns hold lower-case text in byte order, as ids of records do, and
    have indexes; others are compared one by one.
    """

    table: Table
    sorts: tuple[str, ...]
    default_sort: str
    searched: tuple[str, ...]
    is_lower: bool = True
    small_sorts: tuple[str, ...] = ()

    def rows(self, connection: Connection, question: Question) -> Sequence[RowMapping]:
        """The rows of the page that is asked for. Raises `QuestionError` for an unknown sort."""
        page = self.page_of(question)
        is_on_page = [self.table.c[name] == page.c[name] for name in self._key]
        query = select(self.table).join_from(page, self.table, and_(*is_on_page))
        rows = connection.execute(query.order_by(*self._order(question, self.table.c)))
        return rows.mappings().all()

    def page_of(self, question: Question) -> Subquery:
        """The keys of the page's rows."""
        found = self._searched_keys(question)
        ordered = found.order_by(*self._order(question, found.selected_columns))
        start = (question.page - 1) * question.per_page
        count = question.per_page
        if question.search.strip():
            start = min(start, COUNTED)
            count = min(count, COUNTED - start)
        return ordered.limit(count).offset(start).subquery("page")

    def total(self, connection: Connection, question: Question) -> int | None:
        """How many rows there are, None for more than 10,000."""
        some = self._searched_keys(question).limit(COUNTED + 1).subquery("some")
        total = connection.scalar(select(func.count()).select_from(some)) or 0
        return total if total <= COUNTED else None

    def every_row(self, connection: Connection, question: Question) -> Iterator[RowMapping]:
        """All rows that the question finds, whatever page it asks for, a few at a time."""
        found = self._searched_keys(question, is_whole=True).subquery("found")
        is_found = [self.table.c[name] == found.c[name] for name in self._key]
        query = select(self.table).join_from(found, self.table, and_(*is_found))
        ordered = query.order_by(*self._order(question, self.table.c))
        yield from connection.execution_options(yield_per=MOST_PER_PAGE).execute(ordered).mappings()

    @property
    def _key(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.primary_key)

    def _searched_keys(self, question: Question, *, is_whole: bool = False) -> Select[Any]:
        """Keys of the rows that are searched, and what they are put in order by.

        Of each searched column up to one more than is counted, unless `is_whole`.
        """
        names = dict.fromkeys([*self._key, self._sort_of(question)[0]])
        columns = [self.table.c[name] for name in names]
        prefix = question.search.strip().lower()
        if not prefix:
            return select(*columns)
        # Each part by its own index; one condition with OR would be a look at every row.
        matches = union(
            *(
                select(*columns).where(self._begins_with(name, prefix))
                if is_whole
                else self._first_matches(name, prefix, columns)
                for name in self.searched
            )
        )
        return select(*matches.subquery("matches").c)

    def _first_matches(
        self, name: str, prefix: str, columns: Sequence[ColumnElement[Any]]
    ) -> Select[Any]:
        """Rows in which a column begins so, in its order, up to one more than is counted.

        A short prefix can fit every row, and nobody looks through more than that.
        """
        begins = select(*columns).where(self._begins_with(name, prefix))
        found = begins.order_by(self.table.c[name]).limit(COUNTED + 1).subquery(f"by_{name}")
        return select(*found.c)

    def _begins_with(self, name: str, prefix: str) -> ColumnElement[bool]:
        column = self.table.c[name]
        if self.is_lower:
            return and_(column >= prefix, column < prefix + LAST_CHARACTER)
        return func.lower(column).startswith(prefix, autoescape=True)

    def _order(self, question: Question, columns: Columns) -> list[ColumnElement[Any]]:
        name, is_descending = self._sort_of(question)
        order = [columns[name], *(columns[key] for key in self._key if key != name)]
        return [_order_by(column, is_descending=is_descending) for column in order]

    def _sort_of(self, question: Question) -> tuple[str, bool]:
        """The column to sort by, and whether descending."""
        asked = question.sort or self.default_sort
        name = asked.removeprefix("-")
        if name not in (known := self.sorts + self.small_sorts):
            raise QuestionError(
                f"The list can't be sorted by {name!r}.",
                next_step=f"sort by one of {', '.join(known)}, with - before it for descending.",
            )
        return name, asked.startswith("-")


def _order_by(column: Any, *, is_descending: bool) -> ColumnElement[Any]:
    """What has no value comes last, either way: databases differ in where they put it."""
    ordered: ColumnElement[Any] = column.desc() if is_descending else column.asc()
    return ordered.nulls_last() if column.nullable else ordered


def answer_page(
    connection: Connection,
    listing: Listing,
    question: Question,
    *,
    render: Callable[[RowMapping], dict[str, Any]] = dict,
) -> Answer:
    """The page of a list, each row as `render` makes it. Raises `QuestionError`."""
    rows = [render(row) for row in listing.rows(connection, question)]
    total = listing.total(connection, question)
    return Answer(rows=rows, total=total, more=total is None)


def empty_answer() -> Answer:
    """The answer of a store that no run has made yet."""
    return Answer(rows=[], total=0, more=False)
