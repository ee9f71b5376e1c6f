"""Stores for tests and pictures of the page: made by real runs, then dated back over a day.

Runs of a test follow each other within seconds, and a plot of them would be one bar. So each run,
with all that was noted of it, is moved to where a schedule would have put it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.store import store_engine
from opportunity_sync.store.journal.checks import write_check
from opportunity_sync.store.journal.events import note_event
from opportunity_sync.store.journal.task_times import record_tasks
from opportunity_sync.store.schema.tables import (
    backlog_sample,
    refused_row,
    sync_run,
    sync_run_entity,
    table_backlog,
)
from opportunity_sync.store.upgrade.migrate import migrate
from store_rows import guid
from sync_runs import DAG_ID, SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Engine

# Names as a CRM may hold them: markup, quotes, a formula, text that turns the rest around.
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`=1+1\u202egnp.exe"
# Share of a run's time that each task takes.
TASKS = {
    "begin": 0.1,
    "extract_opportunities": 0.25,
    "extract_contacts": 0.2,
    "extract_accounts": 0.15,
    "transform": 0.12,
    "load": 0.18,
}


def make_store(file: Path, folder: Path, *, opportunities: int, runs: int) -> None:
    """A store of so many opportunities, filled by one run and changed by the others."""
    engine = store_engine(f"sqlite:///{file}")
    organisation = Organisation.generated(seed=7, opportunities=opportunities)
    chance = Random(7)
    with Sandbox(organisation, tls=True) as sandbox:
        syncs = SyncRuns(sandbox, engine, settings_for_tests(folder))
        syncs.run()
        for _run in range(runs - 1):
            change_some(organisation, chance)
            syncs.run()
    with engine.begin() as connection:
        date_back(connection, runs, every=timedelta(hours=24) / runs)
        note_operators_facts(connection)
    engine.dispose()


def change_some(organisation: Organisation, chance: Random) -> None:
    """Somebody works in Dynamics."""
    for table, key, column in (
        ("opportunities", "opportunityid", "name"),
        ("contacts", "contactid", "jobtitle"),
        ("accounts", "accountid", "telephone1"),
    ):
        rows = organisation.rows(table)
        for row in chance.sample(rows, k=chance.randint(0, max(1, len(rows) // 40))):
            organisation.update(table, row[key], {column: f"Changed {chance.randint(1, 999)}"})


def date_back(connection: Connection, runs: int, *, every: timedelta) -> None:
    """Let the last run end two minutes ago, and the others before it, one each interval.

    The first one, which brought everything, is two days old, so that it towers over no other.
    """
    last = datetime.now(UTC) - timedelta(minutes=2)
    connection.execute(delete(backlog_sample))
    for number in range(1, runs + 1):
        ended_at = last - (timedelta(days=2) if number == 1 else every * (runs - number))
        seconds = 30 + 240 / number
        began_at = ended_at - timedelta(seconds=seconds)
        move_run(connection, f"run-{number}", began_at, ended_at)
        at, times = began_at, {}
        for task, share in TASKS.items():
            times[task] = at, at + timedelta(seconds=seconds * share)
            at = times[task][1]
        record_tasks(connection, DAG_ID, f"run-{number}", times)
    connection.execute(update(table_backlog).values(as_of=last))


def move_run(connection: Connection, run_id: str, began_at: datetime, ended_at: datetime) -> None:
    """Give a run other times; what it read is what had waited then."""
    is_it = sync_run.c.run_id == run_id
    times = {"started_at": began_at, "ended_at": ended_at}
    connection.execute(update(sync_run).where(is_it).values(times))
    is_counted = sync_run_entity.c.entity.in_(select(table_backlog.c.entity))
    read = select(sync_run_entity).where(sync_run_entity.c.run_id == run_id, is_counted)
    for row in connection.execute(read).mappings().all():
        sample = {"entity": row["entity"], "as_of": began_at, "waiting": row["read"]}
        connection.execute(insert(backlog_sample).values(sample))


def note_operators_facts(connection: Connection) -> None:
    """What the check and other runs would have noted."""
    now = datetime.now(UTC)
    items = [
        ("address", "passed", "The organisation answers.", None, None),
        ("secret", "unknown", "Nobody said when it expires.", "set secret_expires_on.", None),
        ("read.contact", "failed", "Read reaches the user's own unit only.",
         "give the role prvReadContact at Organization depth.", "check.privilege"),
    ]  # fmt: skip
    write_check(
        connection,
        [
            {"name": name, "state": state, "asked": "Dynamics", "found": found,
             "next_step": step, "code": code}
            for name, state, found, step, code in items
        ],
        checked_at=now - timedelta(hours=3),
    )  # fmt: skip
    at = now - timedelta(hours=5)
    note_event(connection, "selection", "opportunity.sales_stage was selected.", at=at)
    note_event(connection, "drift", "2 rows had come away.", at=at, entity="contact")
    reconciled = {"dag_id": "dynamics_opportunity_reconcile", "run_id": "reconciled"}
    times = {"started_at": at - timedelta(minutes=3), "ended_at": at}
    ended = {"mode": "reconcile", "outcome": "succeeded"} | times
    connection.execute(insert(sync_run).values(reconciled | ended))
    mended = {"entity": "contact", "compared": 140, "updated": 2}
    connection.execute(insert(sync_run_entity).values(reconciled | mended))


def refuse(engine: Engine, count: int, **given: Any) -> None:
    """Let so many contacts be refused."""
    now = datetime.now(UTC)
    row = {
        "entity": "contact", "field": "birthdate", "code": "not_a_date",
        "message": "The value is not a date.", "version_number": 7,
        "first_seen_at": now - timedelta(hours=7), "last_tried_at": now - timedelta(minutes=9),
        "next_try_at": now + timedelta(minutes=21), "tries": 4, "tried_by": "1",
        "dag_id": DAG_ID, "run_id": "run-2", "task_id": "extract_contacts", "map_index": -1,
    }  # fmt: skip
    rows = [row | {"record_id": guid(number), "tries": number} for number in range(1, count + 1)]
    with engine.begin() as connection:
        connection.execute(insert(refused_row), [each | given for each in rows])


def make_empty_store(file: Path) -> None:
    """A store with its tables, before the first run."""
    engine = store_engine(f"sqlite:///{file}")
    migrate(engine)
    engine.dispose()
