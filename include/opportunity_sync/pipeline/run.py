"""One run: what was asked of it, what it reads of each table, and where its rows are staged.

Tasks run in different processes, often on different machines. All that they share is one small
JSON dict, which says where the run is staged, and the plan that `begin` stages there.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from opportunity_sync.dynamics import DataverseClient, Plan
from opportunity_sync.errors import ConfigError, StagingError, WrongOrganizationError
from opportunity_sync.model import (
    CREATED_SOURCE,
    DEFAULT_MODEL,
    MODIFIED_SOURCE,
    Entity,
    Model,
)
from opportunity_sync.staging import RunFolder, StagingRoot

if TYPE_CHECKING:
    from opportunity_sync.settings import Settings

log = logging.getLogger(__name__)

Mode = Literal["continue", "range", "full", "reconcile", "fill"]
_PLAN = "plan.json"
_FORMAT = 4  # of what is staged; a run with another number must begin anew


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What Airflow asks for.

    The modes:

    - `continue`: what changed since each table's watermark, or everything where there is none.
    - `range`: what was modified in [window_start, window_end). No watermark moves.
    - `full`: everything.
    - `reconcile`: key and version of everything, and then only the rows that differ.
    - `fill`: values of chosen `fields` (`contact.region`; none means all that wait) into rows that
      are there, of all records or of those in a range. `ranges_by` says whether the range is about
      when records were modified or when they were created.

    `accept_deletions` lets a run mark more rows as gone than the guard allows, `accept_refusals`
    leave out more records that can't be taken. `retry_refused` tries all refused records again,
    whether their wait is over or not. `accept_filter_gone` says that the sync filter was
    removed from the organisation on purpose. `new_epoch` lets lower versions replace higher ones,
    after the organisation was restored from a backup; `new_organization`, with it, is the id of the
    organisation that takes the store over. `model`: the tables of the deployment, with what is read
    of them where nobody selects otherwise.
    """

    dag_id: str
    run_id: str
    mode: Mode
    window_start: datetime | None = None
    window_end: datetime | None = None
    fields: tuple[str, ...] = ()
    ranges_by: Literal["modified", "created"] = "modified"
    accept_deletions: bool = False
    accept_refusals: bool = False
    retry_refused: bool = False
    accept_filter_gone: bool = False
    new_epoch: bool = False
    new_organization: str | None = None
    model: Model = DEFAULT_MODEL

    def __post_init__(self) -> None:
        """Refuse an empty or half-open range, and an epoch that would begin without every row."""
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
        if self.accept_filter_gone and self.mode != "full":
            raise ConfigError(
                f"Rows that the sync filter left out must all be read, and mode is {self.mode!r}.",
                next_step="trigger the run again with accept_filter_gone and mode full.",
            )
        is_bounded = self.window_start is not None or self.window_end is not None
        if self.mode != "range" and not (self.mode == "fill" and is_bounded):
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


class Window(msgspec.Struct, frozen=True):
    """Rows with start <= `by` < end, a column of instants; None means without that bound."""

    start: datetime | None = None
    end: datetime | None = None
    by: str = MODIFIED_SOURCE

    @property
    def is_everything(self) -> bool:
        """Whether it has no bound."""
        return self.start is None and self.end is None

    def __str__(self) -> str:
        """The window in words, for the log."""
        if self.is_everything:
            return "everything"
        verb = "created" if self.by == CREATED_SOURCE else "modified"
        since = (
            f"{verb} since {self.start:%Y-%m-%d %H:%M:%S} UTC"
            if self.start
            else "from the beginning"
        )
        return f"{since}, before {self.end:%Y-%m-%d %H:%M:%S} UTC" if self.end else since


class Link(msgspec.Struct, frozen=True):
    """A link of change tracking, and the interpretation of each field that it gives."""

    url: str
    columns: dict[str, str]


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What a run knew of one table when it began, and how it reads that table.

    `window`: what is read where no link is followed. `is_tracked`: change tracking is used, from
    `link` on; without a link a whole pass comes first. `stored_link` and `whole_passes`: as the
    store had them, to tell whether another run has moved them since. `offered`: the link that a
    quick sync has left; it is taken up once `link` has been followed to its end. `waiting`: fields
    that the stored rows lack until a quick sync fills them; `unasked`: those of them with which no
    quick sync has begun. `is_read_whole`: even a reconciliation reads every row whole, because the
    stored rows lack what the rules need.
    """

    window: Window
    is_tracked: bool = False
    link: Link | None = None
    stored_link: str | None = None
    whole_passes: int = 0
    offered: Link | None = None
    waiting: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    is_read_whole: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether nothing tells what has changed, so that all rows are read."""
        return (
            self.link is None
            and self.offered is None
            and (self.is_tracked or self.window.is_everything)
        )


