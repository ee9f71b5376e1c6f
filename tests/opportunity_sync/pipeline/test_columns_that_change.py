"""A column goes and comes back: nothing that the store has is lost, and nothing stays behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from dynamics_sandbox import Organisation, Sandbox
from dynamics_sandbox.schema.custom_columns import SYNC_FILTER
from opportunity_sync.errors import ConfigError
from oracle import actual_store, differences, expected_store
from organisations import without_tracking
from sync_runs import SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine

MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)
WAYS: dict[str, Callable[[Organisation], None]] = {
    "dropped": lambda world: world.drop_column("contacts", "emailaddress1"),
    "secured": lambda world: world.secure_column("contacts", "emailaddress1"),
    "masked": lambda world: world.secure_column("contacts", "emailaddress1", masked=True),
    "retyped": lambda world: world.retype_column("contacts", "emailaddress1", "Integer"),
}


@pytest.fixture
def engine(ground: tuple[bool, Engine]) -> Engine:
    """The store of each way of reading."""
    return ground[1]


@pytest.fixture
def world(ground: tuple[bool, Engine]) -> Organisation:
    """Five contacts with e-mail addresses, with and without change tracking."""
    empty = Organisation.empty()
    organisation = empty if ground[0] else without_tracking(empty)
    organisation.now = MORNING
    for number in range(5):
        address = {"lastname": f"Byron {number}", "emailaddress1": f"{number}@example.com"}
        organisation.create("contacts", address)
    return organisation


@pytest.fixture
def world_runs(world: Organisation, engine: Engine, tmp_path: Path) -> Iterator[SyncRuns]:
    """Runs of that organisation without overlap of windows, into each kind of store."""
    with Sandbox(world) as sandbox:
        yield SyncRuns(sandbox, engine, settings_for_tests(tmp_path, overlap_minutes=0))


def later(organisation: Organisation, **span: int) -> None:
    """Time passes."""
    organisation.now = organisation.now + timedelta(**(span or {"minutes": 20}))


def emails(runs: SyncRuns) -> list[str | None]:
    """The e-mail addresses in the store, by name."""
    with runs.engine.connect() as connection:
        query = text("SELECT email FROM contact WHERE NOT is_deleted ORDER BY last_name")
        return list(connection.scalars(query))


def drift(runs: SyncRuns) -> list[str]:
    """How the store differs from the organisation as it is."""
    return differences(expected_store(runs.sandbox.organisation), actual_store(runs.engine))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("mode", ["continue", "full"])
def test_a_column_that_is_away_keeps_its_values_and_is_filled_when_it_is_back(
    world_runs: SyncRuns, world: Organisation, way: Callable[[Organisation], None], mode: Any
) -> None:
    """Changed, new and untouched rows; by id, since no version of theirs will move again."""
    world_runs.run()
    known = world.rows("contacts")[0]["contactid"]
    later(world)
    way(world)
    world.update("contacts", known, {"jobtitle": "Owner"})
    world.create("contacts", {"lastname": "Byron 9", "emailaddress1": "9@example.com"})
    later(world)
    world_runs.run(mode)
    assert emails(world_runs) == [*(f"{number}@example.com" for number in range(5)), None]
    later(world)
    world.restore_column("contacts", "emailaddress1")
    world_runs.run()

    assert emails(world_runs)[-1] == "9@example.com"
    assert drift(world_runs) == []


def test_rows_that_lack_a_column_are_asked_for_by_id(
    world_runs: SyncRuns, world: Organisation
) -> None:
    """A table of a million rows is not read again for the few that changed meanwhile."""
    world_runs.run()
    later(world)
    world.secure_column("contacts", "emailaddress1")
    world.create("contacts", {"lastname": "Byron 9", "emailaddress1": "9@example.com"})
    world_runs.run()
    later(world)
    world.restore_column("contacts", "emailaddress1")
    world_runs.sandbox.requests.clear()
    world_runs.run()

    asked = [request.query for request in world_runs.sandbox.requests.all("/contacts")]
    assert [query for query in asked if "PropertyValues" in query]
    assert not [
        query for query in asked if query.endswith("new_synctomkto") and "filter" not in query
    ]
    assert drift(world_runs) == []


@pytest.mark.parametrize("mode", ["continue", "reconcile"])
def test_a_column_that_was_away_from_the_first_sync_on_is_filled(
    world_runs: SyncRuns, world: Organisation, mode: Any
) -> None:
    """By whatever run comes first when it is back, a comparison of versions as well."""
    world.secure_column("contacts", "emailaddress1")
    world_runs.run()
    later(world)
    world.restore_column("contacts", "emailaddress1")
    world_runs.run(mode)

    assert drift(world_runs) == []


def test_a_column_that_one_metadata_answer_lacks_is_read_all_the_same(
    world_runs: SyncRuns, world: Organisation
) -> None:
    """It is asked for before it is given up."""
    world_runs.run()
    world.leave_out_of_metadata("contacts", "emailaddress1")
    later(world)
    world.update("contacts", world.rows("contacts")[0]["contactid"], {"emailaddress1": "new@x.org"})
    later(world)
    world_runs.run()

    assert "new@x.org" in emails(world_runs)
    assert drift(world_runs) == []


def test_a_run_that_began_before_a_column_came_takes_nothing_from_it(
    world_runs: SyncRuns, world: Organisation
) -> None:
    """It loads after another has filled the column: not null over an equal version."""
    world.drop_column("contacts", "emailaddress1")
    world_runs.run()
    slow = world_runs.begin("full")
    world.restore_column("contacts", "emailaddress1")
    later(world)
    world.create("contacts", {"lastname": "Byron 9", "emailaddress1": "9@example.com"})
    world_runs.extract(slow)
    world_runs.transform(slow)
    world_runs.run()
    world_runs.load(slow)
    later(world)
    world_runs.run()

    assert None not in emails(world_runs)
    assert drift(world_runs) == []


@pytest.mark.parametrize("masked", [False, True], ids=["null", "masked"])
@pytest.mark.parametrize("is_left_out", [False, True], ids=["told", "not told at once"])
def test_a_column_that_is_hidden_while_it_is_read_is_not_taken_for_empty(
    world_runs: SyncRuns, world: Organisation, masked: bool, is_left_out: bool
) -> None:
    """The run fails before it writes; the next one leaves the column out by itself."""
    begun = world_runs.begin()
    world.secure_column("contacts", "emailaddress1", masked=masked)
    if is_left_out:
        world.leave_out_of_metadata("contacts", "emailaddress1")
    world_runs.extract(begun)
    with pytest.raises(ConfigError, match="emailaddress1 came under column security"):
        world_runs.transform(begun)
    world_runs.finish(begun, succeeded=False)
    later(world)
    world_runs.run()
    assert emails(world_runs) == [None] * 5
    world.restore_column("contacts", "emailaddress1")
    later(world)
    world_runs.run()

    assert drift(world_runs) == []


def test_rows_that_a_run_wrote_without_a_column_that_is_just_filled_are_filled_too(
    world_runs: SyncRuns, world: Organisation
) -> None:
    """It loads between the beginning and the end of the run that reads the column for all rows."""
    world.drop_column("contacts", "emailaddress1")
    world_runs.run()
    slow = world_runs.begin("full")
    world.restore_column("contacts", "emailaddress1")
    filling = world_runs.begin()
    world_runs.extract(filling)
    later(world)
    world.create("contacts", {"lastname": "Byron 9", "emailaddress1": "9@example.com"})
    world_runs.extract(slow)
    world_runs.transform(slow)
    world_runs.load(slow)
    world_runs.transform(filling)
    world_runs.load(filling)
    later(world)
    world_runs.run()

    assert drift(world_runs) == []


def test_a_column_that_somebody_took_from_the_store_is_read_again(
    world_runs: SyncRuns, world: Organisation
) -> None:
    """It comes back empty, and no version of a row tells that its value is gone."""
    world_runs.run()
    with world_runs.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE contact DROP COLUMN email")
    later(world)
    world_runs.run()

    assert drift(world_runs) == []


@pytest.fixture
def filtered(world_runs: SyncRuns, world: Organisation) -> SyncRuns:
    """A store in which one contact is left out by an explicit No."""
    world.add_column("contacts", SYNC_FILTER)
    world.update("contacts", world.rows("contacts")[0]["contactid"], {"new_synctomkto": False})
    world_runs.run()
    return world_runs


def test_a_sync_filter_that_disappears_stops_the_run(
    filtered: SyncRuns, world: Organisation
) -> None:
    """Every row would count as synced, the one that was left out on purpose as well."""
    world.drop_column("contacts", "new_synctomkto")
    later(world)

    with pytest.raises(ConfigError, match=r"new_synctomkto of contact.*accept_filter_gone"):
        filtered.run()
    world.restore_column("contacts", "new_synctomkto")
    filtered.run()
    assert len(emails(filtered)) == 4


def test_a_sync_filter_that_is_gone_for_good_is_accepted_once(
    filtered: SyncRuns, world: Organisation
) -> None:
    """From then on every row is synced, and no run asks again."""
    world.drop_column("contacts", "new_synctomkto")
    later(world)
    with pytest.raises(ConfigError, match="mode full"):
        filtered.run(accept_filter_gone=True)
    filtered.run("full", accept_filter_gone=True)
    filtered.run()

    assert len(emails(filtered)) == 5


def test_a_filter_that_was_never_used_may_go(world_runs: SyncRuns, world: Organisation) -> None:
    """Without an explicit No its absence changes nothing."""
    world.add_column("contacts", SYNC_FILTER)
    world_runs.run()
    world.drop_column("contacts", "new_synctomkto")
    later(world)
    world_runs.run()

    assert drift(world_runs) == []


def test_the_time_zone_of_a_day_counts_as_another_reading(engine: Engine, tmp_path: Path) -> None:
    """Close dates that come as instants are filled anew when their zone is another."""
    organisation = Organisation.empty()
    organisation.now = MORNING
    organisation.create("opportunities", {"name": "Pump", "actualclosedate": "2026-02-03"})
    organisation.retype_column(
        "opportunities", "actualclosedate", "DateTime", behaviour="UserLocal"
    )
    days = []
    with Sandbox(organisation) as sandbox:
        for zone in ("UTC", "America/New_York"):
            runs = SyncRuns(sandbox, engine, settings_for_tests(tmp_path, time_zone=zone))
            runs.scheduled_run()
            with engine.connect() as connection:
                query = text("SELECT actual_close_date FROM opportunity")
                days.append(str(connection.scalar(query)))

    assert days == ["2026-02-03", "2026-02-02"]


def test_a_reconciliation_asks_for_rows_that_lack_a_column(
    world_runs: SyncRuns, world: Organisation
) -> None:
    """Their versions are equal to the listed ones, so nothing else would."""
    world_runs.run()
    later(world)
    world.secure_column("contacts", "emailaddress1")
    world.create("contacts", {"lastname": "Byron 9", "emailaddress1": "9@example.com"})
    world_runs.run()
    later(world)
    world.restore_column("contacts", "emailaddress1")
    world_runs.run("reconcile")

    assert drift(world_runs) == []
