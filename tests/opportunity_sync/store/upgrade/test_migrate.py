"""The schema that databases get is the one that the code believes in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect, text
from sqlalchemy.schema import CreateColumn

from opportunity_sync.errors import ConfigError
from opportunity_sync.model import CONTACT, DEFAULT_MODEL, Model
from opportunity_sync.store.books.state import move_watermark, read_state
from opportunity_sync.store.schema.tables import COUNTS, ROLE, public_table, tables_of
from opportunity_sync.store.sessions.engine import store_engine
from opportunity_sync.store.sessions.lock import lock_store
from opportunity_sync.store.statements.counts import Counts
from opportunity_sync.store.upgrade.migrate import (
    VERSION_TABLE,
    alembic_config,
    migrate,
    revisions,
)
from store_reader import tells_its_rows
from store_rows import NOON, dump, guid, write

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


# What scripts make. The tables of any further entity follow the model.
SCRIPTED = Model(
    tuple(
        DEFAULT_MODEL[name]
        for name in ("opportunity", "connection", "connectionrole", "contact", "account")
    )
)
STANDING = Model(
    tuple(
        replace(entity, fields=tuple(field for field in entity.fields if field.always_stands))
        for entity in SCRIPTED
    )
)


def metadata(model: Model) -> MetaData:
    """All tables of the model in one place, as Alembic compares them."""
    gathered = MetaData()
    for table in tables_of(model).values():
        table.to_metadata(gathered)
    return gathered


def is_compared(_each: object, name: str | None, kind: str, *_how: object) -> bool:
    """All but the index of names, which each database writes in its own way."""
    return (kind, name) != ("index", "ix_opportunity_by_name")


def differences(connection: Connection, model: Model = DEFAULT_MODEL) -> list[object]:
    """What Alembic would change to get from the database to our tables."""
    options = {"version_table": VERSION_TABLE, "compare_type": True, "include_object": is_compared}
    return list(
        compare_metadata(MigrationContext.configure(connection, opts=options), metadata(model))
    )


def test_the_scripts_alone_give_all_that_always_stands(empty_engine: Engine) -> None:
    """Every table, column, type, key and index; selected columns are no script's business."""
    with lock_store(empty_engine, wait_seconds=5) as connection:
        command.upgrade(alembic_config(connection), "head")
        assert differences(connection, STANDING) == []
        assert set(inspect(connection).get_table_names()) == {
            *tables_of(SCRIPTED),
            VERSION_TABLE,
        }


def test_primary_keys_and_defaults_are_those_of_the_code(own_engine: Engine) -> None:
    """Alembic does not compare keys and null-ability of defaults, so they are compared here."""
    with own_engine.connect() as connection:
        inspector = inspect(connection)
        for table in tables_of(DEFAULT_MODEL).values():
            key = inspector.get_pk_constraint(table.name)["constrained_columns"]
            assert [column.name for column in table.primary_key] == key, table.name
            defaults = {c["name"] for c in inspector.get_columns(table.name) if c["default"]}
            expected = {c.name for c in table.columns if c.server_default is not None}
            assert expected == defaults, table.name
            columns = {column["name"] for column in inspector.get_columns(table.name)}
            assert {column.name for column in table.columns} == columns


def of_revision(connection: Connection, revision: str) -> None:
    """Make the tables of an earlier revision, which had the columns of the default selection."""
    command.upgrade(alembic_config(connection), "0001")
    for entity in SCRIPTED.public:
        table = public_table(entity)
        for field in entity.selected_fields:
            for column in field.columns:
                definition = CreateColumn(table.c[column.name]).compile(connection)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")
    command.upgrade(alembic_config(connection), revision)


def a_store_of_the_first_revision(engine: Engine) -> None:
    """What the version before left: two runs, a deleted contact, state of two tables."""
    moment = "'2024-05-01T12:00:00Z'"
    key = "INSERT INTO sync_run (dag_id, run_id, mode, started_at, outcome"
    counted = "contact_read, contact_inserted, contact_updated, contact_deleted, contact_refused"
    statements = [
        f"INSERT INTO sync_store VALUES (1, '{guid(1)}', 7, 0)",
        (
            f"{key}, {counted}, role_read, role_inserted, role_updated, error) "
            f"VALUES ('d', 'r1', 'full', {moment}, 'succeeded', 10, 5, 2, 3, 1, 4, 1, 5, NULL)"
        ),
        f"{key}, error) VALUES ('d', 'r2', 'range', {moment}, 'failed', 'No disk.')",
        (
            f"INSERT INTO contact (contact_id, version_number, first_name, is_deleted, deleted_at, "
            f"synced_at) VALUES ('{guid(1)}', 5, 'Ada', true, {moment}, {moment})"
        ),
        (
            "INSERT INTO fact_contact "
            "(contact_id, version_number, is_deleted, deleted_noticed_at) "
            f"VALUES ('{guid(1)}', 5, true, {moment}), ('{guid(2)}', 0, true, {moment})"
        ),
        f"INSERT INTO fact_contact (contact_id, version_number) VALUES ('{guid(3)}', 1)",
        f"INSERT INTO sync_state VALUES ('contact', {moment}, 'https://link', 'abc', 2)",
        f"INSERT INTO sync_state (entity, watermark_at) VALUES ('account', {moment})",
    ]
    with lock_store(engine, wait_seconds=5) as connection:
        of_revision(connection, "0001")
        for statement in statements:
            connection.execute(text(statement))


