"""What a run's rows leave open is asked of Dynamics before anything is resolved or written."""

from __future__ import annotations

from opportunity_sync.pipeline.settling.answers import Answers, fetch_rows
from opportunity_sync.pipeline.settling.guards import (
    require_few_refusals,
    require_few_refused,
)
from opportunity_sync.pipeline.settling.open_questions import find_open_questions
from opportunity_sync.pipeline.settling.settle import gone_keys, settle

__all__ = [
    "Answers",
    "fetch_rows",
    "find_open_questions",
    "gone_keys",
    "require_few_refusals",
    "require_few_refused",
    "settle",
]
