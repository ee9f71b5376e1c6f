"""Where the organisation is, for links from the page to its records.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the column; the next run fills it."""
    op.add_column("sync_store", sa.Column("organization_url", sa.Text()))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("sync_store", "organization_url")
