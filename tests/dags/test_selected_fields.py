"""A user who can't program selects fields, sees them come and drops one: through Airflow, by file.

Dataverse over TLS, the store in PostgreSQL, each DAG run by Airflow in this process. What starts by
itself is seen in Airflow's own queue, from which the scheduler makes runs.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import make_url, text

from airflow_services import wait_until
from dag_runs import connect, run_dag
from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.store import store_engine
from oracle import actual_store, differences, expected_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

SYNC = "dynamics_opportunity_sync"
QUICK_SYNC = "dynamics_quick_sync"
CAMPAIGN = "5d1e0000-0000-4000-8000-0000000000c1"
STAGES = {0: "Qualify", 1: "Develop", 2: "Propose", 3: "Close"}
THREE_FIELDS = """
[opportunity.fields]
sales_stage = "salesstage"      # a choice
campaign = "campaignid"         # a lookup
go_live = "new_golive"          # our own date
"""
TWO_FIELDS = THREE_FIELDS.replace('campaign = "campaignid"', "#")
COLUMNS = ["sales_stage_code", "sales_stage_label", "campaign_id", "go_live"]

pytestmark = pytest.mark.usefixtures("airflow_database")


@pytest.fixture
def world() -> Organisation:
    """An organisation whose opportunities have all three fields filled."""
    world = Organisation.generated(seed=23, opportunities=50)
    world.add_column("opportunities", "new_golive", "DateTime", behaviour="DateOnly")
    for number, row in enumerate(world.rows("opportunities")):
        change(world, str(row["opportunityid"]), number)
    return world


@pytest.fixture
def sandbox(world: Organisation) -> Iterator[Sandbox]:
    """The organisation, served over TLS."""
    with Sandbox(world) as running:
        yield running


@pytest.fixture
def engine(
    monkeypatch: pytest.MonkeyPatch,
    sandbox: Sandbox,
    postgres: str,
    fields_file: Path,
    tmp_path: Path,
) -> Iterator[Engine]:
    """The store of a deployment whose first sync has brought every row."""
    connect(monkeypatch, sandbox, make_url(postgres), tmp_path / "staging")
    monkeypatch.setenv("OPPORTUNITY_SYNC_FIELDS", str(fields_file))
    monkeypatch.setenv("OPPORTUNITY_SYNC_PAGE_SIZE", "20")
    assert run_dag(SYNC) == "success"
    switch_on_the_quick_sync()
    assert not starts_by_itself()
    engine = store_engine(postgres)
    yield engine
    engine.dispose()


def change(world: Organisation, opportunity: str, number: int) -> None:
    """Give an opportunity other values in all three fields."""
    values = {
        "salesstage": number % 4,
        "_campaignid_value": CAMPAIGN if number % 3 else None,
        "new_golive": f"2026-05-{number % 28 + 1:02}",
    }
    world.update("opportunities", opportunity, values)


def in_dynamics(world: Organisation) -> dict[str, tuple[Any, ...]]:
    """What the three fields' columns are to be, by opportunity."""
    return {
        str(row["opportunityid"]): (
            row["salesstage"],
            STAGES[row["salesstage"]],
            row["_campaignid_value"],
            date.fromisoformat(row["new_golive"]),
        )
        for row in world.rows("opportunities")
    }


def in_store(engine: Engine) -> dict[str, tuple[Any, ...]]:
    """What they are in rows that are alive."""
    query = f"SELECT opportunity_id, {', '.join(COLUMNS)} FROM opportunity WHERE NOT is_deleted"
    with engine.connect() as connection:
        return {row[0]: tuple(row[1:]) for row in connection.execute(text(query))}


def wrong_rows(world: Organisation, engine: Engine) -> list[str]:
    """Stored opportunities whose three fields are not those of Dynamics."""
    wanted = in_dynamics(world)
    return [key for key, values in in_store(engine).items() if values != wanted[key]]


def columns_of(engine: Engine) -> set[str]:
    """The columns that the store's opportunities have now."""
    query = "SELECT column_name FROM information_schema.columns WHERE table_name = 'opportunity'"
    with engine.connect() as connection:
        return set(connection.scalars(text(query)))


def last_record(engine: Engine) -> dict[str, Any]:
    """The store's row of the last run."""
    with engine.connect() as connection:
        query = text("SELECT * FROM sync_run ORDER BY started_at DESC LIMIT 1")
        return dict(connection.execute(query).mappings().one())


