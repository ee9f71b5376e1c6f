"""Finds opportunities by what people know of them: how the name begins, or the id.

The name is searched by the index that is made with its column; a user may not have selected it.
Nobody leafs through a million names, but types one more letter: so only the first 10,000 are shown.
Some databases fold the case of ASCII letters only. There each spelling of the first other letters
is looked up by the index, and what is found is compared letter by letter.
"""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, and_, column, func, or_, select, union_all

from opportunity_sync.dynamics import is_guid
from opportunity_sync.model import OPPORTUNITY
from opportunity_sync.status.lists.listing import COUNTED, LAST_CHARACTER, Answer, QuestionError
from opportunity_sync.status.records.record_names import name_columns
from opportunity_sync.store.schema.folded_names import SEARCHED, FoldedName
from opportunity_sync.store.schema.tables import public_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement, Connection, Select, Subquery

    from opportunity_sync.status.lists.listing import Question

    Names = ColumnElement[Any] | None

_LETTERS_SPELT = 6  # of two cases each: 64 spellings at most
_SHOWN = ("opportunity_id", "account_id", "modified_at", "is_deleted")


def find_opportunities(connection: Connection, question: Question) -> Answer:
    """A page of the opportunities whose name begins so, or the one that has this id.

    Sorted by a column that is shown, by `name` if not told otherwise, or by `opportunity_id` where
    the store has no names; then ids are searched by their beginning. Raises `QuestionError` for
    another sort.
    """
    names = name_columns(connection, OPPORTUNITY)
    name: Names = column(names[0], Text) if names else None
    sort, is_descending = _sort_of(question, name)
    found = _matches(connection, question.search.strip(), name)
    counted = found.limit(COUNTED + 1).subquery("counted")
    total = connection.scalar(select(func.count()).select_from(counted)) or 0
    start = (question.page - 1) * question.per_page
    end = min(start + question.per_page, COUNTED)
    is_in_order = sort == ("name" if names else "opportunity_id")
    some = _first_of(
        found,
        name,
        count=end if is_in_order else COUNTED,
        is_backwards=is_in_order and is_descending,
    )
    rows = connection.execute(
        select(some)
        .order_by(*_order(some.c, sort, is_descending=is_descending))
        .offset(min(start, COUNTED))
        .limit(max(0, end - start))
    ).mappings()
    more = total > COUNTED
    return Answer(rows=[dict(row) for row in rows], total=None if more else total, more=more)


def _sort_of(question: Question, name: Names) -> tuple[str, bool]:
    """The column to sort by, and whether descending."""
    known = [*_SHOWN] if name is None else ["name", *_SHOWN]
    asked = question.sort or known[0]
    if asked.removeprefix("-") not in known:
        raise QuestionError(
            f"Opportunities can't be sorted by {question.sort!r}.",
            next_step=f"sort by one of {', '.join(known)}, with - before it for descending.",
        )
    return asked.removeprefix("-"), asked.startswith("-")


def _order(columns: Any, sort: str, *, is_descending: bool) -> list[ColumnElement[Any]]:
    """What has no value comes last, either way."""
    by = FoldedName(columns.name) if sort == "name" else columns[sort]
    both = [by, columns.opportunity_id]
    return [(each.desc() if is_descending else each.asc()).nulls_last() for each in both]


def _first_of(found: Select[Any], name: Names, *, count: int, is_backwards: bool) -> Subquery:
    """The first of what is found by an index in its order, those without a name last."""
    key: ColumnElement[Any] = public_table(OPPORTUNITY).c.opportunity_id

    def cut(part: Select[Any], *order: ColumnElement[Any]) -> Select[Any]:
        ordered = part.order_by(*(each.desc() if is_backwards else each for each in order))
        return select(ordered.limit(count).subquery())

    if name is None:
        return cut(found, key).subquery("some")
    folded = FoldedName(name)
    named = cut(found.where(folded.is_not(None)), folded, key)
    return union_all(named, cut(found.where(folded.is_(None)), key)).subquery("some")


def _matches(connection: Connection, prefix: str, name: Names) -> Select[tuple[Any, ...]]:
    stored = public_table(OPPORTUNITY).c
    shown = [] if name is None else [name.label("name")]
    query = select(*shown, *(stored[each] for each in _SHOWN))
    if not prefix:
        return query
    if is_guid(prefix):
        return query.where(stored.opportunity_id == prefix.lower())
    if name is None:
        return query.where(_begins_with(stored.opportunity_id, prefix.lower()))
    folded = FoldedName(name)
    if _folds_case(connection, prefix):
        return query.where(_begins_with(folded, func.lower(prefix[:SEARCHED])))
    spelt = (_begins_with(folded, func.lower(each)) for each in _spellings(prefix[:SEARCHED]))
    return query.where(or_(*spelt), name.regexp_match(_in_any_case(prefix)))


def _folds_case(connection: Connection, prefix: str) -> bool:
    """Whether the database itself folds the case of every letter of this text."""
    return prefix.isascii() or connection.scalar(select(func.lower(prefix.upper()))) == (
        prefix.lower()
    )


def _spellings(prefix: str) -> Iterator[str]:
    """The beginning of the text in each case of its first letters beyond ASCII."""
    parts: list[list[str]] = []
    letters = 0
    for character in prefix:
        cases = [character] if character.isascii() else _cases(character)
        letters += len(cases) > 1
        if letters > _LETTERS_SPELT:
            break
        parts.append(cases)
    return map("".join, product(*parts))


def _cases(character: str) -> list[str]:
    """The forms of a letter that are one character, as it is in a text's index."""
    upper = character.upper()
    forms = {character, upper, upper.lower(), character.lower(), character.title()}
    return sorted(form for form in forms if len(form) == 1)


def _in_any_case(prefix: str) -> str:
    """A pattern of Python and of PostgreSQL alike: a text that begins so, whatever its case."""
    forms = (_cases(character) for character in prefix)
    return "^" + "".join(
        f"[{''.join(each)}]" if len(each) > 1 else re.escape(each[0]) for each in forms
    )


def _begins_with(text: ColumnElement[str], prefix: Any) -> ColumnElement[bool]:
    return and_(text >= prefix, text < prefix + LAST_CHARACTER)
