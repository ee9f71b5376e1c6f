"""Order by revision, counts by entity, refused records, owed columns, readings of columns.

The counts of earlier runs are carried over: what they did not tell apart (unchanged, filtered and
superseded rows) becomes unchanged, and what they counted as updated beyond the rows that were read
becomes rewritten. Records that are deleted already count as deleted by the store's last change, so
that any run which begins from now on may bring them back to life.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from opportunity_sync.store.schema.types import Identifier, Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FACTS = (
    "fact_account",
    "fact_connection",
    "fact_connectionrole",
    "fact_contact",
    "fact_opportunity",
)
_COUNTED = ("opportunity", "connection", "connectionrole", "contact", "account", "role")
_FORMER = ("read", "inserted", "updated", "deleted", "refused")
_COUNTS = (
    "read",
    "inserted",
    "updated",
    "unchanged",
    "filtered",
    "refused",
    "superseded",
    "deleted",
    "rewritten",
    "compared",
)


def upgrade() -> None:
    """Change the tables, and carry over what they hold."""
    _order_deletions()
    _create_tables()
    _carry_over_counts()
    for name in ("attempt", "error_code"):
        op.add_column("sync_run", sa.Column(name, sa.Text()))
    op.create_index("ix_sync_run_attempt", "sync_run", ["attempt"])
    op.drop_column("sync_state", "columns_fingerprint")
    for name in ("columns", "link_columns", "wanted"):
        op.add_column("sync_state", sa.Column(name, sa.Text()))


def downgrade() -> None:
    """Give the tables their former columns; what these can't tell is gone."""
    op.drop_index("ix_sync_run_attempt", "sync_run")
    for name in ("attempt", "error_code"):
        op.drop_column("sync_run", name)
    for name in ("columns", "link_columns", "wanted"):
        op.drop_column("sync_state", name)
    op.add_column("sync_state", sa.Column("columns_fingerprint", sa.Text()))
    for counted in _COUNTED:
        for count in _FORMER:
            column = sa.Column(
                f"{counted}_{count}", sa.BigInteger(), nullable=False, server_default="0"
            )
            op.add_column("sync_run", column)
            op.execute(_former_count(counted, count))
    for table in ("sync_run_entity", "refused_row", "owed_column"):
        op.drop_table(table)
    for table in _FACTS:
        op.drop_column(table, "deleted_revision")
        op.add_column(table, sa.Column("deleted_noticed_at", Instant()))
        op.execute(
            f"UPDATE {table} SET deleted_noticed_at = '1970-01-01T00:00:00Z' WHERE is_deleted"  # noqa: S608 - the names stand above
        )


def _order_deletions() -> None:
    for table in _FACTS:
        op.add_column(table, sa.Column("deleted_revision", sa.BigInteger()))
        op.execute(
            f"UPDATE {table} SET deleted_revision = "  # noqa: S608 - the names stand above
            "(SELECT coalesce(max(revision), 0) FROM sync_store) WHERE is_deleted"
        )
        op.drop_column(table, "deleted_noticed_at")


def _create_tables() -> None:
    op.create_table(
        "sync_run_entity",
        sa.Column("dag_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False, server_default="0") for name in _COUNTS),
        sa.PrimaryKeyConstraint("dag_id", "run_id", "entity", name="pk_sync_run_entity"),
    )
    op.create_table(
        "refused_row",
        sa.Column("entity", Identifier, nullable=False),
        sa.Column("record_id", Identifier, nullable=False),
        sa.Column("field", sa.Text()),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("version_number", sa.BigInteger()),
        sa.Column("first_seen_at", Instant(), nullable=False),
        sa.Column("last_tried_at", Instant(), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("dag_id", sa.Text()),
        sa.Column("run_id", sa.Text()),
        sa.Column("task_id", sa.Text()),
        sa.Column("map_index", sa.BigInteger()),
        sa.Column("next_try_at", Instant(), nullable=False),
        sa.Column("tried_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "record_id", name="pk_refused_row"),
    )
    op.create_table(
        "owed_column",
        sa.Column("entity", Identifier, nullable=False),
        sa.Column("record_id", Identifier, nullable=False),
        sa.Column("column_name", Identifier, nullable=False),
        sa.PrimaryKeyConstraint("entity", "record_id", "column_name", name="pk_owed_column"),
    )
    op.create_index("ix_owed_column_column_name", "owed_column", ["entity", "column_name"])


def _carry_over_counts() -> None:
    for counted in _COUNTED:
        read, inserted, updated, deleted, refused = (f"{counted}_{name}" for name in _FORMER)
        rest = f"({read} - {inserted} - {refused})"  # what may have been updated of what was read
        op.execute(
            "INSERT INTO sync_run_entity (dag_id, run_id, entity, read, inserted, updated, "  # noqa: S608 - the names stand above
            "unchanged, refused, deleted, rewritten) "
            f"SELECT dag_id, run_id, '{counted}', {read}, {inserted}, "
            f"CASE WHEN {updated} > {rest} THEN {rest} ELSE {updated} END, "
            f"CASE WHEN {updated} > {rest} THEN 0 ELSE {rest} - {updated} END, "
            f"{refused}, {deleted}, "
            f"CASE WHEN {updated} > {rest} THEN {updated} - {rest} ELSE 0 END "
            "FROM sync_run WHERE outcome = 'succeeded'"
        )
        for name in _FORMER:
            op.drop_column("sync_run", f"{counted}_{name}")


def _former_count(counted: str, count: str) -> str:
    total = "updated + rewritten" if count == "updated" else count
    return (
        f"UPDATE sync_run SET {counted}_{count} = coalesce((SELECT {total} FROM sync_run_entity e "  # noqa: S608 - the names stand above
        "WHERE e.dag_id = sync_run.dag_id AND e.run_id = sync_run.run_id "
        f"AND e.entity = '{counted}'), 0)"
    )
