"""What the store's errors tell the operator: a cause, a next step, and nothing of any row."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
import uuid
from traceback import format_exception
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import Column, make_url, select, text

from opportunity_sync.errors import ConfigError, StoreUnavailableError, SyncError
from opportunity_sync.model import CONTACT
from opportunity_sync.store.schema.tables import public_table, sync_state
from opportunity_sync.store.schema.types import Identifier
from opportunity_sync.store.sessions.database_errors import meaning_of
from opportunity_sync.store.sessions.engine import store_engine
from opportunity_sync.store.sessions.lock import lock_store, writing
from opportunity_sync.store.sessions.session_watch import Waits
from opportunity_sync.store.statements.bulk import (
    append_constants,
    append_rows,
    staged_table,
    temporary_table,
)
from opportunity_sync.store.upgrade.migrate import migrate
from store_rows import a_change, part

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

PERSON = "Erika Mustermann"


@pytest.fixture
def own_postgres(postgres: str) -> Engine:
    """A store on PostgreSQL whose schema this test may change."""
    engine = store_engine(postgres)
    migrate(engine)
    return engine


def error_of(act: Callable[[], object]) -> SyncError:
    """What it raises, whose print must tell nothing of the person."""
    with pytest.raises(SyncError) as caught:
        act()
    assert PERSON not in "".join(format_exception(caught.value))
    return caught.value


def refused(engine: Engine, *statements: str) -> SyncError:
    """The error of statements in one transaction."""

    def run() -> None:
        with writing(engine) as connection:
            for statement in statements:
                connection.execute(text(statement))

    return error_of(run)


def refused_person(engine: Engine, *, last_name: str | None = PERSON) -> SyncError:
    """The error of loading one person."""
    rows = part(CONTACT, {"first_name": PERSON, "last_name": last_name, "email": PERSON})
    names = ["contact_id", "version_number", "first_name", "last_name", "email"]

    def load() -> None:
        with lock_store(engine, wait_seconds=0) as connection:
            given = append_constants(rows.select(names), a_change().stamps)
            append_rows(connection, public_table(CONTACT), given)

    return error_of(load)


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT '{PERSON}'::integer",
        f"SELECT '{PERSON}'::date",
        f"SELECT '{PERSON}'::jsonb",
        f"SELECT '{PERSON}'::uuid",
        f"SELECT '{PERSON}'::boolean",
        f"SELECT to_date('{PERSON}', 'YYYY')",
        f"DO $$BEGIN RAISE EXCEPTION 'row of {PERSON}'; END$$",
        f"DO $$BEGIN RAISE EXCEPTION 'row of {PERSON}' USING ERRCODE = '23514'; END$$",
        f"DO $$BEGIN RAISE EXCEPTION 'row' USING DETAIL = '{PERSON}', ERRCODE = '22023'; END$$",
        f"INSERT INTO sync_state (entity, delta_link) VALUES (NULL, '{PERSON}')",
        f"INSERT INTO sync_state (entity) VALUES ('{PERSON}'), ('{PERSON}')",
    ],
)
def test_no_value_of_a_row_is_in_an_error_of_postgresql(
    postgres_store: Engine, statement: str
) -> None:
    """Neither in its sentence nor in its details, context, statement or cause."""
    assert isinstance(refused(postgres_store, statement), ConfigError | StoreUnavailableError)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("ALTER first_name TYPE integer USING NULL", "in column first_name of contact"),
        ("ALTER first_name TYPE date USING NULL", "in column first_name of contact"),
        ("ALTER first_name TYPE varchar(3)", "too long"),
        ("ALTER last_name SET NOT NULL", 'null value in column "last_name"'),
        ("ADD CONSTRAINT short CHECK (length(first_name) < 5)", '"short"'),
        ("DROP first_name", "does not exist"),
    ],
)
def test_no_value_of_a_row_is_in_an_error_of_a_load(
    own_postgres: Engine, change: str, words: str
) -> None:
    """Somebody changed the table, and PostgreSQL would quote the whole row."""
    with writing(own_postgres) as connection:
        connection.execute(text(f"ALTER TABLE contact {change}"))
    error = refused_person(own_postgres, last_name=None)
    assert isinstance(error, ConfigError)
    assert words in error.problem


def test_a_trigger_s_own_words_stay_in_the_database(own_engine: Engine) -> None:
    """Whoever wrote it may have put the row into them."""
    trigger = (
        "CREATE TRIGGER no BEFORE INSERT ON contact BEGIN SELECT RAISE(ABORT, '%s'); END"
        if own_engine.dialect.name == "sqlite"
        else "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN "
        "RAISE EXCEPTION '%s'; END$$; "
        "CREATE TRIGGER no BEFORE INSERT ON contact FOR EACH ROW EXECUTE FUNCTION no()"
    )
    with writing(own_engine) as connection:
        connection.exec_driver_sql(trigger % PERSON)
    assert "error of its own" in refused_person(own_engine).problem


@pytest.mark.parametrize(
    ("statement", "kind", "advice"),
    [
        ("SELECT no_such_column FROM contact", ConfigError, "docs/store.md"),
        ("SELECT a.nope FROM contact a", ConfigError, "docs/store.md"),
    ],
)
def test_a_changed_table_is_a_setting_to_mend(
    engine: Engine, statement: str, kind: type[SyncError], advice: str
) -> None:
    """A dropped column or table does not come back by waiting."""
    error = refused(engine, statement)
    assert isinstance(error, kind)
    assert advice in error.next_step


@pytest.mark.parametrize(
    ("statements", "kind", "words", "advice"),
    [
        (["SET LOCAL statement_timeout TO 50", "SELECT pg_sleep(5)"], StoreUnavailableError,
         "statement timeout", "statement_timeout"),
        (["SET LOCAL default_transaction_read_only TO on; SET LOCAL transaction_read_only TO on",
          "DELETE FROM contact"], StoreUnavailableError, "read-only", "primary"),
        (["UPDATE contact SET version_number = 'a' || company_notes FROM account"], ConfigError,
         "is of type bigint", "docs/store.md"),
        (["CREATE TABLE contact (a int)"], ConfigError, "already exists", "of its own"),
    ],
)  # fmt: skip
def test_each_cause_has_its_own_advice(
    postgres_store: Engine, statements: list[str], kind: type[SyncError], words: str, advice: str
) -> None:
    """Time-outs, rights, limits and foreign tables are not all "another program"."""
    error = refused(postgres_store, *statements)
    assert isinstance(error, kind)
    assert words in error.problem
    assert advice in error.next_step


def test_a_statement_that_somebody_cancels_is_no_time_out(postgres_store: Engine) -> None:
    """Nor the other way round; the limit that was too short is named."""

    def be_cancelled() -> None:
        with writing(postgres_store) as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            cancel = threading.Timer(0.5, cancel_statement, [postgres_store, pid])
            cancel.start()
            connection.exec_driver_sql("SELECT pg_sleep(20)")

    error = error_of(be_cancelled)
    assert isinstance(error, StoreUnavailableError)
    assert "pg_cancel_backend" in error.next_step
    limited = make_url(postgres_store.url).update_query_dict({"options": "-c statement_timeout=1s"})
    error = refused(store_engine(limited), "SELECT pg_sleep(20)")
    assert "statement timeout, which is 1s" in error.problem
    assert "statement_timeout" in error.next_step


def cancel_statement(engine: Engine, pid: int) -> None:
    """End what the session is doing."""
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_cancel_backend(:pid)"), {"pid": pid})


def test_an_idle_time_out_is_named(postgres_store: Engine) -> None:
    """It is the database's own, and not another program."""

    def idle() -> None:
        with writing(postgres_store) as connection:
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout TO 200")
            time.sleep(1)
            connection.exec_driver_sql("SELECT 1")

    error = error_of(idle)
    assert isinstance(error, StoreUnavailableError)
    assert "idle_in_transaction_session_timeout" in error.next_step


