"""The store's tables as data: those of the entities follow the model, the others stand here.

Public tables hold synced rows and change only by addition. Private ones keep what runs need of each
other: `fact_*` every row ever seen, excluded and deleted ones too, with the columns the association
rules read; `store_column` which selected columns the pipeline made, `owed_column` what a row was
written without; `choice_label`, `sync_state`.

No table of an entity is made at import: it is built from the entity that is asked about. The schema
that databases really get is written in `store/upgrade/migrations/`; a test keeps the two equal.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    false,
    true,
)

from opportunity_sync.core.sync_filter import is_excluded_sql, is_synced_sql
from opportunity_sync.model import VERSION, Entity
from opportunity_sync.store.schema.folded_names import FoldedName
from opportunity_sync.store.schema.types import STORED_AS, Identifier, Instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, FromClause

    from opportunity_sync.model import Column as StagedColumn
    from opportunity_sync.model import Model

_NAMES = {"pk": "pk_%(table_name)s"}
METADATA = MetaData(naming_convention=_NAMES)  # of the tables that stand whatever is selected

# Of entities whose public row carries an account that the rules derive, not the row itself.
ACCOUNT_ID = "account_id"

# What `sync_run_entity` counts beside the entities: the table that only the rules write.
ROLE = "role"
# What became of the rows that were read; these numbers add up to `read`.
OUTCOMES = ("inserted", "updated", "unchanged", "filtered", "refused", "superseded")
COUNTS = ("read", *OUTCOMES, "deleted", "rewritten", "compared")
OF_COLUMN = "column"  # in an index: the selected column with which it is made
# Rows of the store that are not as they were before.
CHANGES = ("inserted", "updated", "deleted", "rewritten")


def stored_column(column: StagedColumn) -> Column[Any]:
    """The store's column for a column of a staged frame."""
    return Column(column.name, STORED_AS[column.kind])


def _key_and_version(entity: Entity) -> tuple[Column[Any], ...]:
    return (
        Column(entity.key_column, Identifier, primary_key=True),
        Column(VERSION.name, BigInteger, nullable=False),
    )


def _is_deleted() -> Column[bool]:
    return Column("is_deleted", Boolean, nullable=False, server_default=false())


def _revision() -> Column[int]:
    """Number of the change that last touched the row; the default is for rows from before it."""
    return Column("revision", BigInteger, nullable=False, server_default="1")


def _index(table: Table, column: str) -> None:
    present = table.c[column].is_not(None)
    name = f"ix_{table.name}_{column}"
    Index(name, table.c[column], postgresql_where=present, sqlite_where=present)


@cache
def public_table(entity: Entity) -> Table:
    """The table of an entity that users read; to be asked only of one that has it."""
    with_account = entity.carries_account
    table = Table(
        entity.name,
        MetaData(naming_convention=_NAMES),
        *_key_and_version(entity),
        *(stored_column(column) for column in entity.public_columns),
        *((Column(ACCOUNT_ID, Identifier),) if with_account else ()),
        _is_deleted(),
        Column("deleted_at", Instant),
        Column("synced_at", Instant, nullable=False),
        _revision(),
    )
    Index(f"ix_{entity.name}_revision", table.c.revision)
    _index_deleted(table)
    if with_account:
        _index(table, ACCOUNT_ID)
    for name in _searched_names(entity):
        _index_name(table, name)
    return table


def _searched_names(entity: Entity) -> list[str]:
    """The columns that hold the name by which people look for a record; it may not be selected."""
    if not entity.is_found_by_name:
        return []
    return [field.column for field in entity.fields if field.source == entity.named_by[0]]


def _index_name(table: Table, name: str) -> None:
    Index(
        f"ix_{table.name}_by_{name}",
        FoldedName(table.c[name]),
        *table.primary_key,
        info={OF_COLUMN: name},
    )


def _index_deleted(table: Table) -> None:
    """Of the deleted rows alone, which are few: so live rows are counted without a look at them."""
    is_deleted = table.c.is_deleted == true()
    Index(
        f"ix_{table.name}_is_deleted",
        table.c.is_deleted,
        postgresql_where=is_deleted,
        sqlite_where=is_deleted,
    )


@cache
def fact_table(entity: Entity) -> Table:
    """The private table of everything ever seen of the entity."""
    table = Table(
        entity.fact_table,
        MetaData(naming_convention=_NAMES),
        *_key_and_version(entity),
        *(stored_column(column) for column in entity.fact_columns),
        _is_deleted(),
        Column("deleted_revision", BigInteger),
        Column("is_erased", Boolean, nullable=False, server_default=false()),
    )
    for column in entity.searched:
        _index(table, column)
    return table


def is_synced(entity: Entity, table: FromClause) -> ColumnElement[bool]:
    """Whether a row of a table that has the sync filter is not excluded by it."""
    if entity.sync_filter is None:
        return true()
    return is_synced_sql(table.c[entity.sync_filter])  # type: ignore[no-any-return]  # core knows no SQL


