"""The Marketo store: its tables, and the few set-based ways in which a run may change them.

Every function takes a `Connection` inside a transaction that the caller opened with
`lock.locked`, `lock.writing` or `lock.reading`, and never commits: a run's rows, roles, state
and book-keeping arrive together or not at all.
"""

from __future__ import annotations

from sqlalchemy import Connection

from opportunity_sync.store.associations import write_roles, write_unresolved
from opportunity_sync.store.change import Change
from opportunity_sync.store.counts import Counts
from opportunity_sync.store.deletions import count_live, holds_all, live_versions, write_deleted
from opportunity_sync.store.engine import store_engine
from opportunity_sync.store.facts import find_facts
from opportunity_sync.store.labels import known_labels, write_labels
from opportunity_sync.store.lock import locked, reading, writing
from opportunity_sync.store.migrate import migrate
from opportunity_sync.store.owed import count_owed, owed_ids, remember_owed, settle_owed
from opportunity_sync.store.refused import due_refused, note_refused, pass_refused, refused_ids
from opportunity_sync.store.rows import holds_nothing, write_account_changes, write_rows
from opportunity_sync.store.runs import (
    begin_run,
    end_run,
    fail_run,
    outcome_of,
    record_errors,
    rows_changed_by,
)
from opportunity_sync.store.state import (
    DeltaLink,
    StoreState,
    begin_epoch,
    bump_revision,
    check_organization,
    claim_organization,
    complete_columns,
    correct_watermark,
    forget_delta_link,
    forget_readings,
    move_delta_link,
    move_watermark,
    newest_modified_at,
    read_state,
    want_columns,
)
from opportunity_sync.store.sync_filter import forget_filter, holds_no

__all__ = [
    "Change",
    "Connection",
    "Counts",
    "DeltaLink",
    "StoreState",
    "begin_epoch",
    "begin_run",
    "bump_revision",
    "check_organization",
    "claim_organization",
    "complete_columns",
    "correct_watermark",
    "count_live",
    "count_owed",
    "due_refused",
    "end_run",
    "fail_run",
    "find_facts",
    "forget_delta_link",
    "forget_filter",
    "forget_readings",
    "holds_all",
    "holds_no",
    "holds_nothing",
    "known_labels",
    "live_versions",
    "locked",
    "migrate",
    "move_delta_link",
    "move_watermark",
    "newest_modified_at",
    "note_refused",
    "outcome_of",
    "owed_ids",
    "pass_refused",
    "read_state",
    "reading",
    "record_errors",
    "refused_ids",
    "remember_owed",
    "rows_changed_by",
    "settle_owed",
    "store_engine",
    "want_columns",
    "write_account_changes",
    "write_deleted",
    "write_labels",
    "write_roles",
    "write_rows",
    "write_unresolved",
    "writing",
]
