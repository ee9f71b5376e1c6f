"""Brings the store's schema to what this version of the code needs.

Every run calls `migrate` when it begins. Mostly there is nothing to do, and then it must not wait
for a load that holds the store's lock. So it looks without the lock first, and only if something
is missing once more with it. Scripts make the columns that always stand, and `made_columns.py`
those that a user selects; no column is made by both. The tables of an entity that no script knows
are made from the model, so a new entity needs no script.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, Table, inspect, text
from sqlalchemy.schema import CreateColumn

from opportunity_sync.errors import ConfigError
from opportunity_sync.model import DEFAULT_MODEL, Entity, Model
from opportunity_sync.store.books.state import forget_column, forget_state
from opportunity_sync.store.books.table_sizes import count_rows
from opportunity_sync.store.schema.tables import fact_table, public_table, tables_of
from opportunity_sync.store.sessions.lock import lock_store, read_store
from opportunity_sync.store.upgrade.columns_there import read_columns
from opportunity_sync.store.upgrade.made_columns import FittedModel, fit_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from alembic.config import Config

VERSION_TABLE = "opportunity_sync_version"
UPGRADE_STEP = (
    "nothing, if the sync runs: its next run upgrades them; if that run fails, see its error"
)
_SCRIPTS = Path(__file__).parent / "migrations"
_MAY_LOOK = text("SELECT has_schema_privilege(current_user, 'public', 'USAGE')")


def migrate(
    engine: Engine,
    model: Model = DEFAULT_MODEL,
    *,
    wait_seconds: float = 1800,
    on_wait: Callable[[float], None] = lambda _waited: None,
    needs_columns: bool = False,
) -> FittedModel:
    """Create or upgrade the store's tables, then make the columns of the model's fields.

    Returns what the store has of them. Raises as `upgrade_tables`, and as `fit_columns`.
    """
    upgrade_tables(engine, model, wait_seconds=wait_seconds, on_wait=on_wait)
    return fit_columns(
        engine, model, wait_seconds=wait_seconds, on_wait=on_wait, needs_columns=needs_columns
    )


def upgrade_tables(
    engine: Engine,
    model: Model = DEFAULT_MODEL,
    *,
    wait_seconds: float = 1800,
    on_wait: Callable[[float], None] = lambda _waited: None,
) -> None:
    """Create or upgrade the store's tables, under the store's lock, in one transaction.

    They have only the columns that always stand: a column once made is kept for its field for ever,
    so that is for whoever knows which fields are selected.

    Raises:
        StoreUnavailableError: the database is down, or locked for longer than `wait_seconds`.
        ConfigError: the store was made by a newer version, may not be written, is not UTF-8, or
            somebody else has made a table of an entity's name.
    """
    with read_store(engine) as connection:
        is_up_to_date = is_current(connection, model)
    if is_up_to_date:
        return
    # Takes long, nearly every run does without it, and nobody shall wait for it at the lock.
    from alembic import command  # noqa: PLC0415

    with lock_store(engine, wait_seconds=wait_seconds, on_wait=on_wait) as connection:
        if is_current(connection, model):  # another run was faster
            return
        _refuse_other_encodings(connection)
        command.upgrade(alembic_config(connection), "head")
        _make_missing_tables(connection, model)
        _add_missing_columns(connection, model)


def is_made(connection: Connection) -> bool:
    """Whether some run has made the store's tables.

    Raises:
        ConfigError: the role may not look into the schema, where every table seems to be missing.
    """
    if connection.dialect.name == "postgresql" and not connection.scalar(_MAY_LOOK):
        raise ConfigError(
            "The store's role may not use schema public.",
            next_step="let it (GRANT USAGE ON SCHEMA public), and read its tables (GRANT SELECT ON "
            "ALL TABLES IN SCHEMA public); docs/page.md has both for a role that only reads.",
        )
    return inspect(connection).has_table(VERSION_TABLE)


def require_current(connection: Connection) -> None:
    """Refuse a store whose tables are not those of this version, by its number alone.

    Raises:
        ConfigError: they are of an earlier version, or of a newer one.
    """
    if _read_revision(connection) != revisions()[-1]:
        raise ConfigError(
            "The store's tables are of an earlier version.", next_step=f"{UPGRADE_STEP}."
        )


def alembic_config(connection: Connection | None = None) -> Config:
    """How Alembic finds our scripts, and the connection that it is to work on."""
    from alembic.config import Config  # noqa: PLC0415 - as below

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    return config


def is_current(connection: Connection, model: Model) -> bool:
    """Whether the tables are those of this version; raises `ConfigError` for a newer one's."""
    there = read_columns(connection)
    if VERSION_TABLE not in there:
        return False
    revision = _read_revision(connection)
    return revision == revisions()[-1] and not _missing_columns(there, model)


def _read_revision(connection: Connection) -> str | None:
    """The number of the store's tables; raises `ConfigError` for that of a newer version."""
    revision: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 - a name of ours
    if revision is not None and revision not in revisions():
        raise ConfigError(
            f"The store's schema ({revision}) is newer than this version of the pipeline.",
            next_step="update the pipeline to the version that last wrote this store.",
        )
    return revision


@cache
def revisions() -> tuple[str, ...]:
    """The numbers of our scripts, which their files begin with, from the first to the newest.

    Alembic would run every script to tell them, and each run of the sync asks.
    """
    scripts = (_SCRIPTS / "versions").glob("[0-9]*.py")
    return tuple(sorted(script.name.partition("_")[0] for script in scripts))


def _missing_columns(there: Mapping[str, Collection[str]], model: Model) -> list[tuple[Table, str]]:
    """Columns that always stand and are not there. Their table may be missing as well."""
    tables = tables_of(Model(tuple(map(_keep_standing_fields, model))))
    return [
        (table, column.name)
        for table in tables.values()
        for column in table.columns
        if column.name not in there.get(table.name, ())
    ]


def _keep_standing_fields(entity: Entity) -> Entity:
    """The entity with no fields but those that always stand."""
    return replace(entity, fields=tuple(field for field in entity.fields if field.always_stands))


def _make_missing_tables(connection: Connection, model: Model) -> None:
    """Make the tables of entities that were never in this store, or that somebody has dropped.

    An entity's two tables are always made together, so a public table without its facts is somebody
    else's. The entity's state is forgotten, so that the next run reads every row.
    """
    there = set(inspect(connection).get_table_names())
    for entity in map(_keep_standing_fields, model):
        tables = [fact_table(entity), *([public_table(entity)] if entity.is_public else [])]
        missing = [table for table in tables if table.name not in there]
        if entity.fact_table not in there and len(missing) < len(tables):
            raise ConfigError(
                f"The store's database has a table {entity.name} that the pipeline did not make.",
                next_step="give the store a database of its own, or rename the table.",
            )
        for table in missing:
            table.create(connection)
            forget_state(connection, entity.name)
        if missing and entity.is_public:
            count_rows(connection, entity)


def _add_missing_columns(connection: Connection, model: Model) -> None:
    """Add them, empty. The next run reads a table whole if it has lost a column."""
    for table, column in _missing_columns(read_columns(connection), model):
        definition = CreateColumn(table.c[column]).compile(connection)
        connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")
        for entity in model:
            if table.name in {entity.name, entity.fact_table}:
                forget_column(connection, entity, column)


def _refuse_other_encodings(connection: Connection) -> None:
    if connection.dialect.name != "postgresql":
        return
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise ConfigError(
            f"The store's database keeps text as {encoding}, which can't hold every character.",
            next_step="create a database with ENCODING 'UTF8' for the store.",
        )
