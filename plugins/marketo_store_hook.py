"""The Marketo store behind the Airflow connection `marketo_store`: a SQLite file or PostgreSQL.

Airflow's own database hooks need their provider packages and know nothing of the store's rules
(explicit transactions, exact money, one writer at a time). So the connection is only read here,
and the store's package makes the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from opportunity_sync.errors import ConfigError, SyncError, UnsupportedStoreError

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from sqlalchemy import URL, Engine

POSTGRES_OPTIONS = frozenset(
    {
        "application_name",
        "connect_timeout",
        "keepalives_idle",
        "options",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
    }
)


class MarketoStoreHook(BaseHook):
    """Engines for the store of one connection of type `sqlite` or `postgres`."""

    conn_name_attr = "marketo_store_conn_id"
    default_conn_name = "marketo_store"
    hook_name = "Marketo store"

    def __init__(self, marketo_store_conn_id: str = default_conn_name) -> None:
        """Remember the connection's id; it is looked up when an engine is asked for."""
        super().__init__()
        self.marketo_store_conn_id = marketo_store_conn_id

    def url(self) -> URL:
        """The store's address; raises `ConfigError` naming what the connection lacks."""
        found = self.get_connection(self.marketo_store_conn_id)
        if found.password:
            mask_secret(found.password)
        match found.conn_type:
            case "sqlite":
                return sqlite_url(found)
            case "postgres" | "postgresql":
                return postgres_url(found)
            case other:
                raise UnsupportedStoreError(
                    f"Connection '{found.conn_id}' is of type '{other}', "
                    "which is not supported yet as a store.",
                    next_step="use a connection of type 'postgres' or 'sqlite'.",
                )

    def get_conn(self) -> Engine:
        """The engine on the store; the caller disposes of it."""
        from opportunity_sync.store import store_engine

        return store_engine(self.url())

    def test_connection(self) -> tuple[bool, str]:
        """Open the store once, for a Test button or a check by hand."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            engine = self.get_conn()
            with engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except (SyncError, SQLAlchemyError) as error:
            return False, str(error)
        return True, f"The store answers ({engine.dialect.name})."


def sqlite_url(found: Connection) -> URL:
    """The address of a SQLite file: the connection's host is its path."""
    from sqlalchemy import URL

    if not (found.host or "").startswith("/"):
        raise ConfigError(
            f"Connection '{found.conn_id}' of type 'sqlite' has no absolute path as its host.",
            next_step="set host to the path of the store's file, such as /srv/marketo.sqlite; "
            "workers start in folders of their own, so a relative path would mean several files.",
        )
    return URL.create("sqlite", database=found.host)


def postgres_url(found: Connection) -> URL:
    """The address of a PostgreSQL database; a host that is a folder is a socket's."""
    from sqlalchemy import URL

    needed = {"host": found.host, "login": found.login, "schema (the database)": found.schema}
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise ConfigError(
            f"Connection '{found.conn_id}' of type 'postgres' lacks {', '.join(missing)}.",
            next_step="complete the connection; docs/runbook.md shows an example.",
        )
    options = {name: str(value) for name, value in found.extra_dejson.items()}
    unknown = sorted(options.keys() - POSTGRES_OPTIONS)
    if unknown:
        raise ConfigError(
            f"Connection '{found.conn_id}' has extras that the store does not know: "
            f"{', '.join(unknown)}.",
            next_step=f"remove them; known are {', '.join(sorted(POSTGRES_OPTIONS))}.",
        )
    host = found.host or ""
    if host.startswith("/"):
        options["host"] = host
    return URL.create(
        "postgresql+psycopg",
        username=found.login,
        password=found.password,
        host=None if host.startswith("/") else host,
        port=found.port,
        database=found.schema,
        query=options,
    )
