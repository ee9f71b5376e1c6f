"""Items of each table of Dynamics: what the user sees, which columns come, how long a page takes.

Each table is planned by itself, as a run plans all of them together: one that can't be read must
not hide what is wrong with the others.
"""

from __future__ import annotations

import time
from functools import cached_property, partial
from typing import TYPE_CHECKING

from opportunity_sync import store
from opportunity_sync.check.items import FailedItemError, Question, UndecidedItemError
from opportunity_sync.check.sign_in import TOKEN
from opportunity_sync.dynamics import ReadDepths, first_query
from opportunity_sync.errors import SyncError
from opportunity_sync.model import Model
from opportunity_sync.model.fields_reader import read_selection
from opportunity_sync.pipeline.selecting.selected_model import read_selected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from opportunity_sync.check.sign_in import SignIn
    from opportunity_sync.dynamics import DataverseClient, EntityPlan, Plan
    from opportunity_sync.model import Entity, Selection
    from opportunity_sync.settings import Settings


class Depths:
    """The read privileges of the user that signed in, asked for once."""

    def __init__(self, client: DataverseClient, sign_in: SignIn, model: Model) -> None:
        self._client, self._sign_in, self._model = client, sign_in, model

    @cached_property
    def _read(self) -> ReadDepths:
        user = self._sign_in.identity()["UserId"]
        return ReadDepths(self._client, user, self._model.entities)

    def find(self, entity: Entity) -> str:
        """Whether the user sees every row of a table."""
        sees = self._read.reads_every_row(entity)
        if self._read.refusal is not None:
            raise UndecidedItemError(
                f"The user's privileges can't be found out: {self._read.refusal.problem}",
                next_step=self._read.refusal.next_step,
            )
        depth = self._read.depth_in_words(entity)
        if not sees:
            raise FailedItemError(
                f"The application user has {entity.privilege} at {depth} level, so rows that it "
                "may not see are missing without a word, and none counts as deleted for being "
                "absent.",
                next_step="give a security role of the application user itself, or of a team of "
                f"it, {entity.privilege} at Organization level",
            )
        return f"{entity.privilege} at {depth} level."


class Readings:
    """Each table as the organisation has it with the selected fields, read once."""

    def __init__(self, client: DataverseClient, settings: Settings, model: Model) -> None:
        self.client, self.settings, self.model = client, settings, model
        self._read: dict[str, tuple[Entity, Plan] | SyncError] = {}

    @cached_property
    def selection(self) -> Selection:
        """The selected fields; raises `FieldsFileError`."""
        return read_selection(self.settings.fields, self.model)

    def of(self, entity: Entity) -> tuple[Entity, Plan]:
        """The table with its selected fields, and a plan of it alone; the same error each time."""
        if entity.name not in self._read:
            try:
                self._read[entity.name] = self._plan(entity)
            except SyncError as error:
                self._read[entity.name] = error
        found = self._read[entity.name]
        if isinstance(found, SyncError):
            raise found
        return found

    def _plan(self, entity: Entity) -> tuple[Entity, Plan]:
        model, plan = read_selected(
            self.client, self.selection, settings=self.settings, model=Model((entity,))
        )
        return model[entity.name], plan

    def plan_of(self, entity: Entity) -> EntityPlan:
        """What can be read of a table."""
        return self.of(entity)[1].of(entity)


def find_tracking(readings: Readings, entity: Entity) -> str:
    """Whether a table's changes are tracked."""
    if not readings.plan_of(entity).change_tracking_enabled:
        raise FailedItemError(
            "Change tracking is off: the table is read by window, and deletions are found by the "
            "daily reconciliation only.",
            next_step="switch on 'Track changes' in the table's properties (Power Apps), and "
            "publish",
        )
    return "Change tracking is on."


def find_columns(readings: Readings, entity: Entity) -> str:
    """Whether all selected columns are there and can be read."""
    plan = readings.plan_of(entity)
    if plan.left_out:
        out = "; ".join(f"{each.source}: {each.reason} ({each.state})" for each in plan.left_out)
        raise FailedItemError(
            f"Left out: {out}.",
            next_step="let the application user read them (column security), or take them out of "
            "the fields file; docs/runbook.md, 'A column is left out'",
        )
    return f"All {len(plan.columns)} columns can be read."


