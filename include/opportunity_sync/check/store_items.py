"""Items of the store: is it there, may it be used, is it ours alone, is it up to date?

Whether the database answers says little: a role that may not make tables or temporary tables
stops the first run, and another program's file or database would be written into.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import inspect, select, text

from opportunity_sync import store
from opportunity_sync.check.items import FailedItemError, Question
from opportunity_sync.errors import ConfigError
from opportunity_sync.model import DEFAULT_MODEL, Model
from opportunity_sync.store.schema.tables import sync_store, tables_of
from opportunity_sync.store.upgrade.migrate import UPGRADE_STEP, VERSION_TABLE, is_current

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

REACHABLE: Final = "store.reachable"
LONGEST_STATEMENT: Final = 600  # seconds that a statement of a large load may well take
_RIGHTS = text("""
SELECT has_schema_privilege(current_user, 'public', 'USAGE'),
       has_schema_privilege(current_user, 'public', 'CREATE'),
       has_database_privilege(current_user, current_database(), 'TEMPORARY')
""")
_NEEDED = ("USAGE on schema public", "CREATE on schema public", "TEMPORARY on the database")
# Whole milliseconds, 0 for none. Version 17 brought the last of them.
_LIMITS = text("""
SELECT name, setting::bigint / 1000 AS seconds FROM pg_settings
WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
  AND setting::bigint BETWEEN 1 AND :longest * 1000
ORDER BY name
""")


class StoreItems:
    """What is asked of one store; nothing of it is changed, and no file is made."""

    def __init__(self, engine: Engine, model: Model = DEFAULT_MODEL) -> None:
        self.engine, self.model = engine, model

    @property
    def path(self) -> Path | None:
        """The SQLite file; None for a server."""
        is_file = self.engine.dialect.name == "sqlite"
        return Path(self.engine.url.database or "") if is_file else None

    @property
    def is_to_come(self) -> bool:
        """Whether it is a file that the first run makes."""
        try:
            return not store.is_there(self.engine)
        except ConfigError:
            return False  # nobody can tell: the item about it says why

    def find_reachable(self) -> str:
        """Whether the database answers."""
        if not store.is_there(self.engine):
            return f"The file {self.path} is not there yet; the first run makes it."
        with store.read_store(self.engine) as connection:
            if self.path is not None:
                connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
                return "The store answers (SQLite)."
            version = connection.exec_driver_sql("SHOW server_version").scalar()
        return f"The store answers (PostgreSQL {str(version).split()[0]})."

    def find_privileges(self) -> str:
        """Whether this user or role may do what runs need."""
        if self.path is not None:
            _require_writable(self.path)
            return "This machine's user may write the file and its folder."
        with store.read_store(self.engine) as connection:
            rights = connection.execute(_RIGHTS).one()
        missing = [name for name, has in zip(_NEEDED, rights, strict=True) if not has]
        if missing:
            raise FailedItemError(
                f"The store's role lacks {', '.join(missing)}.",
                next_step="grant it to the role of the connection's login",
            )
        return f"The role has {', '.join(_NEEDED)}."

    def find_timeouts(self) -> str:
        """Whether the database lets a load end."""
        if self.path is not None:
            return "A SQLite file has no time-outs."
        with store.read_store(self.engine) as connection:
            limits = connection.execute(_LIMITS, {"longest": LONGEST_STATEMENT}).all()
        if limits:
            said = ", ".join(f"{limit.name} is {limit.seconds} s" for limit in limits)
            raise FailedItemError(
                f"The database ends a load that takes long: {said}.",
                next_step="raise it for the store's role: ALTER ROLE … SET … = '30min'",
            )
        return f"No time-out is below {LONGEST_STATEMENT} s."

    def find_taken_names(self) -> str:
        """Whether tables of the store's names are the store's."""
        with store.read_store(self.engine) as connection:
            taken = sorted(_tables(connection) & tables_of(self.model).keys())
            is_ours = store.is_made(connection)
        if taken and not is_ours:
            raise FailedItemError(
                "It holds tables of the store's names that the store did not make: "
                f"{', '.join(taken)}.",
                next_step="give the store a database of its own",
            )
        return "All tables of the store's names are its own." if taken else "No name is taken."

    def find_foreign_tables(self) -> str:
        """Whether somebody else keeps tables beside the store's."""
        with store.read_store(self.engine) as connection:
            others = sorted(_tables(connection) - tables_of(self.model).keys() - {VERSION_TABLE})
        if others:
            named = f"{', '.join(others[:10])}{', …' if len(others) > 10 else ''}"  # noqa: PLR2004 - enough to find the others
            raise FailedItemError(
                f"It also holds {len(others)} tables that the store did not make: {named}.",
                next_step="keep them in a schema or database of their own: a later version of the "
                "store may need their names",
            )
        return "There are no tables but the store's."

    def find_schema(self) -> str:
        """Whether the tables are those of this version."""
        with store.read_store(self.engine) as connection:
            if not store.is_made(connection):
                return "There are none yet; the first run makes them."
            is_up_to_date = is_current(connection, self.model)
        if not is_up_to_date:
            raise FailedItemError(
                "Its tables are of an earlier version.",
                next_step=UPGRADE_STEP,
            )
        return "Its tables are up to date."

    def find_owner(self, organization_id: Callable[[], str] | None) -> str:
        """Whose rows it holds; raises `WrongOrganizationError` for another organisation's."""
        with store.read_store(self.engine) as connection:
            if sync_store.name not in _tables(connection):
                return "It is empty; the first run makes its tables."
            owner = connection.scalar(select(sync_store.c.organization_id))
            if owner is None:
                return "Its tables are there; it is no organisation's yet."
            if organization_id is not None:
                store.check_organization(connection, organization_id())
        return f"It holds the rows of organisation {owner}."

    def find_private(self) -> str:
        """Whether the store's file is its owner's alone, or a group's."""
        if self.path is None:
            return "Who may read is the database's own matter."
        if self.is_to_come:
            return "The file is not there yet; it is made for its owner alone."
        if self.path.stat().st_mode & stat.S_IRWXO:
            raise FailedItemError(
                f"Everybody on this machine may read {self.path}.",
                next_step=f"chmod 600 {self.path} (or 640, for a group)",
            )
        return "The file is its owner's, and not everybody's."


