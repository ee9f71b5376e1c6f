"""Histories played: events and runs in any order, and then the store beside the oracle.

A run is a step, too: whole (`run`), struck by a fault (`run_with_fault`), again under its old id
(`again`), or taken apart into `begin`, `go` and `kill`, so that it overlaps events and other runs
and dies after any task. `History.play` does the steps; `differences_at_the_end` judges.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import text

from dynamics_sandbox import FaultKind
from histories import EVENTS, SETS, Step, guid, renew, wait
from history_selections import SELECTIONS
from opportunity_sync.dynamics import DataverseClient, DynamicsConnection, dynamics_session
from opportunity_sync.errors import SyncError
from opportunity_sync.pipeline.erasing import erase
from opportunity_sync.store import read_state
from oracle import KEYS, Store, actual_store, differences, expected_store
from oracle_fields import MadeColumn, parse_selected, without_refused
from sync_runs import SyncRuns, settings_for_tests
from world_events import WORLD_EVENTS, column_of, heal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from dynamics_sandbox import Organisation, Sandbox
    from opportunity_sync.pipeline.run import Mode

EXTRACTS = ("extract_opportunities", "extract_connections", "extract_contacts", "extract_accounts")
AFTER = ("transform", "load", "finish")
STAGES = ("begin", *EXTRACTS, *AFTER)
MODES = {
    "continue": "scheduled",
    "range": "range",
    "full": "full",
    "reconcile": "reconcile",
    "fill": "quick sync",
}
RUN_KINDS = (*MODES.values(), "overlapping", "again", "killed", "faulty")
_SEES_EVERYTHING_SO_FAR = {"continue", "full", "reconcile"}
_FAULTS: Mapping[FaultKind, Mapping[str, Any]] = {
    FaultKind.THROTTLE: {"retry_after": "0.01"},
    FaultKind.STALL: {"seconds": 0.02},
}


class RememberingClient(DataverseClient):
    """Asks for the same metadata only once, as long as it does not move: it is most of a run."""

    remembered: dict[tuple[str, str], dict[str, Any]]
    is_still: bool = True

    def get_json(self, path: str, params: Any = None, **options: Any) -> dict[str, Any]:
        """The answer, remembered if it is about the organisation and not about its rows."""
        is_one_row = "$top" in (params or {})
        if not self.is_still or (not is_one_row and not path.startswith(_ABOUT)):
            return super().get_json(path, params, **options)
        name = (path, str(params))
        if name not in self.remembered:
            self.remembered[name] = super().get_json(path, params, **options)
        return self.remembered[name]


_ABOUT = ("EntityDefinitions", "organizations", "systemusers(", "WhoAmI")


@dataclass
class HistoryRuns(SyncRuns):
    """Runs over one session that stays open, with next to no waits."""

    remembered: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    is_still: bool = True  # nothing around the rows has moved
    worker_ahead: timedelta = timedelta()
    folder: Path = Path()  # of the fields files
    _session: Any = None

    @contextmanager
    def client(self) -> Iterator[DataverseClient]:
        """A client of the sandbox."""
        given = self.sandbox.connection()
        if self._session is None:
            parts = (given["host"], given["login"], given["password"], given["extra"])
            self._session = dynamics_session(DynamicsConnection.from_parts(*parts))
        client = RememberingClient(
            self._session, given["host"], settings=self.settings, first_wait_seconds=0.002
        )
        client.remembered, client.is_still = self.remembered, self.is_still
        yield client

    def clock(self) -> datetime:
        """The workers' clock: that of the organisation, or one that is ahead or behind."""
        return self.sandbox.organisation.now + self.worker_ahead

    def rest(self) -> None:
        """From now on nothing around the rows moves: what is asked about it stays as it is."""
        self.remembered, self.is_still = {}, True

    def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            self._session.close()


@dataclass
class OpenRun:
    """A run under way: what is next, and the events that happened since it began."""

    mode: Mode
    begun: dict[str, Any]
    todo: list[str]
    met: set[str] = field(default_factory=set)
    overlapped: bool = False


CLOCKS_OF_DYNAMICS = ("skew_server", "skew_one_answer")


