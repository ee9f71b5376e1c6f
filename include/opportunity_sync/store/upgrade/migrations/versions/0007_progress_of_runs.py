"""How far the runs in progress are with each table that takes them long to read.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from opportunity_sync.store.schema.types import Identifier, Instant

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "sync_run_progress",
        sa.Column("dag_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("entity", Identifier, nullable=False),
        sa.Column("rows_read", sa.BigInteger(), nullable=False),
        sa.Column("rows_expected", sa.BigInteger()),
        sa.Column("is_whole", sa.Boolean(), nullable=False),
        sa.Column("as_of", Instant, nullable=False),
        sa.PrimaryKeyConstraint("dag_id", "run_id", "entity", name="pk_sync_run_progress"),
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_table("sync_run_progress")
