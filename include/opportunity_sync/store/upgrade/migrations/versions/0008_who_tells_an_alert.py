"""Who is about to tell an alert: two runs that end at once must not both do so.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from opportunity_sync.store.schema.types import Instant

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody is telling anything."""
    op.add_column("sync_alert", sa.Column("claimed_at", Instant))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("sync_alert", "claimed_at")
