"""What one run is: what was asked of it, what window it takes, and where its rows are staged.

Tasks run in different processes, on different machines, so all that they share is one small
JSON dict (the `run`) and the plan that `begin` stages beside the rows.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from opportunity_sync.dynamics import Plan
from opportunity_sync.entities import ENTITIES, Entity
from opportunity_sync.errors import ConfigError, StagingError
from opportunity_sync.staging import Part, RunFolder, StagingRoot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opportunity_sync.settings import Settings

log = logging.getLogger(__name__)

Mode = Literal["continue", "range", "full", "reconcile"]
_PLAN = "plan.json"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What Airflow asks for.

    `continue`: from each table's watermark, or everything where there is none; `range`: what was
    modified in [window_start, window_end), never moving a watermark; `full`: everything;
    `reconcile`: key and version of everything, and then only what differs. `accept_deletions`
    lets a run mark more rows as gone than the guard allows, `accept_refusals` leave more records
    aside, `accept_filter_gone` go on without the filter column. `new_epoch` lets lower versions
    replace higher ones, after the organisation was restored from a backup. `new_organization`, with
    it, is the id of the organisation to which the store is handed over.
    """

    dag_id: str
    run_id: str
    mode: Mode
    window_start: datetime | None = None
    window_end: datetime | None = None
    accept_deletions: bool = False
    accept_refusals: bool = False
    accept_filter_gone: bool = False
    new_epoch: bool = False
    new_organization: str | None = None

    def __post_init__(self) -> None:
        """Refuse a range that is none, and an epoch that would begin with gaps."""
        if self.new_organization and not self.new_epoch:
            raise ConfigError(
                "Another organisation's rows have versions of their own, so an epoch begins.",
                next_step="trigger the run again with new_epoch and mode full.",
            )
        if self.new_epoch and self.mode != "full":
            raise ConfigError(
                f"A new epoch must begin with every row, and mode is {self.mode!r}.",
                next_step="trigger the run again with mode full.",
            )
        if self.mode != "range":
            return
        if self.window_start is None or self.window_end is None:
            raise ConfigError(
                "A run over a date range needs both window_start and window_end.",
                next_step="trigger it again with both, or with mode continue or full.",
            )
        if self.window_start >= self.window_end:
            raise ConfigError(
                f"The window [{self.window_start}, {self.window_end}) is empty.",
                next_step="trigger it again with window_start before window_end.",
            )


@dataclass(frozen=True, slots=True)
class Window:
    """Rows with start <= modifiedon < end; None means without that bound."""

    start: datetime | None = None
    end: datetime | None = None

    def __str__(self) -> str:
        """As the logs say it."""
        if self.start is None and self.end is None:
            return "everything"
        since = (
            f"modified since {self.start:%Y-%m-%d %H:%M:%S} UTC"
            if self.start
            else "from the beginning"
        )
        return f"{since}, before {self.end:%Y-%m-%d %H:%M:%S} UTC" if self.end else since