def test_a_store_of_the_first_revision_is_upgraded_with_its_rows(empty_engine: Engine) -> None:
    """Deletions get a place in the order, counts become rows, and state stays usable."""
    a_store_of_the_first_revision(empty_engine)
    migrate(empty_engine)
    with empty_engine.connect() as connection:
        assert differences(connection) == []
        state = read_state(connection)
    told = dump(empty_engine, *tables_of(DEFAULT_MODEL).values())
    facts = {row["contact_id"]: row["deleted_revision"] for row in told["fact_contact"]}
    assert facts == {guid(1): 7, guid(2): 7, guid(3): None}
    counts = {
        row["entity"]: Counts(**{name: row[name] for name in COUNTS})
        for row in told["sync_run_entity"]
    }
    assert {row["run_id"] for row in told["sync_run_entity"]} == {"r1"}
    assert counts.keys() == {*(entity.name for entity in SCRIPTED), ROLE}
    assert counts["contact"] == Counts(
        read=10, inserted=5, updated=2, unchanged=2, deleted=3, refused=1
    )
    assert counts["role"] == Counts(read=4, inserted=1, updated=3, rewritten=2)
    assert counts["account"] == Counts()
    assert {count.unaccounted for count in counts.values()} == {0}
    runs = [(row["run_id"], row["attempt"], row["error"]) for row in told["sync_run"]]
    assert runs == [("r1", None, None), ("r2", None, "No disk.")]
    assert state.watermarks == {"contact": NOON, "account": NOON}
    assert (state.delta_links, state.whole_passes) == ({"contact": "https://link"}, {"contact": 2})
    assert state.columns == {"contact": None, "account": None}
    assert state.link_columns == {"contact": None}
    assert tells_its_rows(empty_engine)


@pytest.mark.parametrize(("begun", "is_alive"), [(6, False), (7, True)])
def test_a_run_after_the_upgrade_revives_what_was_deleted_before(
    empty_engine: Engine, begun: int, is_alive: bool
) -> None:
    """The store's revision is what the first run then begins with."""
    a_store_of_the_first_revision(empty_engine)
    migrate(empty_engine)
    counts = write(empty_engine, CONTACT, {"version_number": 5, "first_name": "Ada"}, begun=begun)
    assert counts == Counts(read=1, updated=int(is_alive), superseded=int(not is_alive))


@pytest.mark.parametrize(("before", "after"), [(7, 7), (0, 1), (None, None)])
def test_rows_of_before_have_a_number_that_readers_reach(
    empty_engine: Engine, before: int | None, after: int | None
) -> None:
    """One that the store has given by then, also where somebody filled it by hand."""
    a_store_of_the_first_revision(empty_engine)
    with lock_store(empty_engine, wait_seconds=5) as connection:
        command.upgrade(alembic_config(connection), "0002")
        if before is None:
            connection.execute(text("DELETE FROM sync_store"))
        else:
            connection.execute(text(f"UPDATE sync_store SET revision = {before}"))
    migrate(empty_engine)
    with empty_engine.connect() as connection:
        assert differences(connection) == []
        assert connection.scalar(text("SELECT revision FROM sync_store")) == after
        assert connection.scalars(text("SELECT revision FROM contact")).all() == [1]


def test_an_empty_store_that_is_upgraded_stays_empty(empty_engine: Engine) -> None:
    """Its first load is a first load."""
    with lock_store(empty_engine, wait_seconds=5) as connection:
        of_revision(connection, "0002")
        connection.execute(text(f"INSERT INTO sync_store VALUES (1, '{guid(1)}', 0, 0)"))
    migrate(empty_engine)
    with empty_engine.connect() as connection:
        assert read_state(connection).is_empty


def test_the_names_of_a_store_of_before_are_found_by_index(empty_engine: Engine) -> None:
    """A store whose names are there gets by the script what a new column brings with it."""
    with lock_store(empty_engine, wait_seconds=5) as connection:
        of_revision(connection, "0005")
        names = [index["name"] for index in inspect(connection).get_indexes("opportunity")]
    assert "ix_opportunity_by_name" in names


