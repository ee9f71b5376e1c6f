"""The first request of a reading: exactly the planned columns, of all rows or of a window.

No `$orderby`: the default, by primary key, is the one order that never repeats or misses a row
between pages. A window is a filter on `modifiedon`, whole seconds, start included.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from opportunity_sync.model import MODIFIED_SOURCE, VERSION_SOURCE, Entity

if TYPE_CHECKING:
    from opportunity_sync.dynamics.plan import Plan

_NOTHING: Final = timedelta()
_EARLIEST: Final = datetime(1753, 1, 1, tzinfo=UTC)  # Dataverse refuses what lies before


def first_query(  # noqa: PLR0917 - a window reads best as start, end
    entity: Entity,
    plan: Plan,
    window_start: datetime | None,
    window_end: datetime | None,
    *,
    by: str = MODIFIED_SOURCE,
) -> tuple[str, dict[str, str]]:
    """Path and parameters; without a start or end the window is open on that side.

    `by`: the Dataverse column of instants that the window is of.
    """
    params = {"$select": ",".join(plan.of(entity).select(entity))}
    if condition := window_filter(window_start, window_end, by=by):
        params["$filter"] = condition
    return entity.set_name, params


def window_filter(
    start: datetime | None, end: datetime | None, *, by: str = MODIFIED_SOURCE
) -> str:
    """The condition of a window; empty for one without bounds."""
    # A bound within a second is moved to the second's edge: too much is read, never too little.
    bounds = (("ge", start, _NOTHING), ("lt", end, timedelta(microseconds=999_999)))
    literals = [(sign, at and _literal(at, beyond)) for sign, at, beyond in bounds]
    return " and ".join(f"{by} {sign} {literal}" for sign, literal in literals if literal)


def listing_query(entity: Entity) -> tuple[str, dict[str, str]]:
    """Path and parameters to list key and version of every row: what reconciliation compares."""
    return entity.set_name, {"$select": f"{entity.key},{VERSION_SOURCE}"}


def _literal(moment: datetime, beyond: timedelta) -> str | None:
    """The whole second of UTC; None past the end of the calendar, where no row can lie."""
    try:
        second = max(_EARLIEST, moment).astimezone(UTC) + beyond
    except OverflowError:
        return None
    return second.replace(microsecond=0, tzinfo=None).isoformat() + "Z"
