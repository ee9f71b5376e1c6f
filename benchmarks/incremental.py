"""An incremental run: a store that a full sync has filled, and then a few rows change.

What must not happen is that such a run costs as the store grows, so it is held against the full
sync of the same store, and the same changes are brought into stores of several sizes. CPU is
that of all tasks and of PostgreSQL's sessions. There is no change tracking here: windows on
`modifiedon` bring the changed rows, as `continue` reads them, in pages of their own.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changes import Wanted
from ground import DAG_ID
from made_pages import organisation_of
from measuring import Job, median_run
from scenarios import Subject, with_server
from touched import Activity, check, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ground import Ground
    from scenarios import Pass

TASKS = ("begin", "extract", "transform", "load")
_THEN = ", then "


@dataclass(frozen=True, slots=True)
class Effect:
    """One incremental run, and its effect by table.

    `changed`: rows in Dynamics; `reached`: rows of the store that those can affect, themselves
    included; `resolved`: opportunities that were resolved again; `touched`: what PostgreSQL did.
    """

    run: Pass
    changed: Mapping[str, int]
    reached: Mapping[str, int]
    resolved: int
    touched: Mapping[str, Activity]


@dataclass(frozen=True, slots=True)
class Incremental:
    """A full sync of so many rows, the median of the runs after it, and the first one's effect."""

    rows: int
    full: Pass
    run: Pass
    first: Effect


def cpu_seconds(run: Pass) -> float:
    """CPU time of a whole run."""
    return sum(run[task].cpu_seconds for task in TASKS)


def changes_for(name: str, sizes: Mapping[str, int], *, rows: int, times: int) -> dict[str, Wanted]:
    """Let an organisation change several times, each time in so many rows; by the states' names."""
    counts = {table: max(count, 1) for table, count in organisation_of(rows).items()}
    counts = {table: min(count, sizes[table]) for table, count in counts.items()}
    return {_state(name, part): Wanted(name, counts, part) for part in range(times)}


def sync_later_states(ground: Ground, name: str, kind: str) -> Incremental:
    """Sync an organisation into a new store of a kind, and then each of its later states.

    Raises:
        WrongRowsError: a run touched other rows than it had to.
    """
    later = [state for state in ground.changes if state.rpartition(_THEN)[0] == name]
    with ground.database() if kind == "postgres" else _file(ground) as store:
        full = _run_sync(ground, name, store, mode="full")
        effects = [_sync_changes(ground, state, store) for state in later]
    return Incremental(
        rows=sum(full["extract"].results),
        full=full,
        run={task: median_run([effect.run[task] for effect in effects]) for task in TASKS},
        first=effects[0],
    )


def _sync_changes(ground: Ground, state: str, store: str) -> Effect:
    before = state_of(store)
    run = _run_sync(ground, state, store, mode="continue")
    after, changed = state_of(store), ground.changes[state]
    results = {task: run[task].results[0] for task in ("transform", "load")}
    reach = check(store, changed, results, before=before)
    return Effect(
        run=run,
        changed={table: len(found.keys) for table, found in changed.items()},
        reached={table: len(keys) for table, keys in reach.items()},
        resolved=results["transform"]["opportunities"],
        touched={name: found.since(before.tables[name]) for name, found in after.tables.items()},
    )


def _run_sync(ground: Ground, name: str, store: str, *, mode: str) -> Pass:
    """One run from begin to load, each task in processes of its own."""
    arguments = {
        "connection": ground.connection,
        "store": store,
        "request": {"dag_id": DAG_ID, "run_id": name, "mode": mode},
        "staging": str(ground.folder / "staging"),
    }
    found = {"begin": with_server(ground, Job("begin", arguments))}
    subject = Subject(ground, name, found["begin"].results[0])
    found["extract"] = subject.extract()
    found["transform"] = subject.transform(store)
    found["load"] = subject.load(store)
    shutil.rmtree(subject.run["staging"])
    return found


@contextmanager
def _file(ground: Ground) -> Iterator[str]:
    """A SQLite file that is gone afterwards."""
    folder = ground.folder / "incremental"
    folder.mkdir()
    yield f"sqlite:///{folder / 'store.sqlite'}"
    shutil.rmtree(folder)


def _state(name: str, part: int) -> str:
    return f"{name}{_THEN}{part + 1}"
