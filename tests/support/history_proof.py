"""The proof: any number of random histories, each of which must leave the store at the truth.

`prove` draws and plays them in this process and tells what met what; the first that fails is cut
down to the steps it needs and raised as a script that replays it. `replay` is what the script
calls. `python tests/support/history_proof.py N` is `make soak`.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from hypothesis import HealthCheck, Phase, given, seed, settings

from dynamics_sandbox import Organisation, Sandbox
from history_draws import Sight, Told, tales
from history_runs import Stage, differences_at_the_end
from opportunity_sync.store import migrate, store_engine
from store_dumps import Dump, dump
from store_reader import Reader, public_rows, tells_its_rows
from store_rows import empty_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from opportunity_sync.pipeline.run import Mode
    from store_reader import Copy

_SHRINK_SECONDS = 120


class ConvergenceError(AssertionError):
    """A history after which the store is not what a full sync would give."""


@dataclass
class Report:
    """What a number of histories came to."""

    histories: int = 0
    steps: int = 0
    runs: int = 0
    seconds: float = 0.0
    meetings: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __iadd__(self, other: Report) -> Self:
        """Take another report in."""
        self.histories += other.histories
        self.steps += other.steps
        self.runs += other.runs
        self.seconds += other.seconds
        self.meetings.update(other.meetings)
        return self


class Theatre:
    """A served organisation and an empty store that are used for one history after another."""

    def __init__(self, sandbox: Sandbox, folder: Path, postgres_url: str | None = None) -> None:
        """On SQLite in `folder`, or on a database of PostgreSQL that is nobody else's."""
        self._file = folder / "store.sqlite"
        self._template = folder / "template.sqlite"
        template = store_engine(f"sqlite:///{self._template}")
        migrate(template)
        self._is_postgres = postgres_url is not None
        self.engine: Engine = store_engine(postgres_url or f"sqlite:///{self._file}")
        if self._is_postgres:
            migrate(self.engine)
        self.stage = Stage(sandbox, self.engine, folder)

    def empty_store(self) -> None:
        """As before the first run."""
        if self._is_postgres:
            with self.engine.begin() as connection:
                empty_store(connection)
            return
        for ending in ("-wal", "-shm"):
            Path(f"{self._file}{ending}").unlink(missing_ok=True)
        shutil.copyfile(self._template, self._file)

    def play(self, told: Told, report: Report) -> None:
        """Play a history to its end. Raises `ConvergenceError` where the store is wrong then."""
        self.empty_store()
        history, reader = self.stage.history(told["options"]), Reader(self.engine)
        try:
            for step in told["steps"]:
                history.play([step])
                reader.come()
            history.end(told["final"])
        finally:
            report.runs += history.runs.count
        found = differences_at_the_end(history, self.engine)
        if found:
            raise ConvergenceError("\n".join(found))
        if not tells_its_rows(self.engine):
            raise ConvergenceError("The store tells another number of rows than it has.")
        reader.come()
        if _without_nulls(reader.copy) != _without_nulls(public_rows(self.engine)):
            raise ConvergenceError("A reader that came after every step has missed a row.")
        if told["options"]["seed"] % 16 == 0:
            self._require_rest(history)
        report.histories += 1
        report.steps += len(told["steps"])
        report.meetings.update(history.meetings)

    def _require_rest(self, history: Any) -> None:
        """A run that finds nothing changed changes nothing.

        The first one may hear once more of a deletion that is known, and note when that was.
        """
        before = dump(self.engine)
        history.end("continue")
        between = dump(self.engine)
        history.end("continue")
        same = (_without_notices(before), between) == (_without_notices(between), dump(self.engine))
        if not same:
            raise ConvergenceError("A run without any change in Dynamics has changed the store.")


def _without_nulls(copy: Copy) -> Copy:
    """A copy without what is null: a new column is so in rows that were read before it was made."""
    return {
        table: {
            key: {name: value for name, value in row.items() if value is not None}
            for key, row in rows.items()
        }
        for table, rows in copy.items()
    }