def told(*arguments: str) -> str:
    """What `make plan` or `make fields` prints with the deployment's connections."""
    command = [sys.executable, "-m", "sync_fields", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def switch_on_the_quick_sync() -> None:
    """As a person would in Airflow; what is paused is not started by any event."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        quick_sync = update(DagModel).where(DagModel.dag_id == QUICK_SYNC)
        session.execute(quick_sync.values(is_paused=False))


def starts_by_itself() -> bool:
    """Whether the scheduler would start a quick sync now; it would take that from its queue."""
    from airflow.models.asset import AssetDagRunQueue
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(AssetDagRunQueue).where(AssetDagRunQueue.target_dag_id == QUICK_SYNC)
        queued = session.scalars(query).all()
        for each in queued:
            session.delete(each)
        return bool(queued)


@contextmanager
def held_quick_sync(sandbox: Sandbox) -> Iterator[subprocess.Popen[bytes]]:
    """A quick sync in a process of its own that waits at its second page until the block ends."""
    held = sandbox.faults.add("throttle", "opportunities", page=2, times=10_000, retry_after=1)
    command = [sys.executable, "-m", "airflow", "dags", "test", QUICK_SYNC]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        try:
            wait_until(
                lambda: held.struck or running.poll(), what="the second page of a quick sync"
            )
            yield running
            sandbox.faults.clear()
            running.wait(timeout=600)
        finally:
            running.kill()


def change_around_the_cursor(world: Organisation) -> None:
    """Changes on the first page and on the last, a new opportunity and one that is gone."""
    rows = [str(row["opportunityid"]) for row in world.rows("opportunities")]
    for number, key in enumerate([*rows[:3], *rows[-3:]]):
        change(world, key, number + 5)
        world.update("opportunities", key, {"name": f"Changed {number}"})
    change(world, world.create("opportunities", {"name": "New"}), 2)
    world.delete("opportunities", rows[4])


def test_three_fields_are_selected_planned_and_filled_and_one_is_dropped(
    engine: Engine,
    world: Organisation,
    sandbox: Sandbox,
    fields_file: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A file is all that is written; the plan says before what the runs do after."""
    fields_file.write_text(THREE_FIELDS)
    before = columns_of(engine)

    planned = told("plan")

    assert f"  new columns: {', '.join(COLUMNS)}\n" in planned
    assert "  to fill: sales_stage, campaign, go_live (" in planned
    assert columns_of(engine) == before

    assert run_dag(SYNC) == "success"

    assert columns_of(engine) == before | set(COLUMNS)
    assert set(in_store(engine).values()) == {(None,) * len(COLUMNS)}
    assert starts_by_itself()
    assert "dynamics_quick_sync fills them: it is started by this run" in caplog.text

    with held_quick_sync(sandbox) as quick_sync:
        change_around_the_cursor(world)
        assert run_dag(SYNC) == "success"
        assert differences(expected_store(world), actual_store(engine)) == []
        assert quick_sync.poll() is None
    assert quick_sync.returncode == 0
    assert run_dag(SYNC) == "success"  # by the old link, which does not give the fields
    assert run_dag(SYNC) == "success"

    assert wrong_rows(world, engine) == []
    assert differences(expected_store(world), actual_store(engine)) == []
    assert not starts_by_itself()
    assert told("plan").count("nothing changes") == 3

    fields_file.write_text(TWO_FIELDS)
    key, kept = next((key, row) for key, row in in_store(engine).items() if row[2])
    change(world, key, 9)
    caplog.clear()
    assert run_dag(SYNC) == "success"

    stage, label, _, go_live = in_dynamics(world)[key]
    assert in_store(engine)[key] == (stage, label, kept[2], go_live)
    assert kept[2] != in_dynamics(world)[key][2]
    assert "opportunity: columns that have stopped changing: campaign" in caplog.text
    assert "not selected any more, kept in campaign_id" in told("fields", "opportunity")
    assert "not selected any more, they keep their values: campaign_id" in told("plan")


def test_a_quick_sync_that_failed_waits_for_a_person_and_says_so(
    engine: Engine,
    world: Organisation,
    sandbox: Sandbox,
    fields_file: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No later run starts it again; each one says why it failed, until somebody triggers it."""
    fields_file.write_text(THREE_FIELDS)
    assert run_dag(SYNC) == "success"
    assert starts_by_itself()
    sandbox.faults.add("status", "opportunities", status=403, code="0x80040220", times=100)
    assert run_dag(QUICK_SYNC) == "failed"
    assert (last_record(engine)["mode"], last_record(engine)["outcome"]) == ("fill", "failed")
    sandbox.faults.clear()
    caplog.clear()

    assert run_dag(SYNC) == "success"

    assert not starts_by_itself()
    [warned] = [line for line in caplog.messages if line.startswith("The last quick sync failed")]
    assert "is not started again by itself: begin: PrivilegeError" in warned
    assert warned.endswith("then clear it or trigger dynamics_quick_sync.")
    assert run_dag(QUICK_SYNC) == "success"
    assert wrong_rows(world, engine) == []


def test_a_quick_sync_by_hand_takes_fields_and_records_of_a_range(
    engine: Engine, world: Organisation, fields_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One field of what was created since a day; a misspelt one is named, and the run known."""
    fields_file.write_text(THREE_FIELDS)
    assert run_dag(SYNC) == "success"
    created = {str(row["opportunityid"]): row["createdon"] for row in world.rows("opportunities")}
    since = sorted(created[key] for key in in_store(engine))[len(in_store(engine)) // 2]
    window: dict[str, Any] = {"window_start": str(since), "window_end": "2100-01-01T00:00:00Z"}

    assert run_dag(QUICK_SYNC, fields=["opportunity.golive"], range_of="created", **window) == (
        "failed"
    )
    assert "'opportunity.golive' (near: 'opportunity.go_live')" in caplog.text
    assert (last_record(engine)["mode"], last_record(engine)["outcome"]) == ("fill", "failed")

    assert run_dag(QUICK_SYNC, fields=["opportunity.go_live"], range_of="created", **window) == (
        "success"
    )

    assert in_store(engine) == {
        key: (None, None, None, in_dynamics(world)[key][3] if created[key] >= since else None)
        for key in in_store(engine)
    }
