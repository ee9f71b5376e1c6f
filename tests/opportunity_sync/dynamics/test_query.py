"""The first request of a reading asks for the planned columns of the rows in the window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from opportunity_sync.dynamics import EntityPlan, Plan, first_query
from opportunity_sync.model import CONNECTION_ROLE, DEFAULT_MODEL, OPPORTUNITY, Entity

START = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize("entity", DEFAULT_MODEL.entities, ids=lambda entity: entity.name)
def test_a_full_read_has_every_planned_column_and_no_filter(entity: Entity) -> None:
    """Key and version come first; there is no order but the key's."""
    path, params = first_query(entity, Plan.complete(DEFAULT_MODEL), None, None)
    names = params.pop("$select").split(",")
    assert (entity.set_name, {}) == (path, params)
    assert [entity.key, "versionnumber"] == names[:2]
    assert len(set(names)) == len(names) == len(entity.all_fields) + 2


def test_only_planned_columns_are_asked_for() -> None:
    """A column left out would make the whole query fail."""
    plan = Plan("", None, {"connectionrole": EntityPlan(("name",))})
    _, params = first_query(CONNECTION_ROLE, plan, None, None)
    assert params["$select"] == "connectionroleid,versionnumber,name"


@pytest.mark.parametrize(
    ("start", "end", "condition"),
    [
        (START, None, "modifiedon ge 2026-02-03T04:05:06Z"),
        (None, START, "modifiedon lt 2026-02-03T04:05:06Z"),
        (
            START,
            START + timedelta(days=1),
            "modifiedon ge 2026-02-03T04:05:06Z and modifiedon lt 2026-02-04T04:05:06Z",
        ),
        (
            START.astimezone(timezone(timedelta(hours=2))),
            None,
            "modifiedon ge 2026-02-03T04:05:06Z",
        ),
        (
            START + timedelta(microseconds=1),
            START + timedelta(microseconds=2),
            "modifiedon ge 2026-02-03T04:05:06Z and modifiedon lt 2026-02-03T04:05:07Z",
        ),
        (
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(9999, 12, 31, tzinfo=UTC),
            "modifiedon ge 1753-01-01T00:00:00Z and modifiedon lt 9999-12-31T00:00:00Z",
        ),
        (
            datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-2))),
            "modifiedon ge 1753-01-01T00:00:00Z",
        ),
    ],
)
def test_a_window_is_a_filter_in_whole_seconds_of_utc(
    start: datetime | None, end: datetime | None, condition: str
) -> None:
    """Start included, end excluded; a bound inside a second reaches to its edge.

    One that lies beyond the calendar in UTC is no bound; before 1753 Dataverse has no times.
    """
    _, params = first_query(OPPORTUNITY, Plan.complete(DEFAULT_MODEL), start, end)
    assert condition == params["$filter"]