def as_role(engine: Engine, *grants: str) -> Engine:
    """The database as a new role sees it, which has these rights."""
    name = f"role_{uuid.uuid4().hex[:8]}"
    with writing(engine) as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
        for grant in grants:
            connection.exec_driver_sql(grant.format(name))
    return store_engine(engine.url.set(username=name, password="x"))


@pytest.mark.parametrize(
    ("grants", "words"),
    [
        ([], "permission denied"),
        (["REVOKE USAGE ON SCHEMA public FROM public"], "no schema|does not exist|denied"),
        (
            [
                "REVOKE TEMPORARY ON DATABASE {database} FROM public",
                "GRANT ALL ON SCHEMA public TO {role}",
                "GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
            ],
            "temporary tables",
        ),
    ],
)
def test_a_right_that_is_missing_is_named(
    own_postgres: Engine, grants: list[str], words: str
) -> None:
    """To write, to use the schema, to make temporary tables."""
    database = own_postgres.url.database
    given = [grant.replace("{database}", str(database)).replace("{role}", "{}") for grant in grants]
    engine = as_role(own_postgres, *given)
    with writing(own_postgres) as connection:
        connection.exec_driver_sql("ALTER TABLE contact DROP COLUMN email")
    table = temporary_table("some", Column("id", Identifier), searched=["id"])

    def use() -> None:
        with lock_store(engine, wait_seconds=0) as connection:
            connection.execute(select(sync_state))
            with staged_table(connection, table):
                pass

    error = error_of(use)
    assert isinstance(error, ConfigError)
    assert re.search(words, error.problem)
    assert "let the store's role use schema public" in error.next_step