@dataclass
class History:
    """One history being played."""

    organisation: Organisation
    runs: HistoryRuns
    fresh: set[str] = field(default_factory=set)
    meetings: Counter[tuple[str, str]] = field(default_factory=Counter)
    under_way: dict[str, OpenRun] = field(default_factory=dict)
    past: list[tuple[int, Mode, tuple[datetime, ...]]] = field(default_factory=list)
    tracked: str = ""
    selection: str = "default"
    has_selected: bool = False  # so that rows may lack what was not selected for a while
    retyped: set[tuple[str, str]] = field(default_factory=set)  # table, column of Dynamics
    erased: set[str] = field(default_factory=set)  # ids of contacts

    def play(self, steps: Sequence[Step]) -> None:
        """Do every step in its turn."""
        for kind, *values in steps:
            if kind == "wait":
                wait(self.organisation, *values)
            elif kind in EVENTS:
                EVENTS[kind](self.organisation, *values)
                self._note_event(kind)
            elif kind == "switch_organisation" and not self._is_claimed():
                continue  # a store that is nobody's would rightly become the stranger's
            elif kind in WORLD_EVENTS:
                self.runs.is_still = False
                WORLD_EVENTS[kind](self.organisation, *values)
                if kind in CLOCKS_OF_DYNAMICS:  # of two clocks that are ahead, neither can tell
                    self.runs.worker_ahead = min(self.runs.worker_ahead, timedelta())
                if kind == "retype_column":
                    self.retyped.add(column_of(*values))
                self._note_event(kind)
            else:
                getattr(self, f"_{kind}")(*values)

    def _is_claimed(self) -> bool:
        with self.runs.engine.connect() as connection:
            return read_state(connection).organization_id is not None

    def _note_event(self, kind: str) -> None:
        self.fresh.add(kind)
        for run in self.under_way.values():
            run.met.add(kind)

    def end(self, mode: Mode) -> None:
        """Let what is under way finish, and do the run after which the store must be right.

        Whatever was odd around the rows is as before; two days later, for what is tried again.
        """
        for name in list(self.under_way):
            self._go(name, "finish")
        may_lack_columns = self.has_selected or not self.runs.is_still
        if not self.runs.is_still:
            heal(self.organisation, tracked=self.tracked)
            self.runs.worker_ahead = timedelta()
            wait(self.organisation, 2 * 86_400)
            self.runs.rest()
        if may_lack_columns:
            self._finish(self._open_run("fill", (), (*EXTRACTS, *AFTER)))
        self._finish(self._open_run(mode, (), (*EXTRACTS, *AFTER)))
        if mode == "continue" and self._lacks_columns():
            self._finish(self._open_run(mode, (), (*EXTRACTS, *AFTER)))

    def _lacks_columns(self) -> bool:
        """Whether rows still owe selected columns, as a run leaves them that adopts a link.

        It has followed the old link to its end, which does not give them. The next run has them.
        """
        with self.runs.engine.connect() as connection:
            count = connection.scalar(text("SELECT count(*) FROM owed_column"))
        return self.selection != "default" and bool(count)

    def _skew_worker(self, seconds: int) -> None:
        """The worker's clock is ahead, or behind."""
        self.runs.is_still = False
        self.runs.worker_ahead = timedelta(seconds=seconds)
        if seconds > 0:
            self.organisation.skew_clock(0)  # as above
        self._note_event("skew_worker")

    def _set(self, name: str, value: Any) -> None:
        """Somebody changes a setting between two runs."""
        self.runs.is_still = False
        self.runs.settings = self.runs.settings.model_copy(update={name: value})
        self._note_event("set")

    def _select(self, selection: str) -> None:
        """The user selects other fields between two runs; no run may fail for that."""
        if selection == self.selection:
            return
        self.selection, self.has_selected = selection, True
        fields = str(self.runs.folder / f"{selection}.toml")
        self.runs.settings = self.runs.settings.model_copy(update={"fields": fields})
        self._note_event("select")

    def _erase(self, slot: str) -> None:
        """A person wishes to be forgotten; staged rows go, so a run under way may fail."""
        self.runs.is_still = False
        erase(self.runs.engine, guid(slot), settings=self.runs.settings, clock=self.runs.clock)
        self.erased.add(guid(slot))
        self._note_event("erase")

    def _upgrade(self) -> None:
        """The pipeline is replaced by a newer version: state and staging are of the one before."""
        self.runs.is_still = False
        with self.runs.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE sync_state SET columns = NULL, link_columns = NULL")
            connection.exec_driver_sql("UPDATE refused_row SET tried_by = '0'")
        for run in self.under_way.values():
            plan = Path(run.begun["staging"]) / "plan.json"
            if plan.is_file():  # staging goes when somebody is erased
                plan.write_text(json.dumps({"run_id": run.begun["run_id"], "windows": {}}))
        self._note_event("upgrade")

    def _lose_part(self, name: str, number: int) -> None:
        """A staged file of a run under way is not there any more, or not yet."""
        run = self.under_way.get(name)
        files = sorted(Path(run.begun["staging"]).rglob("*.parquet")) if run else []
        if files:
            files[number % len(files)].unlink()
            self.runs.is_still = False
            self._note_event("lose_part")

    def _window(self, mode: Mode, since: int, until: int) -> tuple[datetime, ...]:
        if mode not in {"range", "fill"} or since == until:
            return ()
        now = self.organisation.now
        return now - timedelta(seconds=since), now - timedelta(seconds=until)

    def _open_run(self, mode: Mode, window: tuple[datetime, ...], stages: Sequence[str]) -> OpenRun:
        begun = self.runs.begin(mode, *window)
        self.past.append((self.runs.count, mode, window))
        return OpenRun(mode, begun, [stage for stage in stages if _has_stage(mode, stage)])

    def _run(self, mode: Mode, since: int = 0, until: int = 0) -> None:
        """A whole run."""
        run = self._try_begin(mode, since, until, (*EXTRACTS, *AFTER))
        if run is not None:
            self._try_run(run)

    def _try_begin(
        self, mode: Mode, since: int, until: int, stages: Sequence[str]
    ) -> OpenRun | None:
        """A run that has begun; None where the world is odd and it said what is wrong."""
        try:
            return self._open_run(mode, self._window(mode, since, until), stages)
        except SyncError:
            if self.runs.is_still:
                raise
            self._count(MODES[mode], self.fresh)
            return None

    def _try_run(self, run: OpenRun, upto: str = "finish") -> bool:
        """Go on with a run; whether it came through. In an odd world it may say what is wrong."""
        try:
            self._finish(run, upto)
        except SyncError:
            if self.runs.is_still:
                raise
            self._meet(run)
            self.runs.finish(run.begun, succeeded=False)
            return False
        return True

    def _finish(self, run: OpenRun, upto: str = "finish") -> None:
        for other in self.under_way.values():
            other.overlapped = other.overlapped or other is not run
        while run.todo:
            self._do(run, run.todo[0])
            done = run.todo.pop(0)
            if done == "load":
                self._note_load(run)
            if done == upto:
                break

    def _do(self, run: OpenRun, stage: str) -> None:
        if stage in EXTRACTS:
            self.runs.extract(run.begun, stage)
        elif stage == "load" and run.mode == "fill":
            self.runs.fill(run.begun)
        else:
            getattr(self.runs, stage)(run.begun)

    def _note_load(self, run: OpenRun) -> None:
        """A run that has loaded has seen what happened before it began."""
        self._meet(run)
        if run.mode in _SEES_EVERYTHING_SO_FAR:
            self.fresh = set(run.met)

    def _meet(self, run: OpenRun) -> None:
        """Count which events this run had to cope with."""
        self._count(MODES[run.mode], self.fresh | run.met)
        if run.overlapped or run.met:
            self._count("overlapping", self.fresh | run.met)

    def _count(self, run_kind: str, events: set[str]) -> None:
        self.meetings.update((event, run_kind) for event in events)

    def _begin(self, name: str, mode: Mode, since: int, until: int, upto: str) -> None:
        """Begin a run and go on with it for some stages; the extracts in an order of its own."""
        if name in self.under_way:
            self._kill(name, reported=False)
        extracts = EXTRACTS if name == "A" else EXTRACTS[::-1]
        run = self._try_begin(mode, since, until, (*extracts, *AFTER))
        if run is None:
            return
        self.under_way[name] = run
        if upto != "begin":
            self._go(name, upto)

    def _go(self, name: str, upto: str) -> None:
        """Go on with a run that is under way; nothing where it is past that stage."""
        run = self.under_way.get(name)
        if run is None or upto not in run.todo:
            return
        if not self._try_run(run, upto) or not run.todo:
            del self.under_way[name]

    def _kill(self, name: str, reported: bool) -> None:
        """A run dies where it stands; whether its teardown still works is another matter."""
        run = self.under_way.pop(name, None)
        if run is None:
            return
        self._count("killed", self.fresh | run.met)
        if reported:
            self.runs.finish(run.begun, succeeded=False)

    def _again(self, back: int) -> None:
        """An old run is cleared: it runs again under its id, with the window it had."""
        under_way = {run.begun["run_id"] for run in self.under_way.values()}
        past = [old for old in self.past if f"run-{old[0]}" not in under_way]
        if not past:
            return
        number, mode, window = past[-1 - back % len(past)]
        last, self.runs.count = self.runs.count, number - 1
        self._count("again", self.fresh)
        try:
            stages = [stage for stage in (*EXTRACTS, *AFTER) if _has_stage(mode, stage)]
            run = OpenRun(mode, self.runs.begin(mode, *window), stages)
        except SyncError:
            if self.runs.is_still:
                raise
            return
        finally:
            self.runs.count = last
        self._try_run(run)

    def _run_with_fault(
        self,
        mode: Mode,
        since: int,
        until: int,
        kind: str,
        letter: str,
        stays: bool,
        retried: bool,
    ) -> None:
        """A run meets a fault on the wire, that passes or stays; what fails is retried or not."""
        run = self._try_begin(mode, since, until, (*EXTRACTS, *AFTER))
        if run is None:
            return
        options = _FAULTS.get(FaultKind(kind), {})
        self.runs.sandbox.faults.add(kind, SETS[letter], times=1000 if stays else 1, **options)
        self._count("faulty", self.fresh)
        patient = self.runs.settings
        if stays:  # a server that throttles for ever is asked for as long as a page may take
            self.runs.settings = patient.model_copy(update={"page_timeout_seconds": 1.0})
        try:
            self._finish(run)
        except SyncError:
            self.runs.settings = patient
            self.runs.sandbox.faults.clear()
            if retried:
                self._try_run(run)
            else:
                self.runs.finish(run.begun, succeeded=False)
        self.runs.settings = patient
        self.runs.sandbox.faults.clear()


