"""From the connection `marketo_store` to an engine, or to a sentence that says what it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import make_url

from marketo_store_hook import MarketoStoreHook
from opportunity_sync.errors import ConfigError, UnsupportedStoreError
from opportunity_sync.store import claim_organization, lock_store, migrate, store_engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    GiveConnection = Callable[[str, dict[str, Any]], None]

ORGANIZATION = "0b5e8fad-1a2b-4c3d-8e4f-123456789abc"

STORE: dict[str, Any] = {
    "conn_type": "marketo_store",
    "host": "db",
    "login": "u",
    "schema": "d",
    "password": "pw-3fQ",
}


def test_a_sqlite_connection_is_a_file(tmp_path: Path, give_connection: GiveConnection) -> None:
    """The host is the path of the store's file; a test of it does not make it."""
    path = tmp_path / "m.sqlite"
    give_connection("marketo_store", {"conn_type": "sqlite", "host": str(path)})

    succeeded, sentence = MarketoStoreHook().test_connection()

    assert succeeded
    assert sentence == f"The file {path} is not there yet; the first run makes it."
    assert not path.exists()


def test_a_postgres_connection_is_a_database(
    postgres: str, give_connection: GiveConnection
) -> None:
    """Host, port, login, password and schema make the address."""
    url = make_url(postgres)
    connection = {
        "conn_type": "postgres",
        "host": url.host,
        "port": url.port,
        "login": url.username,
        "password": url.password,
        "schema": url.database,
    }
    give_connection("marketo_store", connection)

    succeeded, sentence = MarketoStoreHook().test_connection()

    assert succeeded
    assert sentence.startswith("The store answers (PostgreSQL 1")
    assert sentence.endswith("It is empty; the first run makes its tables.")


def test_a_test_says_whose_store_it_is(sqlite_url: str, give_connection: GiveConnection) -> None:
    """The organisation of a store in use is named, and so is that a migrated one has none yet."""
    engine = store_engine(sqlite_url)
    migrate(engine)
    give_connection("marketo_store", {"conn_type": "marketo_store", "host": engine.url.database})

    fresh = MarketoStoreHook().test_connection()
    with lock_store(engine, wait_seconds=1) as connection:
        claim_organization(connection, ORGANIZATION)
    used = MarketoStoreHook().test_connection()
    engine.dispose()

    assert fresh == (
        True,
        "The store answers (SQLite). Its tables are there; it is no organisation's yet.",
    )
    assert used == (
        True,
        f"The store answers (SQLite). It holds the rows of organisation {ORGANIZATION}.",
    )