def is_excluded(entity: Entity, table: FromClause) -> ColumnElement[bool]:
    """Whether a row of a table that has the sync filter is excluded by it."""
    if entity.sync_filter is None:
        return false()
    return is_excluded_sql(table.c[entity.sync_filter])  # type: ignore[no-any-return]  # core knows no SQL


def _orders(table: str, columns: Sequence[str], *, key: Sequence[str]) -> list[Index]:
    """Indexes by which pages of a list are read in the order of any of these columns.

    Each ends with the key, so that no two rows are equal and a page needs no sorting.
    """
    return [
        Index(f"ix_{table}_by_{name}", name, *(part for part in key if part != name))
        for name in columns
    ]


opportunity_contact_role = Table(
    "opportunity_contact_role",
    METADATA,
    Column("opportunity_id", Identifier),
    Column("contact_id", Identifier),
    Column("role", Identifier),
    Column("is_primary", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    _is_deleted(),
    Column("deleted_at", Instant),
    Column("synced_at", Instant, nullable=False),
    _revision(),
    PrimaryKeyConstraint("opportunity_id", "contact_id", "role"),
    Index("ix_opportunity_contact_role_contact_id", "contact_id"),
    Index("ix_opportunity_contact_role_revision", "revision"),
)

unresolved_association = Table(
    "unresolved_association",
    METADATA,
    Column("opportunity_id", Identifier),
    Column("kind", Identifier),
    Column("reference_id", Identifier),
    Column("reason", Text, nullable=False),
    Column("first_seen_at", Instant, nullable=False),
    PrimaryKeyConstraint("opportunity_id", "kind", "reference_id"),
    *_orders(
        "unresolved_association",
        ("kind", "reference_id", "reason", "first_seen_at"),
        key=("opportunity_id", "kind", "reference_id"),
    ),
)

sync_run = Table(
    "sync_run",
    METADATA,
    Column("dag_id", Text),
    Column("run_id", Text),
    Column("mode", Text, nullable=False),
    Column("window_start", Instant),
    Column("window_end", Instant),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("outcome", Text, nullable=False),  # running, succeeded, failed
    Column("requests", BigInteger, nullable=False, server_default="0"),
    Column("replaced_characters", BigInteger, nullable=False, server_default="0"),
    Column("error", Text),
    Column("attempt", Text),
    Column("error_code", Text),
    PrimaryKeyConstraint("dag_id", "run_id"),
    Index("ix_sync_run_attempt", "attempt"),
    Index("ix_sync_run_success", "outcome", "ended_at"),
    *_orders(
        "sync_run",
        ("run_id", "mode", "started_at", "ended_at", "outcome"),
        key=("dag_id", "run_id"),
    ),
)

sync_run_entity = Table(
    "sync_run_entity",
    METADATA,
    Column("dag_id", Text),
    Column("run_id", Text),
    Column("entity", Text),
    *(Column(count, BigInteger, nullable=False, server_default="0") for count in COUNTS),
    PrimaryKeyConstraint("dag_id", "run_id", "entity"),
)

sync_error = Table(
    "sync_error",
    METADATA,
    Column("dag_id", Text),
    Column("run_id", Text),
    Column("position", BigInteger),
    Column("entity", Text, nullable=False),
    Column("record_id", Text),
    Column("field", Text),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    PrimaryKeyConstraint("dag_id", "run_id", "position"),
)

refused_row = Table(
    "refused_row",
    METADATA,
    Column("entity", Identifier),
    Column("record_id", Identifier),
    Column("field", Text),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column(VERSION.name, BigInteger),
    Column("first_seen_at", Instant, nullable=False),
    Column("last_tried_at", Instant, nullable=False),
    Column("tries", BigInteger, nullable=False),
    Column("dag_id", Text),
    Column("run_id", Text),
    Column("task_id", Text),
    Column("map_index", BigInteger),
    Column("next_try_at", Instant, nullable=False),
    Column("tried_by", Text, nullable=False),
    PrimaryKeyConstraint("entity", "record_id"),
    *_orders(
        "refused_row",
        ("record_id", "field", "code", "first_seen_at", "last_tried_at", "tries"),
        key=("entity", "record_id"),
    ),
)

owed_column = Table(
    "owed_column",
    METADATA,
    Column("entity", Identifier),
    Column("record_id", Identifier),
    Column("column_name", Identifier),  # '' stands for the whole record
    PrimaryKeyConstraint("entity", "record_id", "column_name"),
    Index("ix_owed_column_column_name", "entity", "column_name"),
)

store_column = Table(
    "store_column",
    METADATA,
    Column("entity", Identifier),
    Column("column_name", Identifier),
    Column("field", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("value_kind", Text, nullable=False),
    Column("is_wanted", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("entity", "column_name"),
)

sync_state = Table(
    "sync_state",
    METADATA,
    Column("entity", Text, primary_key=True),
    Column("watermark_at", Instant),
    Column("delta_link", Text),
    Column("whole_passes", BigInteger, nullable=False, server_default="0"),  # that gave a link
    Column("columns", Text),  # JSON: how each column that the whole table has was read
    Column("link_columns", Text),  # JSON, likewise: what the delta link was made with
    Column("offered_link", Text),  # of a quick sync's whole pass, for the running sync to take up
    Column("offered_columns", Text),  # JSON, as link_columns
    Column("fill_begun", Text),  # JSON: the columns, each with its reading, of the last quick sync
    Column("offered_at", BigInteger),  # the store's revision when a link was offered
)

sync_store = Table(
    "sync_store",
    METADATA,
    Column("singleton", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("organization_id", Identifier, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default="0"),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    Column("selections", Text),  # JSON: fingerprints of selected columns, the last one first
    Column("organization_url", Text),
)

choice_label = Table(
    "choice_label",
    METADATA,
    Column("entity", Text),
    Column("column_name", Text),
    Column("code", BigInteger),
    Column("label", Text, nullable=False),
    PrimaryKeyConstraint("entity", "column_name", "code"),
)


sync_run_task = Table(
    "sync_run_task",
    METADATA,
    Column("dag_id", Text),
    Column("run_id", Text),
    Column("task_id", Text),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    PrimaryKeyConstraint("dag_id", "run_id", "task_id"),
)

sync_run_progress = Table(
    "sync_run_progress",
    METADATA,
    Column("dag_id", Text),
    Column("run_id", Text),
    Column("entity", Identifier),
    Column("rows_read", BigInteger, nullable=False),
    Column("rows_expected", BigInteger),
    Column("is_whole", Boolean, nullable=False),
    Column("as_of", Instant, nullable=False),
    PrimaryKeyConstraint("dag_id", "run_id", "entity"),
)

sync_run_lag = Table(
    "sync_run_lag",
    METADATA,
    Column("dag_id", Text),
    Column("run_id", Text),
    Column("entity", Text),
    Column("seconds", BigInteger),  # upper bound of a class of lags
    Column("rows", BigInteger, nullable=False),
    PrimaryKeyConstraint("dag_id", "run_id", "entity", "seconds"),
)

sync_event = Table(
    "sync_event",
    METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("kind", Text, nullable=False),
    Column("entity", Text),
    Column("message", Text, nullable=False),
    Column("dag_id", Text),
    Column("run_id", Text),
    Index("ix_sync_event_at", "at"),
)

sync_check = Table(
    "sync_check",
    METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),  # passed, failed, unknown
    Column("asked", Text, nullable=False),
    Column("found", Text, nullable=False),
    Column("next_step", Text),
    Column("code", Text),
    Column("checked_at", Instant, nullable=False),
)

sync_alert = Table(
    "sync_alert",
    METADATA,
    Column("code", Text),
    Column("entity", Text),  # '' where it is of no single table
    Column("since", Instant, nullable=False),
    Column("told_at", Instant),
    Column("message", Text, nullable=False),
    Column("next_step", Text),
    Column("claimed_at", Instant),  # by who is telling it now
    PrimaryKeyConstraint("code", "entity"),
)

table_backlog = Table(
    "table_backlog",
    METADATA,
    Column("entity", Text, primary_key=True),
    Column("waiting", BigInteger),
    Column("oldest_waiting_at", Instant),
    Column("as_of", Instant, nullable=False),
)

left_out_field = Table(
    "left_out_field",
    METADATA,
    Column("entity", Identifier),
    Column("field", Identifier),
    Column("source", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("entity", "field"),
)

backlog_sample = Table(
    "backlog_sample",
    METADATA,
    Column("entity", Text),
    Column("as_of", Instant),
    Column("waiting", BigInteger, nullable=False),
    PrimaryKeyConstraint("entity", "as_of"),
    Index("ix_backlog_sample_as_of", "as_of"),
)

table_size = Table(
    "table_size",
    METADATA,
    Column("entity", Identifier, primary_key=True),
    Column("rows", BigInteger, nullable=False),
)

column_share = Table(
    "column_share",
    METADATA,
    Column("entity", Identifier),
    Column("column_name", Identifier),
    Column("filled_share", Double, nullable=False),
    Column("as_of", Instant, nullable=False),
    PrimaryKeyConstraint("entity", "column_name"),
)

history = Table(
    "history",
    METADATA,
    Column("opportunity_id", Identifier),
    Column("revision", BigInteger),
    Column("at", Instant, nullable=False),
    Column("dag_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("changes", Text, nullable=False),  # JSON: columns that changed; ids of account and roles
    PrimaryKeyConstraint("opportunity_id", "revision"),
    Index("ix_history_at", "at"),
)


def tables_of(model: Model) -> dict[str, Table]:
    """All tables of a store, by name."""
    public = [public_table(entity) for entity in model.public]
    facts = [fact_table(entity) for entity in model]
    return {table.name: table for table in (*public, *facts, *METADATA.tables.values())}
