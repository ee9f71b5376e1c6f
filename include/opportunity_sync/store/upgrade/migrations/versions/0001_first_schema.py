"""The first schema: public tables, facts, roles, unresolved associations, and state of the sync.

Of public tables the columns that always stand: selected ones are made as they are selected.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from opportunity_sync.store.schema.types import Identifier, Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_INDEXED_WHERE_PRESENT = (
    ("contact", "account_id"),
    ("fact_account", "master_id"),
    ("fact_connection", "record1_id"),
    ("fact_connection", "record1_role_id"),
    ("fact_connection", "record2_id"),
    ("fact_connection", "record2_role_id"),
    ("fact_contact", "parent_id"),
    ("fact_contact", "master_id"),
    ("fact_opportunity", "customer_id"),
    ("opportunity", "account_id"),
)
_TABLES: dict[str, tuple[sa.schema.SchemaItem, ...]] = {
    "account": (
        sa.Column("account_id", Identifier, nullable=False),
        sa.Column("version_number", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", Identifier),
        sa.Column("owner_type", sa.Text()),
        sa.Column("created_at", Instant()),
        sa.Column("modified_at", Instant()),
        sa.Column("is_deleted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("deleted_at", Instant()),
        sa.Column("synced_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_account"),
    ),
    "choice_label": (
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("column_name", sa.Text(), nullable=False),
        sa.Column("code", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "column_name", "code", name="pk_choice_label"),
    ),
    "contact": (
        sa.Column("contact_id", Identifier, nullable=False),
        sa.Column("version_number", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", Identifier),
        sa.Column("owner_type", sa.Text()),
        sa.Column("created_at", Instant()),
        sa.Column("modified_at", Instant()),
        sa.Column("account_id", Identifier),
        sa.Column("is_deleted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("deleted_at", Instant()),
        sa.Column("synced_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("contact_id", name="pk_contact"),
    ),
    "fact_account": (
        sa.Column("account_id", Identifier, nullable=False),
        sa.Column("version_number", sa.BigInteger(), nullable=False),
        sa.Column("is_merged", sa.Boolean()),
        sa.Column("master_id", Identifier),
        sa.Column("sync_filter", sa.Boolean()),
        sa.Column("is_deleted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("deleted_noticed_at", Instant()),
        sa.PrimaryKeyConstraint("account_id", name="pk_fact_account"),
    ),
    "fact_connection": (
        sa.Column("connection_id", Identifier, nullable=False),
        sa.Column("version_number", sa.BigInteger(), nullable=False),
        sa.Column("record1_id", Identifier),
        sa.Column("record1_type", sa.Text()),
        sa.Column("record1_role_id", Identifier),
        sa.Column("record2_id", Identifier),
        sa.Column("record2_type", sa.Text()),
        sa.Column("record2_role_id", Identifier),
        sa.Column("state", sa.BigInteger()),
        sa.Column("is_deleted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("deleted_noticed_at", Instant()),
        sa.PrimaryKeyConstraint("connection_id", name="pk_fact_connection"),
    ),
    "fact_connectionrole": (
        sa.Column("connectionrole_id", Identifier, nullable=False),
        sa.Column("version_number", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("category", sa.BigInteger()),
        sa.Column("is_deleted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("deleted_noticed_at", Instant()),
        sa.PrimaryKeyConstraint("connectionrole_id", name="pk_fact_connectionrole"),
    ),
    "fact_contact": (
        sa.Column("contact_id", Identifier, nullable=False),
        sa.Column("version_number", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", Identifier),
        sa.Column("parent_type", sa.Text()),
        sa.Column("is_merged", sa.Boolean()),
        sa.Column("master_id", Identifier),
        sa.Column("sync_filter", sa.Boolean()),
        sa.Column("is_deleted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("deleted_noticed_at", Instant()),
        sa.PrimaryKeyConstraint("contact_id", name="pk_fact_contact"),
    ),
    "fact_opportunity": (
        sa.Column("opportunity_id", Identifier, nullable=False),
        sa.Column("version_number", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", Identifier),
        sa.Column("customer_type", sa.Text()),
        sa.Column("sync_filter", sa.Boolean()),
        sa.Column("is_deleted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("deleted_noticed_at", Instant()),
        sa.PrimaryKeyConstraint("opportunity_id", name="pk_fact_opportunity"),
    ),
    "opportunity": (
        sa.Column("opportunity_id", Identifier, nullable=False),
        sa.Column("version_number", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", Identifier),
        sa.Column("customer_type", sa.Text()),
        sa.Column("owner_id", Identifier),
        sa.Column("owner_type", sa.Text()),
        sa.Column("created_at", Instant()),
        sa.Column("modified_at", Instant()),
        sa.Column("account_id", Identifier),
        sa.Column("is_deleted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("deleted_at", Instant()),
        sa.Column("synced_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("opportunity_id", name="pk_opportunity"),
    ),
    "opportunity_contact_role": (
        sa.Column("opportunity_id", Identifier, nullable=False),
        sa.Column("contact_id", Identifier, nullable=False),
        sa.Column("role", Identifier, nullable=False),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("deleted_at", Instant()),
        sa.Column("synced_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint(
            "opportunity_id", "contact_id", "role", name="pk_opportunity_contact_role"
        ),
    ),
    "sync_error": (
        sa.Column("dag_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text()),
        sa.Column("field", sa.Text()),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("dag_id", "run_id", "position", name="pk_sync_error"),
    ),
    "sync_run": (
        sa.Column("dag_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("window_start", Instant()),
        sa.Column("window_end", Instant()),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant()),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("replaced_characters", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("opportunity_read", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("opportunity_inserted", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("opportunity_updated", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("opportunity_deleted", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("opportunity_refused", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("connection_read", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("connection_inserted", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("connection_updated", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("connection_deleted", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("connection_refused", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("connectionrole_read", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("connectionrole_inserted", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("connectionrole_updated", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("connectionrole_deleted", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("connectionrole_refused", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("contact_read", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("contact_inserted", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("contact_updated", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("contact_deleted", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("contact_refused", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("account_read", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("account_inserted", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("account_updated", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("account_deleted", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("account_refused", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("role_read", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("role_inserted", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("role_updated", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("role_deleted", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("role_refused", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("dag_id", "run_id", name="pk_sync_run"),
    ),
    "sync_state": (
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("watermark_at", Instant()),
        sa.Column("delta_link", sa.Text()),
        sa.Column("columns_fingerprint", sa.Text()),
        sa.Column("whole_passes", sa.BigInteger(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("entity", name="pk_sync_state"),
    ),
    "sync_store": (
        sa.Column("singleton", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("organization_id", Identifier, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("epoch", sa.BigInteger(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("singleton", name="pk_sync_store"),
    ),
    "unresolved_association": (
        sa.Column("opportunity_id", Identifier, nullable=False),
        sa.Column("kind", Identifier, nullable=False),
        sa.Column("reference_id", Identifier, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("first_seen_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint(
            "opportunity_id", "kind", "reference_id", name="pk_unresolved_association"
        ),
    ),
}


def upgrade() -> None:
    """Create every table, empty."""
    for table, items in _TABLES.items():
        op.create_table(table, *items)
    for table, column in _INDEXED_WHERE_PRESENT:
        present = sa.text(f"{column} IS NOT NULL")
        name = f"ix_{table}_{column}"
        op.create_index(name, table, [column], postgresql_where=present, sqlite_where=present)
    op.create_index(
        "ix_opportunity_contact_role_contact_id", "opportunity_contact_role", ["contact_id"]
    )


def downgrade() -> None:
    """Drop every table with all that it holds."""
    for table in reversed(_TABLES):
        op.drop_table(table)
