"""How many rows each public table has, which a page shows and nobody can count in a moment.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from opportunity_sync.store.schema.types import Identifier

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_PUBLIC = ("opportunity", "contact", "account")


def upgrade() -> None:
    """Make the table, and count what is there."""
    sizes = op.create_table(
        "table_size",
        sa.Column("entity", Identifier, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entity", name="pk_table_size"),
    )
    for table in _PUBLIC:
        counted = sa.select(sa.literal(table), sa.func.count()).select_from(sa.table(table))
        op.execute(sizes.insert().from_select(["entity", "rows"], counted))


def downgrade() -> None:
    """Forget them."""
    op.drop_table("table_size")
