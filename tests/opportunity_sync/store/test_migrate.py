"""The schema that databases get is the one that the code believes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from opportunity_sync.errors import ConfigError
from opportunity_sync.store.lock import locked
from opportunity_sync.store.migrate import VERSION_TABLE, alembic_config, migrate
from opportunity_sync.store.tables import METADATA, TABLES

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


def differences(connection: Connection) -> list[object]:
    """What Alembic would change to get from the database to our tables."""
    options = {"version_table": VERSION_TABLE, "compare_type": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), METADATA))


def test_the_scripts_alone_give_the_tables_of_the_code(empty_engine: Engine) -> None:
    """The revisions create every table, column, type, key and index by themselves."""
    with locked(empty_engine, wait_seconds=5) as connection:
        command.upgrade(alembic_config(connection), "head")
        assert differences(connection) == []
        assert set(inspect(connection).get_table_names()) == {*TABLES, VERSION_TABLE}


def test_primary_keys_and_defaults_are_those_of_the_code(own_engine: Engine) -> None:
    """Alembic does not compare keys and null-ability of defaults, so they are compared here."""
    with own_engine.connect() as connection:
        inspector = inspect(connection)
        for table in METADATA.sorted_tables:
            key = inspector.get_pk_constraint(table.name)["constrained_columns"]
            assert [column.name for column in table.primary_key] == key, table.name
            defaults = {c["name"] for c in inspector.get_columns(table.name) if c["default"]}
            expected = {c.name for c in table.columns if c.server_default is not None}
            assert expected == defaults, table.name
            columns = [column["name"] for column in inspector.get_columns(table.name)]
            assert [column.name for column in table.columns] == columns


def test_a_current_store_is_left_alone_and_not_waited_for(own_engine: Engine) -> None:
    """A second call neither changes anything nor needs the lock that a load holds."""
    with locked(own_engine, wait_seconds=5):
        migrate(own_engine, wait_seconds=0)


def test_a_column_new_in_the_code_is_added_to_the_store(own_engine: Engine) -> None:
    """A field added in `entities.py` needs no script."""
    with own_engine.begin() as connection:
        connection.execute(text("ALTER TABLE account DROP COLUMN website"))
        connection.execute(text("ALTER TABLE sync_run DROP COLUMN role_inserted"))
    migrate(own_engine)
    with own_engine.connect() as connection:
        assert differences(connection) == []


def test_a_store_of_a_newer_version_is_refused(own_engine: Engine) -> None:
    """An older pipeline must not write tables that it does not understand."""
    with own_engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="newer than this version"):
        migrate(own_engine)


def test_the_first_revision_can_be_taken_back(own_engine: Engine) -> None:
    """Downgrading leaves nothing behind but Alembic's own table."""
    with locked(own_engine, wait_seconds=5) as connection:
        command.downgrade(alembic_config(connection), "base")
        assert inspect(connection).get_table_names() == [VERSION_TABLE]


def test_tables_are_made_whole_or_not_at_all(empty_engine: Engine) -> None:
    """A migration that is cut short leaves no table."""
    with locked(empty_engine, wait_seconds=5) as connection:
        command.upgrade(alembic_config(connection), "head")
        connection.rollback()
    with empty_engine.connect() as connection:
        assert inspect(connection).get_table_names() == []
