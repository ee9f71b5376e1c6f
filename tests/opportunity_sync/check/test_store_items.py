"""The store: what one look at it says, before the first run has to find out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opportunity_sync.check.connection_tests import try_store
from opportunity_sync.check.items import Item, answer_all
from opportunity_sync.check.store_items import StoreItems, store_questions
from opportunity_sync.store import claim_organization, lock_store, migrate, store_engine
from other_users import reachable_folder, without_roots_rights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine

OURS = "11111111-2222-4333-8444-555555555555"
ANOTHER = "99999999-2222-4333-8444-555555555555"


@pytest.fixture
def made() -> Callable[[Path], Engine]:
    """Engines on SQLite files."""
    return lambda path: store_engine(f"sqlite:///{path}")


def items_of(engine: Engine, organization_id: str = OURS) -> dict[str, Item]:
    """Every item of a store, by name."""
    questions = store_questions(StoreItems(engine), lambda: organization_id)
    return {item.name: item for item in answer_all(questions)}


def failures_of(engine: Engine, organization_id: str = OURS) -> list[str | None]:
    """The codes of what has failed."""
    items = items_of(engine, organization_id).values()
    return [item.code for item in items if item.state == "failed"]


def execute(engine: Engine, statement: str) -> None:
    """Change a store by hand."""
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)


def test_a_store_in_use_passes(sqlite_engine: Engine) -> None:
    """Every item of it, and Test says whose it is."""
    migrate(sqlite_engine)
    with lock_store(sqlite_engine, wait_seconds=1) as connection:
        claim_organization(connection, OURS)

    assert {item.state for item in items_of(sqlite_engine).values()} == {"passed"}
    assert try_store(sqlite_engine) == (
        True,
        f"The store answers (SQLite). It holds the rows of organisation {OURS}.",
    )


def test_another_organisations_store_has_failed(sqlite_engine: Engine) -> None:
    """Before a run is refused by it."""
    migrate(sqlite_engine)
    with lock_store(sqlite_engine, wait_seconds=1) as connection:
        claim_organization(connection, OURS)

    assert failures_of(sqlite_engine, ANOTHER) == ["store.wrong_organization"]


def test_tables_of_the_stores_names_that_are_anothers_have_failed(sqlite_engine: Engine) -> None:
    """An application that has its own `account` must not get ours in between."""
    execute(sqlite_engine, "CREATE TABLE account (id INTEGER)")
    is_usable, sentence = try_store(sqlite_engine)

    assert failures_of(sqlite_engine) == ["store.name_taken"]
    assert not is_usable
    assert "the store did not make: account" in sentence


def test_other_tables_beside_the_stores_are_told(sqlite_engine: Engine) -> None:
    """Runs could begin all the same, so Test only warns."""
    migrate(sqlite_engine)
    execute(sqlite_engine, "CREATE TABLE somebodys (id INTEGER)")
    is_usable, sentence = try_store(sqlite_engine)

    assert failures_of(sqlite_engine) == ["store.foreign_tables"]
    assert is_usable
    assert "somebodys" in sentence


def test_a_schema_of_an_earlier_version_is_told(sqlite_engine: Engine) -> None:
    """The next run upgrades it."""
    migrate(sqlite_engine)
    execute(sqlite_engine, "UPDATE opportunity_sync_version SET version_num = '0004'")

    assert failures_of(sqlite_engine) == ["store.schema"]


def test_a_file_that_everybody_may_read_is_told(tmp_path: Path, sqlite_engine: Engine) -> None:
    """As it may be after a restore from a backup: opening it closes it, so it is asked before."""
    migrate(sqlite_engine)
    (tmp_path / "store.sqlite").chmod(0o644)
    questions = store_questions(StoreItems(sqlite_engine))
    [private] = [each for each in questions if each.name == "store.private"]

    assert private.answer().code == "store.world_readable"


def test_a_file_that_is_no_database_has_failed(
    tmp_path: Path, made: Callable[[Path], Engine]
) -> None:
    """By the store's own error, and nothing more is asked of it."""
    path = tmp_path / "letter.sqlite"
    path.write_text("Dear Jane, " * 200, "utf-8")
    items = items_of(made(path))

    assert failures_of(made(path)) == ["store.unreachable"]
    assert items["store.schema"].code == "check.not_asked"


def test_a_look_makes_no_file(tmp_path: Path, made: Callable[[Path], Engine]) -> None:
    """Neither the store's nor a folder for it."""
    assert "is not there yet" in items_of(made(tmp_path / "m.sqlite"))["store.reachable"].found
    assert failures_of(made(tmp_path / "no" / "m.sqlite")) == ["store.unreachable"]
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def server(postgres: str) -> Iterator[Engine]:
    """An empty PostgreSQL store."""
    engine = store_engine(postgres)
    yield engine
    engine.dispose()


def test_a_database_that_lets_a_load_end_passes(server: Engine) -> None:
    """As it is when it is new: no time-outs, and the owner may do all."""
    assert failures_of(server) == []
    assert items_of(server)["store.timeouts"].state == "passed"


def test_a_database_that_ends_loads_is_told(server: Engine) -> None:
    """By the name of the limit, before the first large load is ended by it."""
    name = server.url.database
    execute(server, f"ALTER DATABASE {name} SET statement_timeout = '30s'")
    server.dispose()

    item = items_of(server)["store.timeouts"]

    assert (item.state, item.code) == ("failed", "store.timeouts")
    assert "statement_timeout is 30 s" in item.found


def test_a_role_that_may_not_make_tables_is_told(server: Engine) -> None:
    """Whoever only reads finds out here, and not in the first run."""
    role = f"reader_{server.url.database}"
    execute(server, f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    reader = store_engine(server.url.set(username=role, password="x"))

    item = items_of(reader)["store.privileges"]
    reader.dispose()
    execute(server, f"DROP ROLE {role}")

    assert (item.state, item.code) == ("failed", "store.privileges")
    assert item.found == "The store's role lacks CREATE on schema public."


def test_a_database_that_does_not_answer_has_failed(server: Engine) -> None:
    """And what rests on it is not asked."""
    nowhere = store_engine(server.url.set(port=1))
    items = items_of(nowhere)
    nowhere.dispose()

    assert (items["store.reachable"].state, items["store.reachable"].code) == (
        "failed",
        "store.unreachable",
    )
    assert items["store.schema"].code == "check.not_asked"


def test_a_closed_folder_breaks_no_item_but_its_own(made: Callable[[Path], Engine]) -> None:
    """Nobody can say whether a file is in it; the check goes on."""
    with reachable_folder() as folder:
        (folder / "closed").mkdir()
        (folder / "closed").chmod(0)
        with without_roots_rights():
            assert failures_of(made(folder / "closed" / "m.sqlite")) == ["store.unreachable"]
            assert failures_of(made(folder / ("m" * 300))) == ["store.unreachable"]
