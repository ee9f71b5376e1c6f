"""Close dates that come as instants reach the store as the day that they were meant to be."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from oracle import actual_store

if TYPE_CHECKING:
    from dynamics_sandbox import Organisation
    from sync_runs import SyncRuns

# The day began at midnight in Berlin, in winter and in summer, at the hour of the change too.
BERLIN = {
    "2026-02-03T23:00:00Z": "2026-02-04",
    "2026-07-03T22:00:00Z": "2026-07-04",
    "2026-03-28T23:00:00Z": "2026-03-29",
    "2026-10-24T22:00:00Z": "2026-10-25",
}
UTC = {text: text[:10] for text in BERLIN}


def close_dates(runs: SyncRuns) -> dict[str, Any]:
    """The close date of every opportunity in the store."""
    rows = actual_store(runs.engine)["opportunity"].values()
    return {row["opportunity_id"]: row["actual_close_date"] for row in rows}


@pytest.mark.parametrize(
    ("behaviour", "time_zone", "days"),
    [
        ("UserLocal", "Europe/Berlin", BERLIN),
        ("UserLocal", None, UTC),
        ("TimeZoneIndependent", "Europe/Berlin", UTC),
        (None, "Europe/Berlin", BERLIN),
    ],
)
def test_a_close_date_is_the_day_in_the_time_zone(
    sqlite_runs: SyncRuns,
    organisation: Organisation,
    behaviour: str | None,
    time_zone: str | None,
    days: dict[str, str],
) -> None:
    """In upgraded organisations it was null for every opportunity."""
    organisation.retype_column(
        "opportunities", "actualclosedate", "DateTime", behaviour="UserLocal"
    )
    organisation.garble_metadata(
        "opportunities", "actualclosedate", DateTimeBehavior={"Value": behaviour}, Format=None
    )
    expected = {
        organisation.create("opportunities", {"name": "Won", "actualclosedate": text}): day
        for text, day in days.items()
    }
    sqlite_runs.settings = sqlite_runs.settings.model_copy(update={"time_zone": time_zone})
    sqlite_runs.run()
    found = close_dates(sqlite_runs)
    assert expected == {key: found[key] for key in expected}
    assert any(day is not None for key, day in found.items() if key not in expected)


def test_a_run_that_took_the_days_of_another_zone_leaves_none_of_them(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """It began before the setting changed, and loads after the whole table was filled anew."""
    organisation.retype_column(
        "opportunities", "actualclosedate", "DateTime", behaviour="UserLocal"
    )
    won = organisation.create(
        "opportunities", {"name": "Won", "actualclosedate": "2026-02-03T23:00:00Z"}
    )
    berlin = sqlite_runs.settings.model_copy(update={"time_zone": "Europe/Berlin"})
    sqlite_runs.settings = sqlite_runs.settings.model_copy(update={"time_zone": "UTC"})
    sqlite_runs.run()
    day = timedelta(days=1)
    slow = sqlite_runs.begin("range", organisation.now - day, organisation.now + day)
    sqlite_runs.extract(slow)
    sqlite_runs.transform(slow)
    sqlite_runs.settings = berlin
    sqlite_runs.scheduled_run()
    assert close_dates(sqlite_runs)[won] == "2026-02-04"
    sqlite_runs.load(slow)
    assert close_dates(sqlite_runs)[won] == "2026-02-03"
    organisation.now = organisation.now + day
    sqlite_runs.scheduled_run()

    assert close_dates(sqlite_runs)[won] == "2026-02-04"
