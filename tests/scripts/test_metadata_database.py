"""A PostgreSQL of `make ui`'s own, for as long as it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from metadata_database import metadata_database

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.usefixtures("postgres_server")  # skips where there is none
def test_the_postgres_database_is_kept_and_its_server_ends(tmp_path: Path) -> None:
    """What one start wrote, the next one finds; in between nobody can connect."""
    folder = tmp_path / "ui" / "postgres"
    with metadata_database(folder) as url:
        assert url is not None
        with create_engine(url, poolclass=NullPool).begin() as connection:
            connection.execute(text("CREATE TABLE kept AS SELECT 7 AS number"))
    with pytest.raises(OperationalError):
        create_engine(url, poolclass=NullPool).connect()
    with metadata_database(folder) as url:
        assert url is not None
        with create_engine(url, poolclass=NullPool).connect() as connection:
            assert connection.execute(text("SELECT number FROM kept")).scalar_one() == 7
            assert connection.execute(text("SHOW listen_addresses")).scalar_one() == ""


def test_where_postgres_cannot_start_sqlite_is_taken_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A newcomer gets an Airflow in any case, and knows what it can't do."""
    (tmp_path / "in the way").write_text("")
    with metadata_database(tmp_path / "in the way") as url:
        assert url is None
    assert "SQLite: backfills started in the browser may fail" in capsys.readouterr().out
