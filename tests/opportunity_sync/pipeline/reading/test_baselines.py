"""A table is read by what the store has of it: whole, by what changed, or by a window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import insert

from opportunity_sync.dynamics import Plan
from opportunity_sync.model import CONNECTION_ROLE, CONTACT, DEFAULT_MODEL
from opportunity_sync.pipeline.reading.baselines import OWED_AT_ONCE, Findings, baseline
from opportunity_sync.pipeline.run import Baseline, Link, RunRequest, Window
from opportunity_sync.store import StoreState
from opportunity_sync.store.books.state import DeltaLink
from opportunity_sync.store.schema.tables import owed_column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from opportunity_sync.model import Entity
    from opportunity_sync.pipeline.run import Mode

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
OVERLAP = timedelta(minutes=10)
URL = "https://example.crm.dynamics.com"
LINK = f"{URL}/api/data/v9.2/contacts?$deltatoken=1"
PLAN = Plan.complete(DEFAULT_MODEL)
ALL_COLUMNS = PLAN.of(CONTACT).interpretations(CONTACT)


@pytest.fixture
def connection(sqlite_engine: Engine) -> Iterator[Connection]:
    """A store without rows, which tells what is owed of contacts."""
    with sqlite_engine.begin() as connection:
        yield connection


def a_state(**known: Any) -> StoreState:
    """A store that holds contacts as they are read now, up to noon."""
    given: dict[str, Any] = {
        "organization_id": "o",
        "revision": 1,
        "watermarks": {"contact": NOON},
        "columns": {"contact": ALL_COLUMNS},
    }
    return StoreState(**given | known)


def linked(url: str = LINK, columns: dict[str, str] = ALL_COLUMNS, **known: Any) -> StoreState:
    """The same, with a link of change tracking."""
    links = {"delta_links": {"contact": url}, "link_columns": {"contact": columns}}
    return a_state(**links | known)


def read(
    connection: Connection,
    state: StoreState,
    *,
    mode: Mode = "continue",
    entity: Entity = CONTACT,
    sees_all: bool | None = None,
) -> Baseline:
    """How a run reads a table; `sees_all` None: the table is not tracked."""
    tracked = msgspec.structs.replace(
        PLAN.of(entity), change_tracking_enabled=sees_all is not None, reads_every_row=sees_all
    )
    bounds = {"window_start": NOON, "window_end": NOON + OVERLAP}
    window: dict[str, Any] = bounds if mode == "range" else {}
    found = Findings(
        request=RunRequest("a_dag", "a_run", mode, **window),
        plan=msgspec.structs.replace(PLAN, entities=PLAN.entities | {entity.name: tracked}),
        state=state,
        organization_url=URL,
        started_at=NOON,
        latest=NOON,
        model=DEFAULT_MODEL,
    )
    return baseline(connection, found, entity, overlap=OVERLAP)


def less_columns(*names: str) -> dict[str, str]:
    """All columns of contacts but these."""
    return {name: how for name, how in ALL_COLUMNS.items() if name not in names}


def test_a_table_that_is_held_is_read_from_its_watermark_on(connection: Connection) -> None:
    """Nothing waits, and nothing must be read whole."""
    assert read(connection, a_state()) == Baseline(window=Window(NOON - OVERLAP))


@pytest.mark.parametrize(
    "known",
    [
        {"watermarks": {}},
        {"columns": {}},
        {"columns": {"contact": None}},
        {"columns": {"contact": less_columns("parent")}},
        {"columns": {"contact": ALL_COLUMNS | {"modified_at": "another way"}}},
    ],
    ids=["never read", "no columns", "columns unknown", "no rule column", "another reading"],
)
def test_a_table_that_lacks_what_the_rules_need_is_read_whole(
    connection: Connection, known: dict[str, Any]
) -> None:
    """And then nothing waits for a quick sync: the run brings all of it."""
    found = read(connection, a_state(**known))

    assert found == Baseline(window=Window(), is_read_whole=True)


def test_a_selected_field_that_the_rows_lack_waits(connection: Connection) -> None:
    """The table is not read whole for it; it is asked for until a quick sync has begun."""
    lacking = a_state(columns={"contact": less_columns("email", "phone")})
    found = read(connection, lacking)
    assert (found.window, found.is_read_whole) == (Window(NOON - OVERLAP), False)
    assert (found.waiting, found.unasked) == (("email", "phone"), ("email", "phone"))

    begun = a_state(
        columns={"contact": less_columns("email", "phone")}, fill_begun={"contact": {"email": ""}}
    )
    found = read(connection, begun)
    assert (found.waiting, found.unasked) == (("email", "phone"), ("phone",))


@pytest.mark.parametrize(("owed", "waits"), [(OWED_AT_ONCE, False), (OWED_AT_ONCE + 1, True)])
def test_a_field_that_many_rows_owe_waits_as_well(
    connection: Connection, owed: int, waits: bool
) -> None:
    """By id they would cost more than a quick sync; a few are asked for by id."""
    rows = [
        {"entity": "contact", "record_id": f"{number:036}", "column_name": "email"}
        for number in range(owed)
    ]
    connection.execute(insert(owed_column), rows)

    assert read(connection, a_state()).waiting == (("email",) if waits else ())


def test_a_tracked_table_is_followed_by_its_link(connection: Connection) -> None:
    """With the fields that the link gives and that can be read."""
    given = less_columns("phone") | {"a_dropped_one": ""}
    found = read(connection, linked(columns=given), sees_all=True)

    assert (found.is_tracked, found.stored_link) == (True, LINK)
    assert found.link == Link(LINK, less_columns("phone"))
    assert found.waiting == ("phone",)


@pytest.mark.parametrize(
    "state",
    [
        linked(url="https://elsewhere.example/api/data/v9.2/contacts?$deltatoken=1"),
        linked(url=f"{URL}/contacts?$deltatoken=1"),
        linked(url=f" {LINK}"),
        linked(columns=less_columns("parent")),
        linked(columns=less_columns("modified_at")),
    ],
    ids=[
        "of another address",
        "of another path",
        "with a blank",
        "without a rule column",
        "without a standing column",
    ],
)
def test_a_link_that_is_of_no_use_is_dropped(connection: Connection, state: StoreState) -> None:
    """A whole pass brings a new one; the stored one is known, so that it can be replaced."""
    found = read(connection, state, sees_all=True)

    assert (found.link, found.is_tracked) == (None, True)
    assert found.stored_link == state.delta_links["contact"]


def test_a_table_that_waits_has_no_whole_pass_beside_the_running_sync(
    connection: Connection,
) -> None:
    """The quick sync makes one, and leaves a link behind."""
    lacking = {"contact": less_columns("email")}
    assert not read(connection, a_state(columns=lacking), sees_all=True).is_tracked
    assert read(connection, a_state(), sees_all=True).is_tracked

    offered = a_state(
        columns=lacking, offered={"contact": DeltaLink(LINK, ALL_COLUMNS, is_whole=True)}
    )
    found = read(connection, offered, sees_all=True)
    assert (found.is_tracked, found.offered) == (True, Link(LINK, ALL_COLUMNS))


@pytest.mark.parametrize(
    ("mode", "sees_all", "is_tracked"),
    [
        ("continue", True, True),
        ("full", True, True),
        ("range", True, False),
        ("reconcile", True, False),
        ("continue", False, False),
        ("full", None, False),
    ],
)
def test_tracking_is_for_runs_that_go_on_and_users_who_see_everything(
    connection: Connection, mode: Mode, sees_all: bool | None, is_tracked: bool
) -> None:
    """A link shows only what the user sees, and a range is no place to go on from."""
    found = read(connection, linked(), mode=mode, sees_all=sees_all)

    assert found.is_tracked == is_tracked
    assert (found.link is not None) == (is_tracked and mode == "continue")


def test_a_handful_of_rows_is_never_tracked(connection: Connection) -> None:
    """Connection roles are read whole each time."""
    columns = {"connectionrole": PLAN.of(CONNECTION_ROLE).interpretations(CONNECTION_ROLE)}
    state = a_state(watermarks={"connectionrole": NOON}, columns=columns)

    found = read(connection, state, entity=CONNECTION_ROLE, sees_all=True)

    assert found == Baseline(window=Window())
