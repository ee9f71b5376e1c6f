"""What one look at a store says, before the first run has to find out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opportunity_sync.errors import ConfigError
from opportunity_sync.store import migrate, store_engine
from opportunity_sync.store.books.store_check import check_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture
def made() -> Callable[[Path], Engine]:
    """Engines on SQLite files."""
    return lambda path: store_engine(f"sqlite:///{path}")


def test_an_empty_database_can_become_a_store(sqlite_engine: Engine) -> None:
    """It is there, and holds nothing of anybody."""
    with sqlite_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE somebodys (id INTEGER)")

    assert check_store(sqlite_engine).endswith("It is empty; the first run makes its tables.")


def test_a_migrated_store_is_one(sqlite_engine: Engine) -> None:
    """Before its first run it is no organisation's."""
    migrate(sqlite_engine)

    assert check_store(sqlite_engine).endswith("it is no organisation's yet.")


def test_tables_of_the_stores_names_that_are_anothers_are_refused(sqlite_engine: Engine) -> None:
    """An application that has its own `account` must not get ours in between."""
    with sqlite_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE account (id INTEGER)")

    with pytest.raises(ConfigError, match="the store did not make: account"):
        check_store(sqlite_engine)


def test_a_file_that_is_no_database_is_refused(
    tmp_path: Path, made: Callable[[Path], Engine]
) -> None:
    """By the store's own error, with its next step."""
    path = tmp_path / "letter.sqlite"
    path.write_text("Dear Jane, " * 200, "utf-8")

    with pytest.raises(ConfigError, match="Next step:"):
        check_store(made(path))


def test_a_look_makes_no_file(tmp_path: Path, made: Callable[[Path], Engine]) -> None:
    """Neither the store's nor a folder for it."""
    assert "is not there yet" in check_store(made(tmp_path / "m.sqlite"))
    with pytest.raises(ConfigError, match="is not there"):
        check_store(made(tmp_path / "no" / "m.sqlite"))

    assert list(tmp_path.iterdir()) == []
