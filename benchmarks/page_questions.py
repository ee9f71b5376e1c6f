"""How long each question of the page takes of a large store: its first page, and its last one.

The store is filled by SQL: that is quick, and the questions see rows like any others. Statistics
and visibility are brought up to date as autovacuum would do it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from empty_stores import a_database, a_file

from opportunity_sync import status
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.store import count_rows, migrate, read_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection, CursorResult, Engine

RUNS = 26_000  # of ninety days, one every five minutes
REPEATS = 5
_PER_PAGE = 50
_REFUSED = 10  # one record in so many
_AT = "'2026-05-01T12:00:00Z'"
_ID = {
    "sqlite": "printf('%08x-0000-4000-8000-000000000000', n)",
    "postgresql": "lpad(to_hex(n), 8, '0') || '-0000-4000-8000-000000000000'",
}
_NUMBERS = {
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) ",
    "postgresql": "WITH s AS (SELECT generate_series(1, {rows}) AS n) ",
}
_BEFORE = {
    "sqlite": f"strftime('%Y-%m-%dT%H:%M:%SZ', {_AT}, '-' || (n * 5) || ' minutes')",
    "postgresql": f"timestamptz {_AT} - n * interval '5 minutes'",
}
_FILLING = {
    "opportunity": "(opportunity_id, version_number, synced_at, modified_at, name, customer_id, "
    "customer_type) "
    "SELECT {id}, n, {at}, {at}, 'Deal ' || n % 1000 || ' of ' || n, {id}, 'contact'",
    "fact_opportunity": "(opportunity_id, version_number, customer_id, customer_type) "
    "SELECT {id}, n, {id}, 'contact'",
    "contact": "(contact_id, version_number, synced_at) SELECT {id}, n, {at}",
    "fact_contact": "(contact_id, version_number) SELECT {id}, n",
    "opportunity_contact_role": "(opportunity_id, contact_id, role, is_primary, source, synced_at) "
    "SELECT {id}, {id}, 'Potential Customer', true, 'customer', {at}",
    "fact_connection": "(connection_id, version_number, state, record1_id, record1_type, "
    "record2_id, record2_type) SELECT {id}, n, 0, {id}, 'opportunity', {id}, 'contact'",
    "history": "(opportunity_id, revision, at, dag_id, run_id, changes) "
    "SELECT {id}, n, {at}, 'sync', 'run-1', '{{}}'",
    "unresolved_association": "(opportunity_id, kind, reference_id, reason, first_seen_at) "
    "SELECT {id}, 'contact_account', {id}, 'account_not_found', {at}",
}
_FEW = {
    "refused_row": "(entity, record_id, code, message, first_seen_at, last_tried_at, tries, "
    "next_try_at, tried_by) SELECT 'contact', {id}, 'too_long', 'Too long.', {at}, {at}, n % 9, "
    "{at}, '1'",
}
_OF_RUNS = {
    "sync_run": "(dag_id, run_id, mode, started_at, ended_at, outcome) "
    "SELECT 'sync', 'run-' || n, 'continue', {before}, {before}, 'succeeded'",
    "sync_run_task": "(dag_id, run_id, task_id, started_at, ended_at) "
    "SELECT 'sync', 'run-' || n, 'load', {before}, {before}",
    "sync_event": "(position, at, kind, message) SELECT n, {before}, 'drift', 'One row.'",
}
# Of each run, of each of four tables: the run's number is a quarter of the row's.
_OF_TABLES = {
    "sync_run_entity": "(dag_id, run_id, entity, updated) "
    "SELECT 'sync', 'run-' || ((n + 3) / 4), {table}, 1",
    "sync_run_lag": "(dag_id, run_id, entity, seconds, rows) "
    "SELECT 'sync', 'run-' || ((n + 3) / 4), {table}, 60, 1",
    "backlog_sample": "(entity, as_of, waiting) SELECT {table}, {before}, n % 9",
}
_TABLE = "CASE n % 4 WHEN 0 THEN 'contact' WHEN 1 THEN 'account' WHEN 2 THEN 'role' ELSE "
_TABLE += "'opportunity' END"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and how many milliseconds its answer takes of each database."""

    COLUMNS: ClassVar = "question|SQLite ms|PostgreSQL ms"

    question: str
    sqlite: float
    postgres: float

    def __str__(self) -> str:
        """A line of the table."""
        return f"| {self.question} | {self.sqlite:.1f} | {self.postgres:.1f} |"


