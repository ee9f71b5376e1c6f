"""Every public row tells the number of the change that last touched it.

Rows that are there count as touched by change 1: nobody knows any more which one it was, and a
reader that begins gets all rows whatever their numbers are.

What it costs: on PostgreSQL a constant default is a note in the catalogue and rewrites no row. Only
the indexes read their tables, once each, some seconds for millions of rows. Readers wait that long,
since a column is added under a lock that shuts them out until all is committed.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = ("account", "contact", "opportunity", "opportunity_contact_role")
# Rows that no load has written; they stand in stores that were filled by hand.
_NUMBER_STRAY_ROWS = """
UPDATE sync_store SET revision = 1 WHERE revision < 1 AND (
    EXISTS (SELECT 1 FROM account) OR EXISTS (SELECT 1 FROM contact)
    OR EXISTS (SELECT 1 FROM opportunity) OR EXISTS (SELECT 1 FROM opportunity_contact_role)
)
"""


def upgrade() -> None:
    """Add the number and its index, and see that the store's own is none below it."""
    for table in _TABLES:
        column = sa.Column("revision", sa.BigInteger(), nullable=False, server_default="1")
        op.add_column(table, column)
        op.create_index(f"ix_{table}_revision", table, ["revision"])
    op.execute(_NUMBER_STRAY_ROWS)


def downgrade() -> None:
    """Take the number away; the store's own stays, since deletions are ordered by it."""
    for table in _TABLES:
        op.drop_index(f"ix_{table}_revision", table)
        op.drop_column(table, "revision")
