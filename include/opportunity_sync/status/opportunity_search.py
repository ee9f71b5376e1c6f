"""Opportunities by the beginning of their name, for whoever has no id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync.model import OPPORTUNITY
from opportunity_sync.status.listing import Answer, Listing, Question, answer_page, empty_answer
from opportunity_sync.store.schema.tables import public_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

_SHOWN = ("opportunity_id", "name", "account_id", "modified_at")


def find_opportunities(connection: Connection, question: Question) -> Answer:
    """A page of the opportunities whose name begins with the text, whatever its case."""
    table = public_table(OPPORTUNITY)
    if "name" not in table.c or not question.search.strip():
        return empty_answer()
    listing = Listing(table, sorts=_SHOWN, default_sort="name", searched=("name",), is_lower=False)
    return answer_page(
        connection, listing, question, render=lambda row: {name: row[name] for name in _SHOWN}
    )