def ask_page(folder: Path, rows: int) -> list[Asked]:
    """Ask everything of a store with so many opportunities, of each kind."""
    found: dict[str, dict[str, float]] = {}
    for kind, made in (("sqlite", a_file), ("postgres", a_database)):
        with made(folder) as engine:
            migrate(engine)
            fill_store(engine, rows)
            with read_store(engine) as connection:
                found[kind] = {
                    name: _milliseconds(connection, ask)
                    for name, ask in questions(engine.dialect.name, rows).items()
                }
    return [Asked(name, took, found["postgres"][name]) for name, took in found["sqlite"].items()]


def fill_store(engine: Engine, rows: int, *, runs: int = RUNS) -> None:
    """So many opportunities, contacts and roles, and as many runs as ninety days have."""
    kind = engine.dialect.name
    at = _AT if kind == "sqlite" else f"timestamptz {_AT}"
    filling = (
        (_FILLING, rows),
        (_FEW, rows // _REFUSED),
        (_OF_RUNS, runs),
        (_OF_TABLES, 4 * runs),
    )
    for tables, count in filling:
        for table, statement in tables.items():
            numbers = _NUMBERS[kind].format(rows=count)
            values = statement.format(id=_ID[kind], at=at, before=_BEFORE[kind], table=_TABLE)
            with engine.begin() as connection:
                _run(connection, f"INSERT INTO {table} {_columns_and_query(numbers, values)}")
    with engine.begin() as connection:
        for entity in DEFAULT_MODEL.public:
            count_rows(connection, entity)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if kind == "sqlite" else "VACUUM ANALYZE")


def _columns_and_query(numbers: str, values: str) -> str:
    """The columns, then the numbers, then what is selected from them."""
    columns, _, selected = values.partition(") ")
    return f"{columns}) {numbers}{selected} FROM s"


def _run(connection: Connection, statement: str) -> CursorResult[Any]:
    """Run it as it stands: the driver of PostgreSQL takes a percent sign for a parameter."""
    is_postgres = connection.dialect.name == "postgresql"
    return connection.exec_driver_sql(statement.replace("%", "%%") if is_postgres else statement)


def questions(kind: str, rows: int, *, runs: int = RUNS) -> dict[str, Callable[[Connection], Any]]:
    """What the views ask of a store that `fill_store` made, by name."""
    last = rows // _PER_PAGE
    last_refused = last // _REFUSED
    now = datetime(2026, 5, 1, 12, 5, tzinfo=UTC)

    def page_question(ask: Callable[..., Any], **asked: Any) -> Callable[[Connection], Any]:
        return lambda connection: ask(connection, status.Question(per_page=_PER_PAGE, **asked))

    def an_id(connection: Connection) -> str:
        query = f"WITH s AS (SELECT {rows // 2} AS n) SELECT {_ID[kind]} FROM s"  # noqa: S608 - numbers of ours
        return str(_run(connection, query).scalar_one())

    return {
        "status": lambda connection: status.overview(
            connection, now=now, late_after=timedelta(minutes=15), is_paused=False
        ),
        "runs, page 1": page_question(status.list_runs),
        "runs, last page": page_question(status.list_runs, page=runs // _PER_PAGE),
        "errors, page 1": page_question(status.refused_records),
        "errors, last page": page_question(status.refused_records, page=last_refused),
        "errors by tries, last page": page_question(
            status.refused_records, page=last_refused, sort="-tries"
        ),
        "unresolved, page 1": page_question(status.unresolved_associations),
        "unresolved, last page": page_question(status.unresolved_associations, page=last),
        "unresolved by kind, last page": page_question(
            status.unresolved_associations, page=last, sort="kind"
        ),
        "unresolved, one prefix": page_question(status.unresolved_associations, search="000a"),
        "an opportunity": lambda connection: status.explain_opportunity(
            connection, an_id(connection)
        ),
        "opportunities by name": page_question(status.find_opportunities, search="deal 7"),
        "opportunities, last page": page_question(
            status.find_opportunities, search="deal", page=200
        ),
        **{f"series, {span}": partial(status.series, span=span, now=now) for span in status.SPANS},
        "events": status.list_events,
        "fields": status.selected_columns,
        "check": status.last_check,
    }


def _milliseconds(connection: Connection, ask: Callable[[Connection], Any]) -> float:
    """The median over some repeats, after one to warm up."""
    ask(connection)
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        ask(connection)
        times.append((time.perf_counter() - started) * 1000)
    return round(sorted(times)[len(times) // 2], 1)