def _has_stage(mode: Mode, stage: str) -> bool:
    """A quick sync resolves nothing."""
    return mode != "fill" or stage != "transform"


@dataclass
class Stage:
    """Where histories are played, one after another: an organisation, served, and a store."""

    sandbox: Sandbox
    engine: Engine
    folder: Path
    # What organisations of the same tables answer; any of them, on any stage.
    remembered: ClassVar[dict[str, dict[tuple[str, str], dict[str, Any]]]] = {}

    def __post_init__(self) -> None:
        """One session for all histories, and a fields file for each selection."""
        settings = settings_for_tests(self.folder)
        self.runs = HistoryRuns(self.sandbox, self.engine, settings, folder=self.folder)
        for name, content in SELECTIONS.items():
            (self.folder / f"{name}.toml").write_text(content)

    def history(self, options: Mapping[str, Any]) -> History:
        """A new organisation and runs that know nothing of those before."""
        renew(self.sandbox.organisation, options)
        self.sandbox.faults.clear()
        tables = f"{options['filters']} {options['tracked']}"
        self.runs.remembered = self.remembered.setdefault(tables, {})
        self.runs.count = 0
        self.runs.settings = settings_for_tests(
            self.folder, page_size=options["page_size"], request_attempts=2
        )
        self.runs.is_still, self.runs.worker_ahead = True, timedelta()
        return History(self.sandbox.organisation, self.runs, tracked=options["tracked"])


