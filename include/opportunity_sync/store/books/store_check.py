"""Is this a store that runs can use? One look, for the Test button of the connection's form.

Whether the database answers says little: a role that may not make tables or temporary tables
stops the first run, and another program's file or database would be written into.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, select, text

from opportunity_sync.errors import ConfigError
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.store.schema.tables import sync_store, tables_of
from opportunity_sync.store.sessions.lock import read_store

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_RIGHTS = """
SELECT has_schema_privilege(current_user, 'public', 'USAGE'),
       has_schema_privilege(current_user, 'public', 'CREATE'),
       has_database_privilege(current_user, current_database(), 'TEMPORARY'),
       current_setting('server_version')
"""
_NEEDED = ("USAGE on schema public", "CREATE on schema public", "TEMPORARY on the database")


def check_store(engine: Engine) -> str:
    """One sentence on what the store is; changes nothing, and makes no file.

    Raises:
        StoreUnavailableError: it does not answer.
        ConfigError: it is no store, or may not be written.
    """
    if engine.dialect.name == "sqlite":
        path = Path(engine.url.database or "")
        _refuse_unwritable(path)
        if not path.exists():
            return f"The file {path} is not there yet; the first run makes it."
    with read_store(engine) as connection:
        what = _postgres(connection) if engine.dialect.name == "postgresql" else "SQLite"
        return f"The store answers ({what}). {_content(connection)}"


def _refuse_unwritable(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise ConfigError(
            f"The folder {folder} is not there.",
            next_step="make it on every worker, or correct the connection's host.",
        )
    # SQLite also writes files beside its own.
    if not os.access(path if path.exists() else folder, os.W_OK) or not os.access(folder, os.W_OK):
        raise ConfigError(
            f"This machine's user may not write {path} and the files beside it.",
            next_step="let the user that Airflow runs as write the folder and the file.",
        )


def _postgres(connection: Connection) -> str:
    *rights, version = connection.execute(text(_RIGHTS)).one()
    missing = [name for name, has in zip(_NEEDED, rights, strict=True) if not has]
    if missing:
        raise ConfigError(
            f"The store's role lacks {', '.join(missing)}.",
            next_step="grant it to the role of the connection's login.",
        )
    return f"PostgreSQL {str(version).split()[0]}"


def _content(connection: Connection) -> str:
    found = set(inspect(connection).get_table_names())
    if sync_store.name not in found:
        own = sorted(found & tables_of(DEFAULT_MODEL).keys())
        if own:
            raise ConfigError(
                f"It holds tables of the store's names that the store did not make: "
                f"{', '.join(own)}.",
                next_step="give the store a database or schema of its own.",
            )
        return "It is empty; the first run makes its tables."
    organization = connection.scalar(select(sync_store.c.organization_id))
    if organization is None:
        return "Its tables are there; it is no organisation's yet."
    return f"It holds the rows of organisation {organization}."
