"""Which databases are taken, and what their errors tell the operator."""

from __future__ import annotations

import sqlite3
from functools import partial
from traceback import format_exception
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, make_url, text

from opportunity_sync.errors import ConfigError, StoreUnavailableError, UnsupportedStoreError
from opportunity_sync.store.schema.tables import sync_state
from opportunity_sync.store.sessions.engine import store_engine
from opportunity_sync.store.sessions.lock import lock_store, read_store, writing
from opportunity_sync.store.upgrade.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.mark.parametrize("url", ["mysql://u:s3cret@h/d", "mssql+pyodbc://u:s3cret@h/d"])
def test_other_databases_are_not_supported_yet(url: str) -> None:
    """The message says which kind was asked for, and never the password."""
    with pytest.raises(UnsupportedStoreError, match="not supported yet") as caught:
        store_engine(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "postgres:u:s3cret@h", "postgresql://u:s3cret@h:port/d"])
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    """A broken address can have the password anywhere in it."""
    with pytest.raises(ConfigError) as caught:
        store_engine(url)
    assert "s3cret" not in "".join(format_exception(caught.value))


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_postgresql_is_reached_through_psycopg(scheme: str) -> None:
    """Whatever driver the address names, also in Airflow's own spelling."""
    assert store_engine(f"{scheme}://u:p@h/d").url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "open_transaction", [read_store, writing, partial(lock_store, wait_seconds=0)]
)
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("jit", "off"),  # compiling costs a small load more than all its statements
        ("tcp_keepalives_idle", "20"),  # a host that vanished frees the lock within a minute
        ("tcp_keepalives_interval", "10"),
        ("tcp_keepalives_count", "4"),
        ("tcp_user_timeout", "60000"),
        ("client_connection_check_interval", "10s"),  # and so does a program that was killed
    ],
)
def test_each_transaction_has_its_settings_whatever_the_server_s(
    postgres_store: Engine, open_transaction: Callable[..., Any], setting: str, value: str
) -> None:
    """A server with its defaults has other ones, and a pooler gives a session to the next."""
    with open_transaction(postgres_store) as connection:
        assert connection.exec_driver_sql(f"SHOW {setting}").scalar_one() == value
        connection.exec_driver_sql("COMMIT; BEGIN")
        assert connection.exec_driver_sql(f"SHOW {setting}").scalar_one() != value


def test_what_the_connection_says_wins_over_the_defaults(postgres: str) -> None:
    """An extra that is offered must not be silently another one."""
    url = make_url(postgres).update_query_dict({"application_name": "own name"})
    with read_store(store_engine(url)) as connection:
        assert connection.exec_driver_sql("SHOW application_name").scalar_one() == "own name"


def test_a_connection_that_is_cut_leaves_the_store_as_it_was(postgres: str) -> None:
    """The server ends the session in the middle of a load."""
    engine = store_engine(postgres)
    migrate(engine)
    end = text("SELECT pg_terminate_backend(:pid)")

    def load() -> None:
        with lock_store(engine, wait_seconds=0) as connection, engine.connect() as other:
            connection.execute(insert(sync_state), {"entity": "a"})
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            other.execute(end, {"pid": pid})
            connection.execute(insert(sync_state), {"entity": "b"})

    with pytest.raises(StoreUnavailableError):
        load()
    with read_store(engine) as connection:
        assert connection.execute(sync_state.select()).all() == []


def test_a_role_that_may_not_create_tables_is_told_so(postgres: str) -> None:
    """Since PostgreSQL 15 only the owner may write into schema public."""
    with store_engine(postgres).begin() as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS reader")
        connection.exec_driver_sql("CREATE ROLE reader LOGIN PASSWORD 's3cret'")
    url = make_url(postgres).set(username="reader", password="s3cret")
    with pytest.raises(ConfigError, match="permission denied") as caught:
        migrate(store_engine(url))
    assert "s3cret" not in "".join(format_exception(caught.value))


def test_a_database_that_is_not_utf8_is_refused(postgres: str) -> None:
    """It could not hold every character that Dynamics can."""
    admin = store_engine(postgres).execution_options(isolation_level="AUTOCOMMIT")
    name = f"{make_url(postgres).database}_latin"
    with admin.connect() as connection:
        create = f"CREATE DATABASE \"{name}\" ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
        connection.exec_driver_sql(create)
    with pytest.raises(ConfigError, match="LATIN1"):
        migrate(store_engine(make_url(postgres).set(database=name)))
    with admin.connect() as connection:
        connection.exec_driver_sql(f'DROP DATABASE "{name}"')


def test_a_full_sqlite_disk_leaves_the_store_as_it_was(sqlite_url: str) -> None:
    """SQLite says so itself when its file may not grow."""
    engine = store_engine(sqlite_url)
    migrate(engine)

    def load() -> None:
        with lock_store(engine, wait_seconds=0) as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
            rows = [{"entity": f"{number}{'x' * 1000}"} for number in range(500)]
            connection.execute(insert(sync_state), rows)

    with pytest.raises(StoreUnavailableError, match="make room"):
        load()
    with read_store(engine) as connection:
        assert connection.execute(sync_state.select()).all() == []


def test_a_file_that_is_something_else_is_a_setting_to_mend(tmp_path: Path) -> None:
    """Nobody's document is overwritten."""
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Sir or Madam, " * 100)
    with pytest.raises(ConfigError, match="SQLite file"):
        migrate(store_engine(f"sqlite:///{letter}"))
    assert letter.read_text().startswith("Dear Sir")


def test_a_sqlite_file_held_by_another_program_is_waited_for(sqlite_url: str) -> None:
    """Any writer counts, not only ours."""
    engine = store_engine(sqlite_url)
    migrate(engine)
    other = sqlite3.connect(str(engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="lock"), writing(engine, wait_seconds=0.3):
        pytest.fail("two writers")
    other.rollback()
    other.close()