def store_questions(
    items: StoreItems, organization_id: Callable[[], str] | None = None
) -> list[Question]:
    """The items that the connection to the store can answer by itself.

    `organization_id` gives the organisation that the other connection leads to.
    """
    reachable = Question(
        REACHABLE,
        "Does the store's database answer?",
        "store.unreachable",
        items.find_reachable,
        on_transient="failed",
    )
    privileges = Question(
        "store.privileges",
        "May the store be written, and tables be made in it?",
        "store.privileges",
        items.find_privileges,
        needs=REACHABLE,
    )
    if items.is_to_come:
        return [reachable, privileges]
    return [reachable, privileges, *_questions_of_content(items, organization_id)]


def _questions_of_content(
    items: StoreItems, organization_id: Callable[[], str] | None
) -> list[Question]:
    asked: list[tuple[str, str, str, Callable[[], str]]] = [
        (
            "store.timeouts",
            f"Does the database let a statement take {LONGEST_STATEMENT} s?",
            "store.timeouts",
            items.find_timeouts,
        ),
        (
            "store.own_names",
            "Are the tables of the store's names its own?",
            "store.name_taken",
            items.find_taken_names,
        ),
        (
            "store.foreign_tables",
            "Is the store alone in its schema?",
            "store.foreign_tables",
            items.find_foreign_tables,
        ),
        (
            "store.schema",
            "Are its tables those of this version?",
            "store.schema",
            items.find_schema,
        ),
        (
            "store.organization",
            "Are its rows those of the connection's organisation?",
            "store.wrong_organization",
            lambda: items.find_owner(organization_id),
        ),
        (
            "store.private",
            "Is the store's file closed to everybody else?",
            "store.world_readable",
            items.find_private,
        ),
    ]
    return [Question(*each, needs=REACHABLE) for each in asked]


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def _require_writable(path: Path) -> None:
    # SQLite also writes files beside its own.
    is_writable = os.access(path if path.exists() else path.parent, os.W_OK)
    if not is_writable or not os.access(path.parent, os.W_OK):
        raise FailedItemError(
            f"This machine's user may not write {path} and the files beside it.",
            next_step="let the user that Airflow runs as write the folder and the file",
        )