@dataclass(frozen=True)
class Visible:
    """An organisation as its reader sees it, for the oracle: without hidden rows."""

    organisation: Organisation

    @property
    def stores(self) -> Any:
        """The tables."""
        return self.organisation.stores

    def rows(self, set_name: str) -> list[dict[str, Any]]:
        """The rows that may be read."""
        key = self.stores[set_name].table.key
        hidden = self.organisation.hidden.get(set_name, set())
        return [row for row in self.organisation.rows(set_name) if row[key] not in hidden]


def differences_at_the_end(history: History, engine: Engine) -> list[str]:
    """What the store holds otherwise than a full sync would; rows that say No are left aside.

    So are the columns that are not selected in the end, and those that were made for another type.
    """
    seen = Visible(history.organisation)
    selected = parse_selected(SELECTIONS[history.selection], history.organisation)
    made = [each for each in _made_columns(engine) if (each[0], each[2]) in history.retyped]
    selected = without_refused(selected, history.organisation, made)
    found = without_excluded(seen, actual_store(engine, selected))
    expected = expected_store(seen, selected, erased=history.erased)  # type: ignore[arg-type]
    return differences(expected, found)


def _made_columns(engine: Engine) -> list[MadeColumn]:
    """What the store has made its selected columns for."""
    query = "SELECT entity, column_name, source, value_kind FROM store_column"
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def without_excluded(seen: Visible, store: Store) -> Store:
    """The store less the rows whose own filter says No: those are stale by contract."""
    stale: set[str] = set()
    for set_name in ("opportunities", "contacts", "accounts"):
        key = seen.stores[set_name].table.key
        stale |= {row[key] for row in seen.rows(set_name) if row.get("new_synctomkto") is False}
    own = {name for name in KEYS if name != "unresolved_association"}
    return {
        name: {key: row for key, row in rows.items() if name not in own or key[0] not in stale}
        for name, rows in store.items()
    }
