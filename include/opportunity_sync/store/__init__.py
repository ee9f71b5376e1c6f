"""The Marketo store: its tables, and the few set-based ways in which a run may change them.

A function that takes a `Connection` works inside a transaction that the caller has opened with
`lock_store`, `writing` or `read_store`, and never commits. So a run's rows, roles, state and books
arrive together or not at all.
"""

from __future__ import annotations

from sqlalchemy import Connection

from opportunity_sync.store.books.backlog import note_backlog
from opportunity_sync.store.books.column_shares import measure_shares, record_shares
from opportunity_sync.store.books.left_out_fields import LeftOutField, note_left_out
from opportunity_sync.store.books.owed_columns import (
    WHOLE_RECORD,
    count_owed_by_column,
    owe_rows_since,
    owed_ids,
    remember_owed,
)
from opportunity_sync.store.books.refused_records import (
    due_refused,
    note_refused,
    pass_refused,
    refused_ids,
)
from opportunity_sync.store.books.selections import (
    SelectionChange,
    note_selection,
    selection_changed_at,
)
from opportunity_sync.store.books.state import (
    DeltaLink,
    StoreState,
    begin_epoch,
    bump_revision,
    check_organization,
    claim_organization,
    complete_columns,
    correct_watermark,
    forget_delta_link,
    forget_interpretations,
    forget_other_interpretations,
    move_delta_link,
    move_watermark,
    newest_modified_at,
    note_fill,
    note_organization_url,
    offer_link,
    organization_url,
    read_state,
    withdraw_offer,
)
from opportunity_sync.store.books.table_sizes import count_rows, holds_nothing
from opportunity_sync.store.journal.alerts import (
    Alert,
    AlertChange,
    change_alerts,
    is_alert_change,
    note_told,
    open_alerts,
    release_alerts,
)
from opportunity_sync.store.journal.checks import write_check
from opportunity_sync.store.journal.events import note_event
from opportunity_sync.store.journal.figures import Figures, read_figures
from opportunity_sync.store.journal.lags import lag_quantile
from opportunity_sync.store.journal.progress import note_progress
from opportunity_sync.store.journal.runs import (
    begin_run,
    count_filled,
    counted_updates,
    counts_of_attempt,
    end_run,
    fail_run,
    has_synced,
    last_failure,
    record_errors,
    seconds_per_request,
)
from opportunity_sync.store.journal.signs import Signs, read_signs
from opportunity_sync.store.journal.task_times import record_tasks
from opportunity_sync.store.journal.upkeep import forget_runs
from opportunity_sync.store.rows.associations import write_roles, write_unresolved
from opportunity_sync.store.rows.deletions import (
    count_live,
    holds_all,
    live_versions,
    write_deleted,
)
from opportunity_sync.store.rows.erasing import erase_contact, erased_ids
from opportunity_sync.store.rows.facts import find_facts
from opportunity_sync.store.rows.filling import fill_columns
from opportunity_sync.store.rows.history import note_deleted_rows, note_roles
from opportunity_sync.store.rows.labels import known_labels, write_labels
from opportunity_sync.store.rows.lost_filter import forget_filter, holds_no
from opportunity_sync.store.rows.purging import purge_deleted
from opportunity_sync.store.rows.whole_rows import write_account_changes, write_rows
from opportunity_sync.store.schema.tables import COUNTS, ROLE
from opportunity_sync.store.sessions.engine import existing_store, is_there, store_engine
from opportunity_sync.store.sessions.lock import lock_store, read_store, writing
from opportunity_sync.store.statements.bulk import take_statistics
from opportunity_sync.store.statements.change import Change
from opportunity_sync.store.statements.counts import Counts
from opportunity_sync.store.upgrade.made_columns import (
    FittedModel,
    Misfit,
    expect_columns,
    let_go_of_unread,
    stopped_columns,
    stopped_fields,
    want_columns,
)
from opportunity_sync.store.upgrade.migrate import (
    is_made,
    migrate,
    require_current,
    upgrade_tables,
)

__all__ = [
    "COUNTS",
    "ROLE",
    "WHOLE_RECORD",
    "Alert",
    "AlertChange",
    "Change",
    "Connection",
    "Counts",
    "DeltaLink",
    "Figures",
    "FittedModel",
    "LeftOutField",
    "Misfit",
    "SelectionChange",
    "Signs",
    "StoreState",
    "begin_epoch",
    "begin_run",
    "bump_revision",
    "change_alerts",
    "check_organization",
    "claim_organization",
    "complete_columns",
    "correct_watermark",
    "count_filled",
    "count_live",
    "count_owed_by_column",
    "count_rows",
    "counted_updates",
    "counts_of_attempt",
    "due_refused",
    "end_run",
    "erase_contact",
    "erased_ids",
    "existing_store",
    "expect_columns",
    "fail_run",
    "fill_columns",
    "find_facts",
    "forget_delta_link",
    "forget_filter",
    "forget_interpretations",
    "forget_other_interpretations",
    "forget_runs",
    "has_synced",
    "holds_all",
    "holds_no",
    "holds_nothing",
    "is_alert_change",
    "is_made",
    "is_there",
    "known_labels",
    "lag_quantile",
    "last_failure",
    "let_go_of_unread",
    "live_versions",
    "lock_store",
    "measure_shares",
    "migrate",
    "move_delta_link",
    "move_watermark",
    "newest_modified_at",
    "note_backlog",
    "note_deleted_rows",
    "note_event",
    "note_fill",
    "note_left_out",
    "note_organization_url",
    "note_progress",
    "note_refused",
    "note_roles",
    "note_selection",
    "note_told",
    "offer_link",
    "open_alerts",
    "organization_url",
    "owe_rows_since",
    "owed_ids",
    "pass_refused",
    "purge_deleted",
    "read_figures",
    "read_signs",
    "read_state",
    "read_store",
    "record_errors",
    "record_shares",
    "record_tasks",
    "refused_ids",
    "release_alerts",
    "remember_owed",
    "require_current",
    "seconds_per_request",
    "selection_changed_at",
    "stopped_columns",
    "stopped_fields",
    "store_engine",
    "take_statistics",
    "upgrade_tables",
    "want_columns",
    "withdraw_offer",
    "write_account_changes",
    "write_check",
    "write_deleted",
    "write_labels",
    "write_roles",
    "write_rows",
    "write_unresolved",
    "writing",
]
