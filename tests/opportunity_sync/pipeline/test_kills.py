"""A task that is killed at any instant loses nothing, doubles nothing and leaves no litter.

The step runs in a process of its own that gets SIGKILL before or after a chosen call; then the
step is tried again, as Airflow would, and the run goes on to its end.
"""

from __future__ import annotations

import multiprocessing
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import killed_step
from oracle import actual_store, differences, expected_store
from store_dumps import dump
from sync_runs import DAG_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from dynamics_sandbox import Organisation
    from sync_runs import SyncRuns

STEPS = ("begin", "extract", "transform", "load", "finish")
MODULES = ("beginning", "extraction", "transformation", "loading", "ending")
FOLDER = "opportunity_sync.staging.folder:RunFolder"
WRITER = "opportunity_sync.staging.folder:PartWriter"
STORE = "opportunity_sync.store"
LOADING = "opportunity_sync.pipeline.loading"
TRANSFORMATION = "opportunity_sync.pipeline.transformation"

# (step, function, number of the call, after it instead of before)
Point = tuple[str, str, int, bool]
POINTS: list[Point] = [
    ("begin", f"{STORE}:migrate", 1, True),
    ("begin", f"{STORE}:begin_run", 1, True),
    ("begin", f"{FOLDER}.write_json", 1, False),
    ("begin", f"{FOLDER}.write_json", 1, True),
    ("extract", f"{WRITER}.write", 1, False),
    ("extract", f"{WRITER}.write", 2, False),
    ("extract", f"{WRITER}.write", 2, True),
    ("extract", f"{WRITER}.write", 5, True),
    ("extract", "opportunity_sync.staging.files:_write_private", 1, True),
    ("extract", "opportunity_sync.staging.files:_write_private", 2, True),
    ("extract", f"{FOLDER}.publish", 1, False),
    ("extract", f"{FOLDER}.publish", 1, True),
    ("extract", f"{FOLDER}.publish", 3, False),
    ("extract", f"{FOLDER}.publish", 4, True),
    ("transform", f"{TRANSFORMATION}:find_open_questions", 1, True),
    ("transform", f"{TRANSFORMATION}:settle", 1, True),
    ("transform", f"{TRANSFORMATION}:resolved_tables", 1, False),
    ("transform", f"{WRITER}.write", 1, True),
    ("transform", f"{WRITER}.write", 3, True),
    ("transform", f"{FOLDER}.publish", 1, False),
    ("transform", f"{FOLDER}.publish", 1, True),
    ("load", f"{STORE}:claim_organization", 1, True),
    ("load", f"{STORE}:write_labels", 1, False),
    ("load", f"{STORE}:write_rows", 1, True),
    ("load", f"{STORE}:write_rows", 4, False),
    ("load", f"{STORE}:write_deleted", 1, True),
    ("load", f"{STORE}:write_roles", 1, True),
    ("load", f"{STORE}:write_unresolved", 1, True),
    ("load", f"{STORE}:bump_revision", 1, True),
    ("load", f"{STORE}:record_errors", 1, True),
    ("load", f"{STORE}:move_watermark", 3, True),
    ("load", f"{STORE}:move_delta_link", 5, True),
    ("load", f"{STORE}:end_run", 1, True),
    ("load", f"{LOADING}:_write_everything", 1, True),
    ("load", f"{LOADING}:report_counts", 1, False),
    ("finish", f"{FOLDER}.remove", 1, False),
    ("finish", f"{FOLDER}.remove", 1, True),
    ("finish", "opportunity_sync.staging.root:StagingRoot.remove_older_than", 1, True),
]
# A load that finds the store moved publishes what it has resolved again.
POINTS_UNDER_LOCK: list[Point] = [
    ("load", f"{LOADING}:resolve_again", 1, False),
    ("load", f"{LOADING}:resolve_again", 1, True),
    ("load", f"{STORE}:write_rows", 1, True),
]


