"""Whatever the page asks, it finds by index: no view reads a large table from end to end."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from page_questions import fill_store, questions

from opportunity_sync.store import migrate, read_store, store_engine
from postgres_cluster import new_database
from statement_plans import watching_plans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Engine

ROWS, RUNS = 3_000, 6_000
# As many rows as the organisation, or as ninety days have runs.
LARGE = {
    "account",
    "backlog_sample",
    "contact",
    "fact_connection",
    "fact_contact",
    "fact_opportunity",
    "history",
    "opportunity",
    "opportunity_contact_role",
    "refused_row",
    "sync_event",
    "sync_run",
    "sync_run_entity",
    "sync_run_lag",
    "sync_run_task",
    "unresolved_association",
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A store that is large enough for the planner to care."""
    with ExitStack() as stack:
        url: URL | str = f"sqlite:///{tmp_path_factory.mktemp('page') / 'store.sqlite'}"
        if request.param == "postgresql":
            server = request.getfixturevalue("postgres_server")
            url = stack.enter_context(new_database(server))
        engine = store_engine(url)
        stack.callback(engine.dispose)
        migrate(engine)
        fill_store(engine, ROWS, runs=RUNS)
        yield engine


@pytest.mark.parametrize("name", questions("sqlite", ROWS, runs=RUNS))
def test_a_view_reads_no_large_table_from_end_to_end(store: Engine, name: str) -> None:
    """Every statement of the view is explained by the database, with its own values."""
    ask = questions(store.dialect.name, ROWS, runs=RUNS)[name]
    with read_store(store) as connection, watching_plans() as readings:
        if store.dialect.name == "postgresql":  # so few rows it would rather read whole
            connection.exec_driver_sql("SET LOCAL enable_seqscan TO off")
        ask(connection)
    assert [each for each in readings if each.table in LARGE and each.in_sequence] == []
    assert [each for each in readings if each.again] == []