class Run(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A run that has begun, as it is staged for the tasks.

    `model`: the tables and columns that the run reads; `plan`: how they are read; `tables`: what
    was known of each, by entity name. `started_at` (UTC) is the lower of Dynamics' clock and the
    worker's. `revision` and `epoch` are the store's when the run began. `filter_gone`: entities
    whose sync filter was removed on purpose. `fills`: the fields that a quick sync fills, by entity
    name.
    """

    dag_id: str
    run_id: str
    attempt: str
    mode: Mode
    staging: str
    started_at: datetime
    model: Model
    plan: Plan
    tables: dict[str, Baseline]
    format: int = _FORMAT
    requests: int = 0  # that `begin` has sent
    fills: dict[str, tuple[str, ...]] = {}
    accept_deletions: bool = False
    accept_refusals: bool = False
    retry_refused: bool = False
    filter_gone: tuple[str, ...] = ()
    revision: int = 0
    epoch: int = 0
    new_epoch: bool = False
    new_organization: str | None = None

    @cached_property
    def folder(self) -> RunFolder:
        """Where the rows of this run are staged."""
        return RunFolder(self.staging)

    def lists(self, entity: Entity) -> bool:
        """Whether only keys and versions are extracted, to be compared with the store."""
        return self.mode == "reconcile" and not self.of(entity).is_read_whole

    def reads(self, entity: Entity) -> bool:
        """Whether the run reads the table at all. A quick sync reads only tables that it fills."""
        return self.mode != "fill" or entity.name in self.fills

    def rows_group(self, entity: Entity) -> str:
        """The staging group of an extract task's rows, which is also the name of their manifest."""
        return f"listing/{entity.name}" if self.lists(entity) else entity.name

    def of(self, entity: Entity) -> Baseline:
        """What the run knew of a table when it began."""
        return self.tables[entity.name]

    @property
    def reads_whole(self) -> bool:
        """Whether it reads a table from its beginning, which can take hours."""
        return self.mode in {"full", "reconcile", "fill"} or any(
            self.tables[entity.name].is_whole
            for entity in self.model
            if not entity.is_always_read_whole
        )

    @property
    def is_first(self) -> bool:
        """Whether it brings everything into a store that has never had anything."""
        return (
            self.mode != "fill"
            and self.revision == 0
            and all(table.window.is_everything for table in self.tables.values())
        )

    def save(self) -> dict[str, Any]:
        """Stage the whole run; returns the small dict that the tasks pass on."""
        self.folder.write_json(_PLAN, msgspec.to_builtins(self, str_keys=True))
        return {
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "attempt": self.attempt,
            "mode": self.mode,
            "staging": self.staging,
            "started_at": self.started_at.isoformat(),
            "reads_whole": self.reads_whole,
            "is_first": self.is_first,
            "to_fill": [
                f"{name}.{field}" for name, table in self.tables.items() for field in table.unasked
            ],
        }


def open_run(pointer: dict[str, Any]) -> Run:
    """Read the staged run. Raises `StagingError` if it is gone or has another format."""
    saved = RunFolder(pointer["staging"]).read_json(_PLAN)
    try:
        run = msgspec.convert(saved, Run, strict=False)
    except msgspec.ValidationError:
        run = None
    if run is None or run.format != _FORMAT:
        raise StagingError(
            "This run was begun by another version of the pipeline.",
            next_step="clear the whole DAG run, from its first task.",
        )
    return run


def require_same_organization(client: DataverseClient, run: Run) -> None:
    """Compare the organisation with the one that the run began with.

    Somebody can point the connection elsewhere while a run is under way, and then every page would
    be another organisation's. Raises `WrongOrganizationError`.
    """
    found = client.organization_id()
    if found != run.plan.organization_id:
        raise WrongOrganizationError(
            f"The run began with organisation {run.plan.organization_id}, and the connection now "
            f"leads to {found}.",
            next_step="point dynamics_default back and clear this task; for another organisation "
            "see 'Another organisation' in docs/runbook.md.",
        )


def require_same_epoch(run: Run, epoch: int) -> None:
    """Raise `StagingError` where the store's epoch is not the one in which the run began."""
    if epoch != run.epoch:
        raise StagingError(
            "A new epoch has begun since this run read its rows, so their versions count no more.",
            next_step="clear the whole DAG run, from its first task.",
        )


def window_for(
    request: RunRequest, entity: Entity, *, watermark: datetime | None, overlap: timedelta
) -> Window:
    """The window of an entity that the request asks for."""
    if entity.is_always_read_whole or request.mode in {"full", "reconcile"}:
        return Window()
    if request.mode == "range":
        return Window(request.window_start, request.window_end)
    if request.mode == "fill":
        by = CREATED_SOURCE if request.ranges_by == "created" else MODIFIED_SOURCE
        return Window(request.window_start, request.window_end, by)
    return Window(watermark and move_back(watermark, overlap))


def utc_now() -> datetime:
    """This worker's clock."""
    return datetime.now(UTC)


def move_back(moment: datetime, span: timedelta) -> datetime:
    """The moment moved back by a span, but not beyond the start of the calendar."""
    earliest = datetime.min.replace(tzinfo=moment.tzinfo)
    return moment - span if moment - earliest >= span else earliest


def report_wait(seconds: float) -> None:
    """Say in the log how long the run has waited for somebody else who holds the store."""
    log.info("Waiting for the store, which another run or program holds: %.0f s so far.", seconds)


def staging_root(settings: Settings) -> StagingRoot:
    """Where runs are staged: as set, or else in a folder of this machine."""
    return StagingRoot(settings.staging_url or str(Path.home() / ".opportunity_sync" / "staging"))
