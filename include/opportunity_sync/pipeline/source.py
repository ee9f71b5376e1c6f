"""Where an extract task starts to read a table: everything, a window, its changes, or a listing.

Change tracking is the better source where the organisation has it on and the application user
sees every row: it shows deletions, cascades and back-dated rows, which no window shows. It
refuses filters, so a tracked table is read whole once and by its delta link ever after.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from opportunity_sync.dynamics import (
    ANNOTATIONS,
    TRACK_CHANGES,
    Plan,
    first_query,
    listing_query,
)
from opportunity_sync.pipeline.run import Run, Window

if TYPE_CHECKING:
    from opportunity_sync.model import Entity
    from opportunity_sync.pipeline.parts import PartState


@dataclass(frozen=True)
class Source:
    """One reading: first link or path, what is asked for, and what its end proves.

    `is_whole`: every row of the table comes, so what is missing is gone. `is_tracked`: its last
    page has a delta link; `is_delta`: it follows such a link.
    """

    link: str
    params: dict[str, str]
    prefer: tuple[str, ...]
    plan: Plan
    what: str
    is_whole: bool = False
    is_tracked: bool = False
    is_delta: bool = False

    def after(self, state: PartState) -> Source:
        """The same reading, going on after its last staged part."""
        return replace(self, link=state.next_link or "", params={}, is_whole=state.is_whole)


def source_of(run: Run, entity: Entity, *, from_the_start: bool = False) -> Source:
    """What this run reads of an entity; `from_the_start`: everything, whatever link there is."""
    if run.lists(entity):
        path, params = listing_query(entity)
        bare = msgspec.structs.replace(run.plan.of(entity), columns=())
        plan = msgspec.structs.replace(run.plan, entities=run.plan.entities | {entity.name: bare})
        return Source(path, params, (), plan, "key and version of every row", is_whole=True)
    is_tracked = entity.name in run.delta_links
    link = None if from_the_start else run.delta_links.get(entity.name)
    prefer = (ANNOTATIONS, TRACK_CHANGES) if is_tracked else (ANNOTATIONS,)
    if link is not None:
        what = "what changed since the last run (change tracking)"
        return Source(link, {}, prefer, run.plan, what, is_tracked=True, is_delta=True)
    window = Window() if is_tracked else run.window(entity)
    path, params = first_query(entity, run.plan, window.start, window.end)
    what = "everything, and from then on what changes" if is_tracked else str(window)
    return Source(
        path,
        params,
        prefer,
        run.plan,
        what=what,
        is_whole=window == Window(),
        is_tracked=is_tracked,
    )
