"""What a load asks of the database grows with its own rows: neither squared nor with the store's.

Asked of the databases themselves, statement by statement: times of a busy machine prove nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from opportunity_sync.model import CONNECTION_ROLE, DEFAULT_MODEL
from opportunity_sync.store import store_engine
from postgres_cluster import new_database, running_cluster
from statement_plans import watching_plans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from statement_plans import Reading
    from sync_runs import SyncRuns

LARGE = {
    *(entity.name for entity in DEFAULT_MODEL.public),
    # Of roles there are some dozens: a deletion among them shows by comparing them all.
    *(entity.fact_table for entity in DEFAULT_MODEL if entity != CONNECTION_ROLE),
    "opportunity_contact_role",
    "unresolved_association",
}
# A table of so few rows is rightly read whole, once the planner knows.
A_HANDFUL = 50
# Whether a table has any row: the first one answers.
_ANY_ROW = re.compile(r"SELECT EXISTS \(SELECT \S+ FROM \w+\)")


@pytest.fixture
def installed_postgres() -> Iterator[str]:
    """This machine's own PostgreSQL, if any: versions put different prices on forbidden plans."""
    with running_cluster(as_installed=True) as server, new_database(server) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite_url", "postgres", "installed_postgres"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An empty store of each kind, and of another version of PostgreSQL."""
    engine = store_engine(request.getfixturevalue(request.param))
    yield engine
    engine.dispose()


def change_one_of_each(runs: SyncRuns) -> None:
    """A change, a deletion and a connection that ends, and what the rules make of them."""
    organisation = runs.sandbox.organisation
    for set_name in ("opportunities", "contacts", "accounts"):
        rows = organisation.rows(set_name)
        key = next(name for name in rows[0] if name in {"opportunityid", "contactid", "accountid"})
        organisation.update(set_name, rows[0][key], {"createdon": "2020-01-01T00:00:00Z"})
        organisation.delete(set_name, rows[-1][key])
    organisation.deactivate("connections", organisation.rows("connections")[0]["connectionid"])


def rename_roles(runs: SyncRuns) -> None:
    """Every opportunity that has a stakeholder gets its roles anew."""
    organisation = runs.sandbox.organisation
    for row in organisation.rows("connectionroles"):
        new = {"name": f"{row['name']} (new)"}
        organisation.update("connectionroles", row["connectionroleid"], new)


def rows_of(runs: SyncRuns, table: str) -> int:
    """How many rows a table has."""
    with runs.engine.connect() as connection:
        return connection.scalar(text(f'SELECT count(*) FROM "{table}"')) or 0


def shown(readings: list[Reading]) -> list[str]:
    """The readings as text that tells which statement to look at."""
    return sorted({f"{each.table}: {' '.join(each.statement.split())[:300]}" for each in readings})


def test_no_statement_reads_a_table_for_every_row(runs: SyncRuns) -> None:
    """Whatever kind of run: a first one, one that renames every role, a window, a comparison."""
    with watching_plans() as readings:
        runs.run()
        rename_roles(runs)
        change_one_of_each(runs)
        runs.run()
        change_one_of_each(runs)
        runs.run("reconcile")
        runs.run("full")
    assert len(readings) > 0
    assert shown([each for each in readings if each.again]) == []


def test_a_small_load_reads_no_table_from_end_to_end(runs: SyncRuns) -> None:
    """Its statements find what they need by index, however large the store is."""
    runs.run()
    change_one_of_each(runs)
    with watching_plans() as readings:
        loaded = runs.run()
    assert loaded["changed"]
    large = {each for each in LARGE if rows_of(runs, each) > A_HANDFUL}
    whole = [
        each
        for each in readings
        if each.table in large and not _ANY_ROW.match(" ".join(each.statement.split()))
    ]
    assert shown(whole) == []


def test_the_load_after_the_first_one_is_planned_by_statistics(runs: SyncRuns) -> None:
    """Autovacuum may come minutes later; until then whole indexes were read for a few rows."""
    if runs.engine.dialect.name != "postgresql":
        pytest.skip("SQLite plans by its indexes alone")
    runs.run()

    with runs.engine.connect() as connection:
        known = connection.scalars(text("SELECT DISTINCT tablename FROM pg_stats"))
        assert {*known} >= LARGE
