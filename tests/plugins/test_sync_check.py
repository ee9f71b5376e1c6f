"""The check outside of its items: what is opened, kept and printed, and when a run is red."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from opportunity_sync.check.items import Item
from opportunity_sync.store import migrate
from opportunity_sync.store.schema.tables import sync_check as kept
from sync_check import (
    CheckFailedError,
    gather,
    judge,
    keep_in_airflow,
    keep_in_store,
    sightings_of,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine

    from dynamics_sandbox import Sandbox

    GiveConnection = Callable[[str, dict[str, Any]], None]

MOMENT = datetime(2026, 11, 26, 5, 30, tzinfo=UTC)
GOOD = Item("dynamics.token", "passed", "A token?", "Yes.")
OPEN = Item("airflow.pool", "unknown", "A pool?", "Not seen.", "trigger it", "airflow.pool")
BAD = Item("dynamics.clock", "failed", "In time?", "600 s.", "set it", "dynamics.clock_skew")
SCHEMA = Item("store.schema", "passed", "Up to date?", "Yes.")


class Values(dict[str, Any]):
    """Where values are kept by key, as Airflow's state store does."""

    set = dict.__setitem__


def test_without_connections_the_check_says_so(tmp_path: Path) -> None:
    """Both items have failed, and what can be asked without them is."""
    items = {item.name: item for item in gather()}

    assert items["airflow.connection.dynamics"].code == "airflow.connections"
    assert items["airflow.connection.store"].code == "airflow.connections"
    assert items["fields.file"].state == "passed"
    assert list(tmp_path.iterdir()) == []


def test_a_setting_with_a_fault_is_the_only_item(monkeypatch: pytest.MonkeyPatch) -> None:
    """All else rests on the settings."""
    monkeypatch.setenv("OPPORTUNITY_SYNC_PAGE_SIZE", "many")

    [item] = gather()

    assert (item.state, item.code) == ("failed", "airflow.settings")


def test_a_store_that_cannot_be_opened_does_not_hide_dynamics(
    sandbox: Sandbox, give_connection: GiveConnection
) -> None:
    """Each end is asked by itself."""
    give_connection("dynamics_default", sandbox.connection())
    give_connection("marketo_store", {"conn_type": "mysql", "host": "db"})

    items = {item.name: item.state for item in gather()}

    assert items["airflow.connection.store"] == "failed"
    assert items["dynamics.token"] == "passed"


def test_the_result_replaces_the_one_before_in_the_store(
    sandbox: Sandbox, give_connection: GiveConnection, sqlite_engine: Engine
) -> None:
    """In the order of the items, with the moment of the check."""
    give_connection("dynamics_default", sandbox.connection())
    store = {"conn_type": "sqlite", "host": sqlite_engine.url.database}
    give_connection("marketo_store", store)
    migrate(sqlite_engine)
    for items in ([BAD, SCHEMA], [SCHEMA, OPEN]):
        keep_in_store(items, moment=MOMENT)

    with sqlite_engine.connect() as connection:
        rows = connection.execute(select(kept).order_by(kept.c.position)).all()

    assert [(row.position, row.name, row.code) for row in rows] == [
        (1, "store.schema", None),
        (2, "airflow.pool", "airflow.pool"),
    ]
    assert {row.checked_at for row in rows} == {MOMENT}


def test_airflow_keeps_the_result_in_the_shape_of_the_page() -> None:
    """So a page can show it on the day on which the store is what is broken."""
    values = Values()
    keep_in_airflow([BAD], values, moment=MOMENT)

    assert values["check"] == {
        "checked_at": "2026-11-26T05:30:00Z",
        "items": [
            {
                "name": "dynamics.clock",
                "state": "failed",
                "asked": "In time?",
                "found": "600 s.",
                "next_step": "set it",
                "code": "dynamics.clock_skew",
            }
        ],
    }


def test_what_failed_is_told_first_with_what_to_do() -> None:
    """Somebody called at night reads the first line."""
    lines = [" ".join(line.split()) for line in table([GOOD, OPEN, BAD])]

    assert lines == [
        "failed dynamics.clock 600 s.",
        "dynamics.clock_skew Next step: set it",
        "unknown airflow.pool Not seen.",
        "airflow.pool Next step: trigger it",
        "passed dynamics.token Yes.",
    ]


def test_a_check_with_a_failed_item_is_red() -> None:
    """What can't be decided is not: nobody could make it green."""
    assert judge([GOOD, OPEN]) == {"passed": 1, "failed": 0, "unknown": 1}
    with pytest.raises(CheckFailedError, match=r"1 of 3 .* dynamics.clock \(dynamics.clock_skew\)"):
        judge([GOOD, OPEN, BAD])


def test_workers_that_were_not_asked_are_left_out() -> None:
    """Where the file could not be written there is nothing to look for."""
    told = {"host": "one", "is_seen": True}

    assert [each.host for each in sightings_of([told, None])] == ["one"]
