"""The first request of a reading: exactly the planned columns, of all rows or of a window.

No `$orderby`: the default, by primary key, is the one order that never repeats or misses a row
between pages. A window is a filter on `modifiedon`, whole seconds, start included.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from opportunity_sync.entities import MODIFIED_SOURCE, VERSION_SOURCE, Entity

if TYPE_CHECKING:
    from opportunity_sync.dynamics.plan import Plan


def first_query(  # noqa: PLR0917 - a window reads best as start, end
    entity: Entity, plan: Plan, window_start: datetime | None, window_end: datetime | None
) -> tuple[str, dict[str, str]]:
    """Path and parameters; without a start or end the window is open on that side."""
    params = {"$select": ",".join(plan.of(entity).select(entity))}
    # A bound inside a second reaches to the second's edge: too much is read, never too little.
    past_end = window_end + timedelta(microseconds=999_999) if window_end else None
    bounds = (("ge", window_start), ("lt", past_end))
    conditions = [
        f"{MODIFIED_SOURCE} {sign} {_literal(at)}" for sign, at in bounds if at is not None
    ]
    if conditions:
        params["$filter"] = " and ".join(conditions)
    return entity.set_name, params


def listing_query(entity: Entity) -> tuple[str, dict[str, str]]:
    """Path and parameters to list key and version of every row: what reconciliation compares."""
    return entity.set_name, {"$select": f"{entity.key},{VERSION_SOURCE}"}


def _literal(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
