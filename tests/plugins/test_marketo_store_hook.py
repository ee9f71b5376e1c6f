"""From the connection `marketo_store` to an engine, or to a sentence that says what it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import make_url

from marketo_store_hook import MarketoStoreHook
from opportunity_sync.errors import ConfigError, UnsupportedStoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    GiveConnection = Callable[[str, dict[str, Any]], None]


def test_a_sqlite_connection_is_a_file(tmp_path: Path, give_connection: GiveConnection) -> None:
    """The host is the path of the store's file."""
    give_connection("marketo_store", {"conn_type": "sqlite", "host": str(tmp_path / "m.sqlite")})

    assert MarketoStoreHook().test_connection() == (True, "The store answers (sqlite).")


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

    assert MarketoStoreHook().test_connection() == (True, "The store answers (postgresql).")


def test_another_kind_of_database_is_not_supported_yet(give_connection: GiveConnection) -> None:
    """The type is named, and which ones are supported."""
    give_connection("marketo_store", {"conn_type": "mysql", "host": "db"})

    with pytest.raises(UnsupportedStoreError, match=r"'mysql', which is not supported yet"):
        MarketoStoreHook().url()


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
    ],
    ids=["relative path", "no path", "half an address", "misspelt extra"],
)
def test_an_incomplete_connection_is_told_what_it_lacks(
    connection: dict[str, Any], named: str, give_connection: GiveConnection
) -> None:
    """The error names the missing part, never a value."""
    give_connection("marketo_store", connection)

    with pytest.raises(ConfigError, match=named) as raised:
        MarketoStoreHook().url()

    assert "pw-3fQ" not in str(raised.value)