def test_a_foreign_table_of_the_same_name_is_left_alone(empty_engine: Engine) -> None:
    """Nobody's table `account` is taken over, and the operator learns that it is in the way."""
    with writing(empty_engine) as connection:
        connection.exec_driver_sql("CREATE TABLE account (number integer)")
    error = error_of(lambda: migrate(empty_engine))
    assert isinstance(error, ConfigError)
    assert "account" in error.problem
    assert "already exists" in error.problem
    assert "of its own" in error.next_step


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, StoreUnavailableError),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreUnavailableError),
        (sqlite3.SQLITE_FULL, StoreUnavailableError),
        (sqlite3.SQLITE_IOERR_WRITE, StoreUnavailableError),
        (sqlite3.SQLITE_READONLY_DBMOVED, StoreUnavailableError),
        (sqlite3.SQLITE_READONLY_DIRECTORY, ConfigError),
        (sqlite3.SQLITE_CORRUPT_INDEX, ConfigError),
        (sqlite3.SQLITE_MISMATCH, ConfigError),
        (sqlite3.SQLITE_AUTH, ConfigError),
    ],
)
def test_sqlite_is_told_apart_by_its_codes(code: int, kind: type[SyncError]) -> None:
    """What is in no table does not heal."""
    error = sqlite3.OperationalError("some words")
    error.sqlite_errorcode = code
    assert type(meaning_of(error)) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.DiskFull, StoreUnavailableError),
        (psycopg.errors.OutOfMemory, StoreUnavailableError),
        (psycopg.errors.TooManyConnections, StoreUnavailableError),
        (psycopg.errors.AdminShutdown, StoreUnavailableError),
        (psycopg.errors.CannotConnectNow, StoreUnavailableError),
        (psycopg.errors.SerializationFailure, StoreUnavailableError),
        (psycopg.errors.DeadlockDetected, StoreUnavailableError),
        (psycopg.errors.IoError, StoreUnavailableError),
        (psycopg.errors.DatabaseDropped, ConfigError),
        (psycopg.errors.InvalidSchemaName, ConfigError),
        (psycopg.errors.DataCorrupted, ConfigError),
        (psycopg.errors.InternalError_, ConfigError),
        (psycopg.errors.ProgramLimitExceeded, ConfigError),
        (psycopg.errors.UniqueViolation, ConfigError),
        (psycopg.errors.RaiseException, ConfigError),
        (psycopg.errors.FeatureNotSupported, ConfigError),
    ],
)
def test_postgresql_is_told_apart_by_its_states(
    error: type[psycopg.Error], kind: type[SyncError]
) -> None:
    """What is in no table does not heal."""
    assert type(meaning_of(error("some words"))) is kind


def test_a_lock_that_another_program_holds_is_named_and_bounded(postgres_store: Engine) -> None:
    """A load that waits for a table says for whose, and gives the store's lock back in the end."""
    impatient = store_engine(postgres_store.url, waits=Waits(lock=2, look=0.3))
    other = postgres_store.url.update_query_dict({"application_name": "psql"})
    with store_engine(other).begin() as holder:
        holder.exec_driver_sql("LOCK TABLE contact IN ACCESS EXCLUSIVE MODE")
        error = refused(impatient, "DELETE FROM contact")
    assert isinstance(error, StoreUnavailableError)
    assert "lock timeout on contact, which 'psql' (process" in error.problem
    assert refused(impatient, "SELECT nothing").next_step  # and the next one can work
