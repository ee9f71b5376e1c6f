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

if TYPE_CHECKING:
    from dynamics_sandbox import Organisation
    from sync_runs import SyncRuns

STEPS = ("extract", "transform", "load", "finish")
MODULES = ("extraction", "transformation", "loading", "ending")
FOLDER = "opportunity_sync.staging.folder:RunFolder"
STORE = "opportunity_sync.store"
LOADING = "opportunity_sync.pipeline.loading"

# (step, function, number of the call, after it instead of before)
POINTS: list[tuple[str, str, int, bool]] = [
    ("extract", f"{FOLDER}.write_part", 1, False),
    ("extract", f"{FOLDER}.write_part", 2, False),
    ("extract", f"{FOLDER}.write_part", 2, True),
    ("extract", "fsspec.implementations.local:LocalFileSystem.mv", 2, False),
    ("extract", f"{FOLDER}.write_part", 5, True),
    ("transform", "opportunity_sync.pipeline.transformation:settle", 1, True),
    ("transform", f"{FOLDER}.write_part", 3, True),
    ("transform", f"{FOLDER}.write_json", 1, False),
    ("transform", f"{FOLDER}.write_json", 1, True),
    ("load", f"{STORE}:write_labels", 1, False),
    ("load", f"{STORE}:write_rows", 1, True),
    ("load", f"{STORE}:write_rows", 4, False),
    ("load", f"{STORE}:write_deleted", 1, True),
    ("load", f"{STORE}:write_roles", 1, True),
    ("load", f"{STORE}:write_unresolved", 1, True),
    ("load", f"{STORE}:move_watermark", 3, True),
    ("load", f"{STORE}:end_run", 1, True),
    ("load", f"{LOADING}:_write_everything", 1, True),
    ("load", f"{LOADING}:_report", 1, False),
    ("finish", f"{FOLDER}.remove", 1, False),
    ("finish", f"{FOLDER}.remove", 1, True),
]


# Each process is forked from one that has the pipeline imported and no threads.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([f"opportunity_sync.pipeline.{name}" for name in MODULES])


def kill(runs: SyncRuns, run: dict[str, Any], point: tuple[str, str, int, bool]) -> None:
    """Do the point's step in a process that does not survive it."""
    step, target, nth, after = point
    order = {
        "step": step,
        "target": target,
        "nth": nth,
        "after": after,
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


def through(runs: SyncRuns, point: tuple[str, str, int, bool]) -> None:
    """A whole run of which one step is killed at the point and then tried again."""
    run = runs.begin()
    for step in STEPS:
        before = dump(runs.engine)
        if step == point[0]:
            kill(runs, run, point)
            if step != "load" or point[1] != f"{LOADING}:_report":
                assert dump(runs.engine) == before, "a killed step leaves the store as it was"
        getattr(runs, step)(run)


@pytest.mark.parametrize(
    "point",
    POINTS,
    ids=lambda point: (
        f"{point[0]}-{point[1].split(':')[1]}-{point[2]}{'-after' if point[3] else ''}"
    ),
)
def test_a_killed_task_is_made_good_by_its_retry(
    sqlite_runs: SyncRuns, organisation: Organisation, point: tuple[str, str, int, bool]
) -> None:
    """The second run of a store, with changes and deletions in it, killed at this point."""
    sqlite_runs.settings = sqlite_runs.settings.model_copy(update={"page_size": 100})
    if point[1].endswith("write_deleted"):
        sqlite_runs.run()
        organisation.delete("contacts", organisation.rows("contacts")[0]["contactid"])
    through(sqlite_runs, point)

    assert differences(expected_store(organisation), actual_store(sqlite_runs.engine)) == []
    folder = Path(sqlite_runs.settings.staging_url)
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert sqlite_runs.run()["changed"] == 0


def test_a_killed_load_leaves_no_lock_behind_on_postgres(
    runs: SyncRuns, organisation: Organisation
) -> None:
    """The retry waits for nobody: the lock ended with the killed process's connection."""
    through(runs, ("load", f"{STORE}:write_roles", 1, True))

    assert differences(expected_store(organisation), actual_store(runs.engine)) == []
