"""Where an extract task starts to read a table: everything, a window, its changes, or a listing.

Change tracking shows deletions, cascades and back-dated rows, which no window shows. So it is used
where the organisation has it on and the application user sees every row. It allows no filter:
a tracked table is read whole once, and from then on by its delta link.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from opportunity_sync.dynamics import (
    ANNOTATIONS,
    TRACK_CHANGES,
    first_query,
    listing_query,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opportunity_sync.model import Entity
    from opportunity_sync.pipeline.reading.parts import PartState, Way
    from opportunity_sync.pipeline.run import Link, Run


@dataclass(frozen=True)
class Source:
    """Where one reading starts, and what it asks for.

    `link`: its first link or path. `way`: by what the rows are found. `fields`: the planned fields
    that come. `is_tracked`: the last page has a link to go on from. `what`: the same for the log.
    """

    link: str
    params: dict[str, str]
    way: Way
    fields: tuple[str, ...]
    is_tracked: bool
    what: str

    @property
    def prefer(self) -> tuple[str, ...]:
        """What the requests prefer. Annotations name a lookup's table; a listing has no lookups."""
        annotations = (ANNOTATIONS,) if self.fields else ()
        return (*annotations, TRACK_CHANGES) if self.is_tracked else annotations

    def after(self, state: PartState) -> Source:
        """Where to go on after a staged part, which another way of reading may have brought."""
        return replace(
            self,
            link=state.next_link or "",
            params={},
            way=state.way,
            fields=state.fields,
            is_tracked=self.is_tracked and state.way != "window",
        )


def sources_of(run: Run, entity: Entity) -> Iterator[Source]:
    """The ways to read an entity, best first: links of change tracking, then one without a link.

    While a quick sync is due or under way, it reads every row of its table. The running sync must
    not wait for that, so it reads the table by window meanwhile.
    """
    if run.lists(entity):
        path, params = listing_query(entity)
        what = "key and version of every row"
        yield Source(path, params, "whole", (), is_tracked=False, what=what)
        return
    table = run.of(entity)
    if table.link is not None:
        yield _link_source(table.link, "link")
    if table.offered is not None:
        yield _link_source(table.offered, "offer")
    is_bounded = table.link is not None and table.waiting
    if table.is_tracked and not is_bounded:
        yield _whole_source(run, entity)
    else:
        yield _window_source(run, entity)


def _link_source(link: Link, way: Way) -> Source:
    what = "what changed since the last run (change tracking)"
    return Source(link.url, {}, way, tuple(link.columns), is_tracked=True, what=what)


def _whole_source(run: Run, entity: Entity) -> Source:
    path, params = first_query(entity, run.plan, None, None)
    return Source(
        path,
        params,
        "whole",
        run.plan.of(entity).columns,
        is_tracked=True,
        what="everything, and from then on what changes",
    )


def _window_source(run: Run, entity: Entity) -> Source:
    window = run.of(entity).window
    fields = run.fills.get(entity.name, run.plan.of(entity).columns)
    plan = run.plan.narrow(entity, fields)
    path, params = first_query(entity, plan, window.start, window.end, by=window.by)
    way: Way = "whole" if window.is_everything else "window"
    return Source(path, params, way, fields, is_tracked=False, what=str(window))