def find_store_columns(readings: Readings, engine: Engine, entity: Entity) -> str:
    """Whether the selected columns fit those that the store has of the table."""
    found, _ = readings.of(entity)
    fitted = store.expect_columns(engine, Model((found,)))
    if fitted.misfits:
        said = "; ".join(f"{each.field}: {each.reason} ({each.state})" for each in fitted.misfits)
        raise FailedItemError(
            f"They do not fit: {said}.",
            next_step="take the free name that is told in the fields file",
        )
    new = f"; the next run makes {', '.join(fitted.added)}" if fitted.added else ""
    return f"All of them fit{new}."


def find_sync_filter(
    readings: Readings, engine: Engine | None, entity: Entity, *, is_new: bool
) -> str:
    """Whether the sync filter is there, or was never used, as in a store that is yet to come."""
    if entity.sync_filter in readings.plan_of(entity).columns:
        return f"{entity.filter_source} can be read: rows with an explicit No are left out."
    never_used = f"There is no {entity.filter_source}: every row is synced."
    if is_new:
        return never_used
    if engine is None:
        raise UndecidedItemError(
            f"{entity.filter_source} is not there, and the store can't be asked whether it ever "
            "left out rows.",
            next_step="mend the connection to the store",
        )
    with store.read_store(engine) as connection:
        left_out = store.is_made(connection) and store.holds_no(connection, entity)
    if left_out:
        raise FailedItemError(
            f"{entity.filter_source} is not there any more, and rows were left out by it.",
            next_step="let the application user read the column, or trigger "
            "dynamics_opportunity_sync with mode full and accept_filter_gone",
        )
    return never_used


def find_page(readings: Readings, entity: Entity) -> str:
    """How long the first page of a table takes, with all its columns."""
    found, plan = readings.of(entity)
    path, params = first_query(found, plan, None, None)
    started = time.monotonic()
    pages = readings.client.pages(path, params=params)
    try:
        page = next(iter(pages))
    finally:
        pages.close()  # type: ignore[attr-defined]  # a generator, which ends the next request
    took, longest = time.monotonic() - started, readings.settings.page_timeout_seconds
    return f"A page of {len(page.body):,} bytes in {took:.1f} s; the time-out is {longest:.0f} s."


def privilege_questions(depths: Depths, model: Model) -> Iterator[Question]:
    """Of each table, whether the user sees all of its rows."""
    for entity in model:
        yield Question(
            f"dynamics.read_privilege.{entity.name}",
            f"Has the application user {entity.privilege} at Organization level?",
            "dynamics.read_privilege",
            partial(depths.find, entity),
            needs=TOKEN,
        )


def table_questions(
    readings: Readings, engine: Engine | None, *, is_new: bool
) -> Iterator[Question]:
    """Of each table its columns, filter, change tracking, and a page.

    `engine`: on the store, where it can be asked; `is_new`: it is a file that is not there yet.
    """
    for entity in readings.model:
        yield from _questions_of(readings, engine, entity, is_new=is_new)


def _questions_of(
    readings: Readings, engine: Engine | None, entity: Entity, *, is_new: bool
) -> Iterator[Question]:
    name = entity.name
    yield Question(
        f"dynamics.columns.{name}",
        f"Are the selected columns of {name} there, and may they be read?",
        "dynamics.columns",
        partial(find_columns, readings, entity),
        needs=TOKEN,
    )
    if not entity.is_always_read_whole:
        yield Question(
            f"dynamics.change_tracking.{name}",
            f"Is change tracking on for {name}?",
            "dynamics.change_tracking_off",
            partial(find_tracking, readings, entity),
            needs=TOKEN,
        )
    if entity.sync_filter is not None:
        yield Question(
            f"dynamics.sync_filter.{name}",
            f"Is the sync filter of {name} there, or was it never used?",
            "dynamics.sync_filter_gone",
            partial(find_sync_filter, readings, engine, entity, is_new=is_new),
            needs=TOKEN,
        )
    if engine is not None and entity.is_public:
        yield Question(
            f"fields.columns.{name}",
            f"Do the selected columns of {name} fit those of the store?",
            "fields.columns",
            partial(find_store_columns, readings, engine, entity),
            needs="store.reachable",
        )
    yield Question(
        f"dynamics.page.{name}",
        f"Does a page of {name} come within the page time-out?",
        "dynamics.page",
        partial(find_page, readings, entity),
        needs=TOKEN,
        on_transient="failed",
    )
