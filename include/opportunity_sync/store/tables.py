"""The store's tables as data: those of the entities follow `entities.py`, the others stand here.

Public tables (`contract.md` section 4) hold synced rows and change only by addition. Private
ones keep what runs need of each other: `fact_*` every row ever seen, excluded and deleted ones
too, with the columns the association rules read; `owed_column` what a row was written without;
`choice_label`, `sync_state`, `sync_store`.
The schema that databases really get is written in `migrations/`; a test keeps the two equal.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    false,
)

from opportunity_sync import entities
from opportunity_sync.entities import CONTACT, ENTITIES, OPPORTUNITY, PUBLIC_ENTITIES, VERSION
from opportunity_sync.entities import Column as StagedColumn
from opportunity_sync.store.types import STORED_AS, Identifier, Instant

METADATA = MetaData(naming_convention={"pk": "pk_%(table_name)s"})

# Entities whose public row carries an account that the rules derive, not the row itself.
WITH_ACCOUNT = (OPPORTUNITY, CONTACT)
ACCOUNT_ID = "account_id"

# What `sync_run_entity` counts: rows of each entity, and of the table that only the rules write.
ROLE = "role"
COUNTED = (*(entity.name for entity in ENTITIES), ROLE)
# What became of the rows that were read; these numbers add up to `read`.
OUTCOMES = ("inserted", "updated", "unchanged", "filtered", "refused", "superseded")
COUNTS = ("read", *OUTCOMES, "deleted", "rewritten", "compared")
# Rows of the store that are not as they were before.
CHANGES = ("inserted", "updated", "deleted", "rewritten")

# Columns by which the rules find what a changed row affects; sparse ones are indexed sparsely.
_SEARCHED = {
    OPPORTUNITY: ("customer_id",),
    CONTACT: ("parent_id", "master_id"),
    entities.ACCOUNT: ("master_id",),
    entities.CONNECTION: ("record1_id", "record2_id", "record1_role_id", "record2_role_id"),
    entities.CONNECTION_ROLE: (),
}


def _text_ids(entity: entities.Entity) -> frozenset[str]:
    lookups = (field for field in entity.all_fields if field.kind is entities.Kind.LOOKUP)
    return frozenset({entity.key_column, *(field.columns[0].name for field in lookups)})


def stored(entity: entities.Entity, column: StagedColumn) -> Column[Any]:
    """The store's column for a column of the entity's staged frame."""
    is_id = column.name in _text_ids(entity)
    return Column(column.name, Identifier if is_id else STORED_AS[column.kind])


def _keyed(entity: entities.Entity) -> tuple[Column[Any], ...]:
    return (
        Column(entity.key_column, Identifier, primary_key=True),
        Column(VERSION.name, BigInteger, nullable=False),
    )


def _is_deleted() -> Column[bool]:
    return Column("is_deleted", Boolean, nullable=False, server_default=false())


def _index(table: Table, column: str) -> None:
    present = table.c[column].is_not(None)
    name = f"ix_{table.name}_{column}"
    Index(name, table.c[column], postgresql_where=present, sqlite_where=present)


def _public(entity: entities.Entity) -> Table:
    with_account = entity in WITH_ACCOUNT
    table = Table(
        entity.name,
        METADATA,
        *_keyed(entity),
        *(stored(entity, column) for column in entity.public_columns),
        *((Column(ACCOUNT_ID, Identifier),) if with_account else ()),
        _is_deleted(),
        Column("deleted_at", Instant),
        Column("synced_at", Instant, nullable=False),
    )
    if with_account:
        _index(table, ACCOUNT_ID)
    return table


def _fact(entity: entities.Entity) -> Table:
    table = Table(
        entity.fact_table,
        METADATA,
        *_keyed(entity),
        *(stored(entity, column) for column in entity.fact_columns),
        _is_deleted(),
        Column("deleted_revision", BigInteger),
    )
    for column in _SEARCHED[entity]:
        _index(table, column)
    return table


_PUBLIC = {entity: _public(entity) for entity in PUBLIC_ENTITIES}
_FACTS = {entity: _fact(entity) for entity in ENTITIES}


def public_table(entity: entities.Entity) -> Table:
    """The table that users read; `KeyError` for an entity that has none."""
    return _PUBLIC[entity]


def fact_table(entity: entities.Entity) -> Table:
    """The private table of everything ever seen of the entity."""
    return _FACTS[entity]


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
    PrimaryKeyConstraint("opportunity_id", "contact_id", "role"),
    Index("ix_opportunity_contact_role_contact_id", "contact_id"),
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

sync_state = Table(
    "sync_state",
    METADATA,
    Column("entity", Text, primary_key=True),
    Column("watermark_at", Instant),
    Column("delta_link", Text),
    Column("whole_passes", BigInteger, nullable=False, server_default="0"),  # that gave a link
    Column("columns", Text),  # JSON: how each column that the whole table has was read
    Column("link_columns", Text),  # JSON, likewise: what the delta link was made with
    Column("wanted", Text),  # JSON: the columns that the store has or is filling
)

sync_store = Table(
    "sync_store",
    METADATA,
    Column("singleton", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("organization_id", Identifier, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default="0"),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
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

TABLES: dict[str, Table] = dict(METADATA.tables)
