"""The Marketo store: its tables, and the few set-based ways in which a run may change them.

Every function takes a `Connection` inside a transaction that the caller opened with
`lock.locked`, `lock.writing` or `lock.reading`, and never commits: a run's rows, roles, state
and book-keeping arrive together or not at all.
"""

from __future__ import annotations

from sqlalchemy import Connection

from opportunity_sync.store.associations import write_roles, write_unresolved
from opportunity_sync.store.counts import Counts
from opportunity_sync.store.deletions import count_live, holds_all, live_versions, write_deleted
from opportunity_sync.store.engine import store_engine
from opportunity_sync.store.facts import find_facts
from opportunity_sync.store.labels import write_labels
from opportunity_sync.store.lock import locked, reading, writing
from opportunity_sync.store.migrate import migrate
from opportunity_sync.store.rows import write_account_changes, write_rows
from opportunity_sync.store.runs import (
    begin_run,
    end_run,
    outcome_of,
    record_errors,
    rows_changed_by,
)
from opportunity_sync.store.state import (
    DeltaLink,
    StoreState,
    begin_epoch,
    bump_revision,
    claim_organization,
    forget_delta_link,
    move_delta_link,
    move_watermark,
    read_state,
)

__all__ = [
    "Connection",
    "Counts",
    "DeltaLink",
    "StoreState",
    "begin_epoch",
    "begin_run",
    "bump_revision",
    "claim_organization",
    "count_live",
    "end_run",
    "find_facts",
    "forget_delta_link",
    "holds_all",
    "live_versions",
    "locked",
    "migrate",
    "move_delta_link",
    "move_watermark",
    "outcome_of",
    "read_state",
    "reading",
    "record_errors",
    "rows_changed_by",
    "store_engine",
    "write_account_changes",
    "write_deleted",
    "write_labels",
    "write_roles",
    "write_rows",
    "write_unresolved",
    "writing",
]