# Each process is forked from one that has the pipeline imported and no threads.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([f"opportunity_sync.pipeline.{name}" for name in MODULES])


def kill(runs: SyncRuns, run: dict[str, Any] | None, point: Point) -> None:
    """Do the point's step in a process that does not survive it."""
    step, target, nth, after = point
    order = {
        "step": step,
        "target": target,
        "nth": nth,
        "after": after,
        "request": {"dag_id": DAG_ID, "run_id": f"run-{runs.count + 1}", "mode": "continue"},
        "run": run,
        "tasks": ["extract_opportunities", "extract_connections", "extract_contacts"],
        "connection": runs.sandbox.connection(),
        "store": runs.engine.url.render_as_string(hide_password=False),
        "settings": runs.settings.model_dump(mode="json"),
    }
    process = FORKS.Process(target=killed_step.do, args=(order,), daemon=True)
    process.start()
    process.join(timeout=600)
    assert process.exitcode == -signal.SIGKILL


def through(runs: SyncRuns, point: Point, *, meanwhile: Callable[[], Any] = lambda: None) -> None:
    """A whole run of which one step is killed at the point and then tried again.

    `meanwhile`: what others do between transform and load.
    """
    run: dict[str, Any] | None = None
    for step in STEPS:
        if step == "load":
            meanwhile()
        if step == point[0]:
            # `begin` may have to make the tables first.
            before = dump(runs.engine) if run else None
            kill(runs, run, point)
            if before is not None and point[1] != f"{LOADING}:report_counts":
                assert dump(runs.engine) == before, "a killed step leaves the store as it was"
        if run is None:
            run = runs.begin()
        else:
            getattr(runs, step)(run)


def named(point: Point) -> str:
    """A point as the id of its test."""
    return f"{point[0]}-{point[1].split(':')[1]}-{point[2]}{'-after' if point[3] else ''}"


def no_litter(runs: SyncRuns) -> bool:
    """Whether nothing is staged any more."""
    return not any(path.is_file() for path in Path(runs.settings.staging_url).rglob("*"))


@pytest.mark.parametrize("point", POINTS, ids=named)
def test_a_killed_task_is_made_good_by_its_retry(
    sqlite_runs: SyncRuns, organisation: Organisation, point: Point
) -> None:
    """A run that is killed at this point ends as if nothing had happened, and leaves no litter."""
    sqlite_runs.settings = sqlite_runs.settings.model_copy(update={"page_size": 100})
    if point[1].endswith("write_deleted"):
        sqlite_runs.run()
        organisation.delete("contacts", organisation.rows("contacts")[0]["contactid"])
    through(sqlite_runs, point)

    assert differences(expected_store(organisation), actual_store(sqlite_runs.engine)) == []
    assert no_litter(sqlite_runs)
    assert sqlite_runs.run()["changed"] == 0


@pytest.mark.parametrize("point", POINTS_UNDER_LOCK, ids=named)
def test_a_load_that_resolves_again_is_made_good_by_its_retry(
    sqlite_runs: SyncRuns, organisation: Organisation, point: Point
) -> None:
    """Another run has loaded since transform looked at the store."""
    sqlite_runs.run()
    contact = organisation.rows("contacts")[0]["contactid"]

    def another_run() -> None:
        organisation.update("contacts", contact, {"firstname": "Meanwhile"})
        sqlite_runs.run()

    through(sqlite_runs, point, meanwhile=another_run)

    assert differences(expected_store(organisation), actual_store(sqlite_runs.engine)) == []
    assert no_litter(sqlite_runs)
    assert sqlite_runs.run()["changed"] == 0


def test_a_killed_load_leaves_no_lock_behind_on_postgres(
    runs: SyncRuns, organisation: Organisation
) -> None:
    """The retry waits for nobody: the lock ended with the killed process's connection."""
    through(runs, ("load", f"{STORE}:write_roles", 1, True))

    assert differences(expected_store(organisation), actual_store(runs.engine)) == []
