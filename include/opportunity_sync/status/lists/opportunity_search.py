"""Finds opportunities by what people know of them: how the name begins, or the id.

The name is searched by the index that is made with its column; a user may not have selected it.
Nobody leafs through a million names, but types one more letter: so only the first 10,000 are shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, and_, column, func, or_, select

from opportunity_sync.dynamics import is_guid
from opportunity_sync.model import OPPORTUNITY
from opportunity_sync.status.lists.listing import COUNTED, LAST_CHARACTER, Answer, QuestionError
from opportunity_sync.status.records.record_names import name_columns
from opportunity_sync.store.schema.folded_names import SEARCHED, FoldedName
from opportunity_sync.store.schema.tables import public_table

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

    from opportunity_sync.status.lists.listing import Question

# Databases may fold the case of ASCII letters only: of others these spellings are searched.
_SPELLINGS = (str.lower, str.upper, str.capitalize, str.title)
_SHOWN = ("opportunity_id", "account_id", "modified_at", "is_deleted")


def find_opportunities(connection: Connection, question: Question) -> Answer:
    """A page of the opportunities whose name begins so, or the one that has this id.

    Sorted by `name`, or by `opportunity_id` where the store has no names; then ids are searched by
    their beginning. Raises `QuestionError` for another sort.
    """
    names = name_columns(connection, OPPORTUNITY)
    name: ColumnElement[Any] | None = column(names[0], Text) if names else None
    order = _order(question, name)
    found = _matches(question.search.strip(), name)
    some = found.limit(COUNTED + 1).subquery("some")
    total = connection.scalar(select(func.count()).select_from(some)) or 0
    start = (question.page - 1) * question.per_page
    rows = connection.execute(
        found.order_by(*order)
        .offset(min(start, COUNTED))
        .limit(min(question.per_page, max(0, COUNTED - start)))
    ).mappings()
    more = total > COUNTED
    return Answer(rows=[dict(row) for row in rows], total=None if more else total, more=more)


def _order(question: Question, name: ColumnElement[Any] | None) -> list[ColumnElement[Any]]:
    key: ColumnElement[Any] = public_table(OPPORTUNITY).c.opportunity_id
    sort = "opportunity_id" if name is None else "name"
    if (question.sort or sort).removeprefix("-") != sort:
        raise QuestionError(
            f"Opportunities can't be sorted by {question.sort!r}.",
            next_step=f"sort by {sort}, with - before it for descending.",
        )
    columns = [key] if name is None else [FoldedName(name), key]
    is_descending = (question.sort or "").startswith("-")
    return [each.desc() for each in columns] if is_descending else columns


def _matches(prefix: str, name: ColumnElement[Any] | None) -> Select[tuple[Any, ...]]:
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
    spellings = {prefix} if prefix.isascii() else {spell(prefix) for spell in _SPELLINGS}
    begins = (_begins_with(folded, func.lower(each[:SEARCHED])) for each in sorted(spellings))
    return query.where(or_(*begins))


def _begins_with(text: ColumnElement[str], prefix: Any) -> ColumnElement[bool]:
    return and_(text >= prefix, text < prefix + LAST_CHARACTER)