def _without_notices(store: Dump) -> Dump:
    """A dump without the changes that deletions were last heard of in."""
    return {
        table: {
            key: {name: value for name, value in row.items() if name != "deleted_revision"}
            for key, row in rows.items()
        }
        for table, rows in store.items()
        if table != "owed_column"  # what the first one asks for again
    }


@contextmanager
def theatre(postgres_url: str | None = None) -> Iterator[Theatre]:
    """A theatre with a sandbox of its own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="histories-")))
        sandbox = stack.enter_context(Sandbox(Organisation.empty()))
        made = Theatre(sandbox, folder, postgres_url)
        stack.callback(made.engine.dispose)
        stack.callback(made.stage.runs.close)
        yield made


def prove(place: Theatre, *, sight: Sight, number: int, count: int) -> Report:
    """Play `count` histories drawn from seed `number`. Raises `ConvergenceError` with a script."""
    report, started = Report(), time.monotonic()

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(tales(sight))
    def play_one(told: Told) -> None:
        try:
            place.play(told, report)
        except Exception as error:
            raise ConvergenceError(_least_script(place, told, error)) from error

    play_one()
    report.seconds = time.monotonic() - started
    return report


def _failure(place: Theatre, told: Told) -> Exception | None:
    try:
        place.play(told, Report())
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        return error
    return None


def _least_script(place: Theatre, told: Told, error: Exception) -> str:
    def fails(fewer: Told) -> bool:
        return type(_failure(place, fewer)) is type(error)

    least = shrink_history(told, fails)
    return _script(least, _failure(place, least) or error)


def shrink_history(told: Told, fails: Callable[[Told], bool]) -> Told:
    """The history without the steps and rows that its failure does not need."""
    deadline = time.monotonic() + _SHRINK_SECONDS

    def still_fails(fewer: Told) -> bool:
        return time.monotonic() < deadline and fails(fewer)

    size = max(len(told["steps"]) // 2, 1)
    while size:
        found = next(
            (fewer for fewer in _shorter_histories(told, size) if still_fails(fewer)), None
        )
        told = found or told
        size = min(size, len(told["steps"])) if found else size // 2
    for simpler in _SIMPLER:
        fewer = _simplify_options(told, simpler)
        if fewer != told and still_fails(fewer):
            told = fewer
    return told


def _shorter_histories(told: Told, size: int) -> Iterator[Told]:
    """The history without each stretch of `size` steps in turn."""
    steps = told["steps"]
    for start in range(0, len(steps), size):
        yield cast("Told", {**told, "steps": steps[:start] + steps[start + size :]})


def _simplify_options(told: Told, simpler: dict[str, Any]) -> Told:
    rows = {**told["options"]["rows"], **simpler.get("rows", {})}
    return cast("Told", {**told, "options": {**told["options"], **simpler, "rows": rows}})


_SIMPLER: list[dict[str, Any]] = [
    {"page_size": 500},
    {"filters": ""},
    *({"rows": {letter: count}} for letter in "kocar" for count in (4, 2, 1, 0)),
]


def _script(told: Told, error: Exception) -> str:
    steps = ",\n    ".join(json.dumps(step) for step in told["steps"])
    return (
        f"{type(error).__name__}: {error}\n\n"
        "# PYTHONPATH=include:tests/support .venv/bin/python - <<END\n"
        "from history_proof import replay\n"
        "true, false, null = True, False, None\n"
        f"replay({json.dumps(told['options'])}, [\n    {steps}\n], final={told['final']!r})\n"
    )


def replay(options: dict[str, Any], steps: list[Any], *, final: Mode, log: bool = True) -> None:
    """Play one history on SQLite, with the runs' own log. Raises as the history fails."""
    logging.basicConfig(level="INFO" if log else "WARNING", format="    %(message)s")
    with theatre() as place:
        place.play({"options": options, "steps": steps, "final": final}, Report())
