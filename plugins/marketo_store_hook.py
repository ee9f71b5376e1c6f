"""The Marketo store behind the Airflow connection `marketo_store`: a SQLite file or PostgreSQL.

Airflow's own database hooks need their provider packages and know nothing of the store's rules
(explicit transactions, exact money, one writer at a time). So the connection is only read here,
and the store's package makes the engine. Airflow's form has the types `postgres` and `sqlite` only
where those packages are installed; the type `marketo_store` is ours, has a form and a Test of its
own, and is either: a host that is a path is a SQLite file.
"""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from airflow_connection_parts import extra_of, mask, not_valid, port_of, text_of
from opportunity_sync.errors import ConfigError, SyncError, UnsupportedStoreError

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from sqlalchemy import URL, Engine

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SESSION_KINDS = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
CHOICES = {"sslmode": SSL_MODES, "target_session_attrs": SESSION_KINDS}
NUMBERS = frozenset(
    {
        "connect_timeout",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "tcp_user_timeout",
    }
)
FILES = frozenset({"sslcert", "sslcrl", "sslkey", "sslrootcert"})
POSTGRES_OPTIONS = frozenset({"application_name", "options", *CHOICES, *NUMBERS, *FILES})
SYSTEM_ROOTS = "system"  # a value of sslrootcert that is no path


class MarketoStoreHook(BaseHook):
    """Engines for the store of one connection of type `marketo_store`, `sqlite` or `postgres`."""

    conn_name_attr = "marketo_store_conn_id"
    default_conn_name = "marketo_store"
    conn_type = "marketo_store"
    hook_name = "Marketo store (PostgreSQL or SQLite)"

    def __init__(self, marketo_store_conn_id: str = default_conn_name) -> None:
        """Remember the connection's id; it is looked up when an engine is asked for."""
        super().__init__()
        self.marketo_store_conn_id = marketo_store_conn_id

    def url(self) -> URL:
        """The store's address; raises `ConfigError` naming what the connection lacks."""
        found = self.get_connection(self.marketo_store_conn_id)
        if found.password:
            mask(found.password, login=found.login or "")
        match found.conn_type:
            case "marketo_store":
                return either_url(found)
            case "sqlite":
                return sqlite_url(found)
            case "postgres" | "postgresql":
                return postgres_url(found)
            case other:
                raise UnsupportedStoreError(
                    f"Connection '{found.conn_id}' is of type '{other}', "
                    "which is not supported yet as a store.",
                    next_step="use a connection of type 'marketo_store', 'postgres' or 'sqlite'.",
                )

    def get_conn(self) -> Engine:
        """The engine on the store; the caller disposes of it."""
        from opportunity_sync.store import store_engine

        return store_engine(self.url())

    def test_connection(self) -> tuple[bool, str]:
        """The items of the check that this connection can answer: the form's Test button."""
        from opportunity_sync.check.connection_tests import try_store
        from opportunity_sync.store import store_engine
        from opportunity_sync.store.sessions.session_watch import Waits

        try:
            # Somebody waits in front of the form: half a minute for all is enough.
            engine = store_engine(self.url(), waits=Waits(lock=4, look=2, silence=4))
            try:
                return try_store(engine)
            finally:
                engine.dispose()
        except SyncError as error:
            return False, str(error)


def either_url(found: Connection) -> URL:
    """The address that a connection of our own type gives: a path is a SQLite file's."""
    host = text_of(found, "host")
    if not host:
        raise not_valid(
            found, "host is missing; it is a host of PostgreSQL, or the path of a SQLite file"
        )
    return sqlite_url(found) if host.startswith("/") else postgres_url(found)


def sqlite_url(found: Connection) -> URL:
    """The address of a SQLite file: the connection's host is its path."""
    from sqlalchemy import URL

    path = text_of(found, "host")
    if not path.startswith("/"):
        raise ConfigError(
            f"Connection '{found.conn_id}' of type '{found.conn_type}' has no absolute path as its "
            "host.",
            next_step="set host to the path of the store's file, such as /srv/marketo.sqlite; "
            "workers start in folders of their own, so a relative path would mean several files.",
        )
    if os.path.isdir(path):  # noqa: PTH112 - Path's own raises where this user may not look
        raise not_valid(
            found,
            "host is the path of a folder; a SQLite store is a file in it, and for PostgreSQL's "
            "socket in a folder the type is 'postgres'",
        )
    return URL.create("sqlite", database=path)


def postgres_url(found: Connection) -> URL:
    """The address of a PostgreSQL database; a host that is a folder is a socket's."""
    from sqlalchemy import URL

    host, login, database = (text_of(found, part) for part in ("host", "login", "schema"))
    needed = {"host": host, "login": login, "schema (the database)": database}
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise ConfigError(
            f"Connection '{found.conn_id}' of type '{found.conn_type}' lacks {', '.join(missing)}.",
            next_step="complete the connection; README, 'A real organisation', shows an example.",
        )
    options = options_of(found)
    is_socket = host.startswith("/")
    if is_socket:
        options["host"] = host
    return URL.create(
        "postgresql+psycopg",
        username=login,
        password=text_of(found, "password") or None,
        host=None if is_socket else host,
        port=port_of(found),
        database=database,
        query=options,
    )


def options_of(found: Connection) -> dict[str, str]:
    """The extras that libpq understands; what it would only misunderstand later is refused here."""
    options = {name: str(value).strip() for name, value in extra_of(found).items()}
    unknown = sorted(options.keys() - POSTGRES_OPTIONS)
    if unknown:
        raise ConfigError(
            f"Connection '{found.conn_id}' has extras that the store does not know: "
            f"{', '.join(unknown)}.",
            next_step=f"remove them; known are {', '.join(sorted(POSTGRES_OPTIONS))}.",
        )
    faults = [fault for name, value in options.items() if (fault := fault_of(name, value))]
    if faults:
        raise not_valid(found, "; ".join(faults))
    return options


def fault_of(name: str, value: str) -> str | None:
    """What is wrong with an option's value, if anything."""
    if value not in CHOICES.get(name, (value,)):
        return f"extra key {name} must be one of {', '.join(CHOICES[name])}"
    if name in NUMBERS and not value.isdecimal():
        return f"extra key {name} must be a whole number"
    is_file = os.path.isfile(value)  # noqa: PTH113 - as above
    if name in FILES - {"sslrootcert"} and not is_file:
        return f"extra key {name} must be the path of a file on this machine"
    if name == "sslrootcert" and value != SYSTEM_ROOTS and not is_file:
        return "extra key sslrootcert must be the path of a file on this machine, or 'system'"
    return None
