"""How Alembic runs here: on a connection that it is given, inside that transaction and lock.

The connection comes from `store/upgrade/migrate.py`. There is no offline mode and no `alembic.ini`:
the pipeline migrates its store by itself.
"""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
)
context.run_migrations()