@dataclass(frozen=True)
class Run:
    """A begun run: `windows` by entity name; `started_at` is the server's time (UTC)."""

    dag_id: str
    run_id: str
    mode: Mode
    staging: str
    started_at: datetime
    windows: dict[str, Window]
    plan: Plan
    requests: int = 0  # what it took to begin
    delta_links: dict[str, str | None] = field(
        default_factory=dict
    )  # of tracked entities, at begin
    stored_links: dict[str, str] = field(default_factory=dict)  # as the store had them at begin
    whole_passes: dict[str, int] = field(default_factory=dict)  # likewise
    accept_deletions: bool = False
    epoch: int = 0  # of the store at begin
    new_epoch: bool = False
    # Of a run that goes on with an earlier one's rows: from when on to read what changed, and a
    # name that no other such run has.
    changed_since: datetime | None = None
    resumption: str | None = None

    @cached_property
    def folder(self) -> RunFolder:
        """Where the rows of this run are staged."""
        return RunFolder(self.staging)

    @property
    def is_listing(self) -> bool:
        """Whether only keys and versions are extracted, to be compared with the store."""
        return self.mode == "reconcile"

    def rows_group(self, entity: Entity) -> str:
        """The staging group that an extract task fills."""
        return f"listing/{entity.name}" if self.is_listing else entity.name

    def row_parts(self, entity: Entity) -> list[Part]:
        """All staged parts of whole rows: those of the extract task, then those asked for by id."""
        extracted = [] if self.is_listing else self.folder.parts(entity.name)
        return [*extracted, *self.folder.parts(found_group(entity))]

    def window(self, entity: Entity) -> Window:
        """The window to read of an entity."""
        return self.windows[entity.name]

    def save(self) -> dict[str, Any]:
        """Stage the whole run; returns the small dict that the tasks pass on."""
        windows = {
            name: [window.start and window.start.isoformat(), window.end and window.end.isoformat()]
            for name, window in self.windows.items()
        }
        pointer = {
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "mode": self.mode,
            "staging": self.staging,
            "started_at": self.started_at.isoformat(),
        }
        saved = {
            "windows": windows,
            "plan": self.plan.to_dict(),
            "requests": self.requests,
            "delta_links": self.delta_links,
            "stored_links": self.stored_links,
            "whole_passes": self.whole_passes,
            "accept_deletions": self.accept_deletions,
            "epoch": self.epoch,
            "new_epoch": self.new_epoch,
            "changed_since": self.changed_since and self.changed_since.isoformat(),
            "resumption": self.resumption,
        }
        self.folder.write_json(_PLAN, pointer | saved)
        return pointer


def found_group(entity: Entity) -> str:
    """The staging group of rows that were asked for by id."""
    return f"found/{entity.name}"


def gone_group(entity: Entity) -> str:
    """The staging group of keys that were found to be gone."""
    return f"gone/{entity.name}"


def open_run(pointer: dict[str, Any]) -> Run:
    """Read the staged run again. Raises `StagingError` where it is gone or superseded."""
    saved = RunFolder(pointer["staging"]).read_json(_PLAN)
    if saved["run_id"] != pointer["run_id"]:
        raise StagingError(
            f"The staged rows of this run were taken over by run {saved['run_id']}.",
            next_step="nothing, if that run succeeds; else clear it instead of this one.",
        )
    return _loaded(saved)


def read_run(folder: RunFolder) -> Run:
    """The run whose rows are staged in a folder."""
    return _loaded(folder.read_json(_PLAN))


def _loaded(saved: dict[str, Any]) -> Run:
    windows = {
        name: Window(*(bound and datetime.fromisoformat(bound) for bound in bounds))
        for name, bounds in saved["windows"].items()
    }
    changed_since = saved["changed_since"]
    return Run(
        dag_id=saved["dag_id"],
        run_id=saved["run_id"],
        mode=saved["mode"],
        staging=saved["staging"],
        started_at=datetime.fromisoformat(saved["started_at"]),
        windows=windows,
        plan=Plan.from_dict(saved["plan"]),
        requests=saved["requests"],
        delta_links=saved["delta_links"],
        stored_links=saved["stored_links"],
        whole_passes=saved["whole_passes"],
        accept_deletions=saved["accept_deletions"],
        epoch=saved["epoch"],
        new_epoch=saved["new_epoch"],
        changed_since=changed_since and datetime.fromisoformat(changed_since),
        resumption=saved["resumption"],
    )


def windows_for(
    request: RunRequest, watermarks: Mapping[str, datetime], settings: Settings
) -> dict[str, Window]:
    """The window of each entity for what was asked."""
    overlap = timedelta(minutes=settings.overlap_minutes)
    windows = {}
    for entity in ENTITIES:
        watermark = watermarks.get(entity.name)
        if entity.is_always_read_whole or request.mode in {"full", "reconcile"}:
            windows[entity.name] = Window()
        elif request.mode == "range":
            windows[entity.name] = Window(request.window_start, request.window_end)
        else:
            windows[entity.name] = Window(watermark and watermark - overlap)
    return windows


def report_wait(seconds: float) -> None:
    """Say in the log that the store is held by another run, and for how long by now."""
    log.info("Waiting for another run's load to end: %.0f s so far.", seconds)


def staging_root(settings: Settings) -> StagingRoot:
    """Where runs are staged: the setting, or a folder of this machine when there is none."""
    return StagingRoot(settings.staging_url or str(Path.home() / ".opportunity_sync" / "staging"))