def test_a_column_for_rows_of_before_rewrites_no_table(postgres: str) -> None:
    """PostgreSQL keeps their number in its catalogue: the files of the tables stay as they were."""
    engine = store_engine(postgres)
    a_store_of_the_first_revision(engine)
    files = text("SELECT pg_relation_filenode(CAST(:table AS regclass))")
    tables = [*(entity.name for entity in SCRIPTED.public), "opportunity_contact_role"]
    with lock_store(engine, wait_seconds=5) as connection:
        command.upgrade(alembic_config(connection), "0002")
        before = [connection.scalar(files, {"table": table}) for table in tables]
        command.upgrade(alembic_config(connection), "0003")
        assert before == [connection.scalar(files, {"table": table}) for table in tables]


def test_an_upgrade_can_be_taken_back(empty_engine: Engine) -> None:
    """The earlier version finds its columns, with the counts that it knows."""
    a_store_of_the_first_revision(empty_engine)
    migrate(empty_engine)
    with lock_store(empty_engine, wait_seconds=5) as connection:
        command.downgrade(alembic_config(connection), "0001")
        query = "SELECT contact_read, contact_updated, role_updated, account_read FROM sync_run"
        rows = connection.execute(text(f"{query} ORDER BY run_id")).all()
        noticed = "SELECT count(*) FROM fact_contact WHERE deleted_noticed_at IS NOT NULL"
        assert connection.scalar(text(noticed)) == 2
    assert [tuple(row) for row in rows] == [(10, 2, 5, 0), (0, 0, 0, 0)]
    migrate(empty_engine)


def test_a_current_store_is_left_alone_and_not_waited_for(own_engine: Engine) -> None:
    """A second call neither changes anything nor needs the lock that a load holds."""
    with lock_store(own_engine, wait_seconds=5):
        migrate(own_engine, wait_seconds=0)


def test_a_column_new_in_the_code_is_added_to_the_store(own_engine: Engine) -> None:
    """Standing columns and selected ones alike."""
    with own_engine.begin() as connection:
        connection.execute(text("ALTER TABLE account DROP COLUMN website"))
        connection.execute(text("ALTER TABLE sync_run DROP COLUMN error_code"))
    migrate(own_engine)
    with own_engine.connect() as connection:
        assert differences(connection) == []


@pytest.mark.parametrize("dropped", [["contact"], ["contact", "fact_contact"]], ids=len)
def test_a_table_that_somebody_dropped_is_made_and_read_anew(
    own_engine: Engine, dropped: list[str]
) -> None:
    """Its watermark would hide for good that every row is missing."""
    with own_engine.begin() as connection:
        for name in ("contact", "account"):
            move_watermark(connection, name, window_start=None, to=NOON)
        for name in dropped:
            connection.execute(text(f"DROP TABLE {name}"))
        connection.execute(text("UPDATE table_size SET rows = 7 WHERE entity = 'contact'"))

    migrate(own_engine)

    with own_engine.connect() as connection:
        assert differences(connection) == []
        assert read_state(connection).watermarks == {"account": NOON}
    assert tells_its_rows(own_engine)


def test_a_store_of_a_newer_version_is_refused(own_engine: Engine) -> None:
    """An older pipeline must not write tables that it does not understand."""
    with own_engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="newer than this version"):
        migrate(own_engine)


def test_the_first_revision_can_be_taken_back(empty_engine: Engine) -> None:
    """Downgrading leaves nothing behind but Alembic's own table."""
    migrate(empty_engine, SCRIPTED)
    with lock_store(empty_engine, wait_seconds=5) as connection:
        command.downgrade(alembic_config(connection), "base")
        assert inspect(connection).get_table_names() == [VERSION_TABLE]


def test_tables_are_made_whole_or_not_at_all(empty_engine: Engine) -> None:
    """A migration that is cut short leaves no table."""
    with lock_store(empty_engine, wait_seconds=5) as connection:
        command.upgrade(alembic_config(connection), "head")
        connection.rollback()
    with empty_engine.connect() as connection:
        assert inspect(connection).get_table_names() == []


def test_scripts_are_numbered_by_their_files(empty_engine: Engine) -> None:
    """Runs ask the files for the newest number, Alembic the scripts: both say the same."""
    with lock_store(empty_engine, wait_seconds=5) as connection:
        scripts = ScriptDirectory.from_config(alembic_config(connection))
    numbers = [script.revision for script in scripts.walk_revisions()]

    assert list(revisions()) == numbers[::-1]
    assert revisions()[-1] == scripts.get_current_head()