def test_a_test_says_what_a_role_lacks(postgres: str, give_connection: GiveConnection) -> None:
    """A role without the right to make tables is found by Test, not by the first run."""
    url = make_url(postgres)
    engine = store_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE ROLE poor_one LOGIN PASSWORD 'poor-one'")
        connection.exec_driver_sql("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        connection.exec_driver_sql(f'REVOKE TEMP ON DATABASE "{url.database}" FROM PUBLIC')
    poor = {"login": "poor_one", "password": "poor-one"}
    given = {"host": url.query.get("host") or url.host, "port": url.port, "schema": url.database}
    give_connection("marketo_store", {"conn_type": "postgres"} | given | poor)

    succeeded, sentence = MarketoStoreHook().test_connection()
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP ROLE poor_one")
    engine.dispose()

    assert not succeeded
    assert "lacks USAGE on schema public, CREATE on schema public, TEMPORARY" in sentence


def test_a_test_finds_a_folder_that_is_not_there(
    tmp_path: Path, give_connection: GiveConnection
) -> None:
    """A mistyped path is a no with the folder's name."""
    give_connection(
        "marketo_store", {"conn_type": "marketo_store", "host": str(tmp_path / "no" / "m.sqlite")}
    )

    succeeded, sentence = MarketoStoreHook().test_connection()

    assert not succeeded
    assert f"The folder {tmp_path / 'no'} is not there. Next step:" in sentence


def test_another_kind_of_database_is_not_supported_yet(give_connection: GiveConnection) -> None:
    """The type is named, and which ones are supported."""
    give_connection("marketo_store", {"conn_type": "mysql", "host": "db"})

    with pytest.raises(UnsupportedStoreError, match=r"'mysql', which is not supported yet"):
        MarketoStoreHook().url()


@pytest.mark.parametrize(
    ("connection", "url"),
    [
        ({"host": "/srv/marketo.sqlite"}, "sqlite:////srv/marketo.sqlite"),
        ({"host": " /srv/marketo.sqlite\n", "port": 0}, "sqlite:////srv/marketo.sqlite"),
        (
            {"host": "db.example.com", "login": "sync", "schema": "marketo"},
            "postgresql+psycopg://sync@db.example.com/marketo",
        ),
        (
            {
                "host": "db",
                "port": 0,
                "login": " sync ",
                "password": "pw\r\n",
                "schema": "marketo",
                "extra": {"sslmode": "require", "sslcert": None, "sslkey": ""},
            },
            "postgresql+psycopg://sync:pw@db/marketo?sslmode=require",
        ),
        (
            {"host": "db", "port": 6432, "login": "sync", "schema": "marketo"},
            "postgresql+psycopg://sync@db:6432/marketo",
        ),
    ],
    ids=["file", "file as pasted", "no port", "as the form posts it", "port"],
)
def test_the_stores_own_type_is_either(
    connection: dict[str, Any], url: str, give_connection: GiveConnection
) -> None:
    """A host that is a path is a SQLite file, any other a PostgreSQL; port 0 is no port."""
    give_connection("marketo_store", {"conn_type": "marketo_store"} | connection)

    assert MarketoStoreHook().url().render_as_string(hide_password=False) == url


@pytest.mark.parametrize(
    ("connection", "named"),
    [
        ({"conn_type": "sqlite", "host": "relative.sqlite"}, "absolute path"),
        ({"conn_type": "sqlite"}, "absolute path"),
        ({"conn_type": "postgres", "host": "db", "password": "pw-3fQ"}, "login, schema"),
        (
            {
                "conn_type": "postgres",
                "host": "db",
                "login": "u",
                "schema": "d",
                "extra": {"sslmod": "require"},
            },
            "sslmod",
        ),
        ({"conn_type": "marketo_store"}, "host is missing"),
        ({"conn_type": "marketo_store", "host": "/tmp"}, "host is the path of a folder"),
        ({"conn_type": "marketo_store", "host": "db"}, "login, schema"),
        (STORE | {"extra": {"sslmode": "requre"}}, "sslmode must be one of disable, allow"),
        (STORE | {"extra": {"target_session_attrs": "rw"}}, "target_session_attrs must be one of"),
        (STORE | {"extra": {"connect_timeout": "soon"}}, "connect_timeout must be a whole number"),
        (STORE | {"extra": {"sslrootcert": "/nowhere.pem"}}, "sslrootcert must be the path"),
        (STORE | {"port": 99999}, "port must be from 1 to 65535"),
        (STORE | {"port": -1}, "port must be from 1 to 65535"),
        (STORE | {"login": "sync\nuser"}, "login holds a line break"),
        (STORE | {"host": "db\u202e.example.com"}, "host holds"),
        (STORE | {"password": "pw-3fQ\x00pw"}, "password holds"),
    ],
    ids=[
        "relative path",
        "no path",
        "half an address",
        "misspelt extra",
        "nothing",
        "folder",
        "host only",
        "misspelt sslmode",
        "misspelt session",
        "no number",
        "no file",
        "high port",
        "negative port",
        "line break in login",
        "hidden character in host",
        "NUL in password",
    ],
)
def test_an_incomplete_connection_is_told_what_it_lacks(
    connection: dict[str, Any], named: str, give_connection: GiveConnection
) -> None:
    """The error names the missing part, never a value."""
    give_connection("marketo_store", connection)

    with pytest.raises(ConfigError, match=named) as raised:
        MarketoStoreHook().url()

    assert "pw-3fQ" not in str(raised.value)
