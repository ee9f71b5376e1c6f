"""What operators ask the store: how the sync stands, what it did, what it could not take, and why.

Each question takes a connection of `store.read_store` and gives plain values. Nothing is written,
nothing is asked of Dynamics: what is told of it was written down by runs. Whoever shows the answers
only renders them.
"""

from __future__ import annotations

from opportunity_sync.status.explained import explain_opportunity
from opportunity_sync.status.last_check import last_check
from opportunity_sync.status.lists.happenings import Happenings, list_events
from opportunity_sync.status.lists.listing import Answer, Question, QuestionError, empty_answer
from opportunity_sync.status.lists.open_records import (
    every_refused_record,
    every_unresolved_association,
    refused_records,
    unresolved_associations,
)
from opportunity_sync.status.lists.opportunity_search import find_opportunities
from opportunity_sync.status.lists.timeline import list_runs
from opportunity_sync.status.overview import Overview, broken_overview, empty_overview, overview
from opportunity_sync.status.selected_columns import selected_columns
from opportunity_sync.status.series import SPANS, series

__all__ = [
    "SPANS",
    "Answer",
    "Happenings",
    "Overview",
    "Question",
    "QuestionError",
    "broken_overview",
    "empty_answer",
    "empty_overview",
    "every_refused_record",
    "every_unresolved_association",
    "explain_opportunity",
    "find_opportunities",
    "last_check",
    "list_events",
    "list_runs",
    "overview",
    "refused_records",
    "selected_columns",
    "series",
    "unresolved_associations",
]
