"""How Alembic runs here: on the connection of `migrate.py`, inside its transaction and lock.

There is no offline mode and no `alembic.ini`: the pipeline migrates its store by itself.
"""

from __future__ import annotations

from alembic import context

from opportunity_sync.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=context.config.attributes["version_table"],
)
context.run_migrations()
