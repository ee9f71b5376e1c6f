"""An entity is data: `lead`, which the product does not know, is synced like those that it knows.

All that it takes stands here: the entity, a model with it, and the table of the organisation that
it is read from. Its sync filter is a fact and a column of its own, so that a name which only the
other entities have can hide nowhere.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from dynamics_sandbox import TABLES, Attribute, Organisation, Sandbox, Table
from opportunity_sync.errors import ConfigError
from opportunity_sync.model import (
    CREATED_SOURCE,
    DEFAULT_MODEL,
    MODIFIED_SOURCE,
    Entity,
    Field,
    Kind,
    Model,
)
from opportunity_sync.pipeline.preview import preview
from oracle import actual_store, differences, expected_store
from organisations import without_tracking
from store_dumps import dump
from sync_runs import SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

LEAD = Entity(
    name="lead",
    privilege="prvReadLead",
    set_name="leads",
    key="leadid",
    key_column="lead_id",
    fields=(
        Field("topic", "subject"),
        Field("rating", "leadqualitycode", Kind.CHOICE),
        Field("parent_account", "parentaccountid", Kind.LOOKUP),
        Field("expected_close_date", "estimatedclosedate", Kind.DATE),
        Field("owner", "ownerid", Kind.LOOKUP, polymorphic=True, always_stands=True),
        Field("created_at", CREATED_SOURCE, Kind.INSTANT, always_stands=True),
        Field("modified_at", MODIFIED_SOURCE, Kind.INSTANT, always_stands=True),
    ),
    facts=(Field("is_wanted", "new_wantlead", Kind.BOOLEAN, optional=True),),
    read_by="extract_leads",
    sync_filter="is_wanted",
)
MODEL = Model((*DEFAULT_MODEL, LEAD))

RATINGS = {1: "Hot", 2: "Warm", 3: "Cold"}
LEADS = Table(
    "lead",
    "leads",
    key="leadid",
    primary_name="subject",
    object_type_code=4,
    attributes={
        attribute.name: attribute
        for attribute in (
            Attribute("leadid", "Uniqueidentifier"),
            Attribute("subject", "String", max_length=300),
            Attribute("leadqualitycode", "Picklist", options=RATINGS),
            Attribute("industrycode", "Picklist", options={1: "Accounting", 2: "Consulting"}),
            Attribute("parentaccountid", "Lookup", targets=("account",)),
            Attribute("estimatedclosedate", "DateTime", behaviour="DateOnly"),
            Attribute("new_wantlead", "Boolean", options={0: "No", 1: "Yes"}),
            Attribute("ownerid", "Owner", targets=("systemuser", "team")),
            Attribute("createdon", "DateTime"),
            Attribute("modifiedon", "DateTime"),
            Attribute("versionnumber", "BigInt"),
        )
    },
)

MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)
TRACKING, WINDOWS = "change tracking", "windows"
BOTH_WAYS = pytest.mark.parametrize("world", [TRACKING, WINDOWS], indirect=True)


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Organisation:
    """An opportunity with its contact and account, and two leads beside them; read by windows.

    A test can ask for change tracking instead.
    """
    empty = Organisation({**TABLES, LEADS.set_name: LEADS})
    is_tracked = getattr(request, "param", WINDOWS) == TRACKING
    organisation = empty if is_tracked else without_tracking(empty)
    organisation.now = MORNING
    account = organisation.create("accounts", {"name": "Analytical Engines"})
    contact = organisation.create(
        "contacts", {"lastname": "Byron", "_parentcustomerid_value": account}
    )
    organisation.create("opportunities", {"name": "Engine", "_customerid_value": contact})
    a_lead(
        organisation,
        "Pumps",
        leadqualitycode=1,
        _parentaccountid_value=account,
        estimatedclosedate="2026-05-01",
        industrycode=2,
    )
    a_lead(organisation, "Valves")
    later(organisation)
    return organisation


@pytest.fixture
def runs(world: Organisation, empty_engine: Engine, tmp_path: Path) -> Iterator[SyncRuns]:
    """Runs of the model with leads."""
    (tmp_path / "fields.toml").touch()
    settings = settings_for_tests(
        tmp_path, overlap_minutes=0, fields=str(tmp_path / "fields.toml"), page_size=3
    )
    with Sandbox(world) as sandbox:
        yield SyncRuns(sandbox, empty_engine, settings, model=MODEL)


def a_lead(organisation: Organisation, topic: str, **values: Any) -> str:
    """A lead owned by somebody."""
    owner = "00000000-0000-4000-8000-000000000001"
    return organisation.create("leads", {"subject": topic, "_ownerid_value": owner, **values})


def lead_of(world: Organisation, topic: str) -> dict[str, Any]:
    """A lead as the organisation has it."""
    return next(row for row in world.rows("leads") if row["subject"] == topic)


def change(world: Organisation, topic: str, **values: Any) -> None:
    """Change a lead, some time after all that was before."""
    later(world)
    world.update("leads", lead_of(world, topic)["leadid"], values)
    later(world)


def later(organisation: Organisation) -> None:
    """Time passes."""
    organisation.now = organisation.now + timedelta(minutes=20)


def stored_leads(runs: SyncRuns) -> dict[str, dict[str, Any]]:
    """The rows of the store by topic, times and dates in ISO 8601."""
    with runs.engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM lead")).mappings().all()
    return {row["topic"]: {name: plain(value) for name, value in row.items()} for row in rows}


def plain(value: Any) -> Any:
    """A value of either database in the words of SQLite."""
    is_time = isinstance(value, date)
    return value.isoformat().replace("+00:00", "Z") if is_time else value


def topics(runs: SyncRuns) -> list[str]:
    """What the leads that are alive in the store are about."""
    return sorted(topic for topic, row in stored_leads(runs).items() if not row["is_deleted"])


def counted(runs: SyncRuns) -> dict[str, int]:
    """What the last run did to leads, as it is recorded: without what is none."""
    with runs.engine.connect() as connection:
        query = "SELECT * FROM sync_run_entity WHERE entity = 'lead' AND run_id = :run_id"
        rows = connection.execute(text(query), {"run_id": f"run-{runs.count}"}).mappings()
        [row] = [dict(row) for row in rows]
    return {name: value for name, value in row.items() if isinstance(value, int) and value}


def drift(runs: SyncRuns) -> list[str]:
    """How the store differs from the organisation in all but the leads."""
    return differences(expected_store(runs.sandbox.organisation), actual_store(runs.engine))


def test_leads_arrive_typed_and_with_labels(runs: SyncRuns, world: Organisation) -> None:
    """Beside the opportunities, whose associations are as ever."""
    runs.run()
    source, row = lead_of(world, "Pumps"), stored_leads(runs)["Pumps"]

    expected = {
        "lead_id": source["leadid"],
        "version_number": source["versionnumber"],
        "topic": "Pumps",
        "rating_code": 1,
        "rating_label": "Hot",
        "parent_account_id": world.rows("accounts")[0]["accountid"],
        "expected_close_date": "2026-05-01",
        "owner_id": "00000000-0000-4000-8000-000000000001",
        "owner_type": "systemuser",
        "created_at": "2026-03-01T08:00:00Z",
        "modified_at": "2026-03-01T08:00:00Z",
        "is_deleted": False,
        "deleted_at": None,
        "synced_at": row["synced_at"],
        "revision": 1,
    }
    assert expected == row
    assert topics(runs) == ["Pumps", "Valves"]
    assert counted(runs) == {"read": 2, "inserted": 2}
    assert drift(runs) == []


@BOTH_WAYS
def test_changes_of_leads_follow(runs: SyncRuns, world: Organisation) -> None:
    """The next scheduled run brings what changed and what is new, and then finds nothing."""
    runs.run()
    change(world, "Pumps", leadqualitycode=3, estimatedclosedate=None)
    a_lead(world, "Pipes")
    later(world)
    runs.run()
    pumps = stored_leads(runs)["Pumps"]

    assert [pumps[name] for name in ("rating_code", "rating_label", "expected_close_date")] == [
        3,
        "Cold",
        None,
    ]
    assert topics(runs) == ["Pipes", "Pumps", "Valves"]
    assert counted(runs) == {"read": 2, "inserted": 1, "updated": 1}
    before = dump(runs.engine)
    assert runs.run()["changed"] == 0
    assert dump(runs.engine) == before


@pytest.mark.parametrize(
    ("world", "mode"), [(TRACKING, "continue"), (WINDOWS, "reconcile")], indirect=["world"]
)
def test_a_deleted_lead_is_marked_and_comes_back_to_life(
    runs: SyncRuns, world: Organisation, mode: Any
) -> None:
    """By a scheduled run where changes are tracked, else by a reconciliation; the row is kept."""
    runs.run()
    valves = lead_of(world, "Valves")["leadid"]
    later(world)
    world.delete("leads", valves)
    later(world)
    runs.run(mode)
    row = stored_leads(runs)["Valves"]

    assert row["is_deleted"]
    assert row["deleted_at"] is not None
    assert topics(runs) == ["Pumps"]
    assert counted(runs)["deleted"] == 1
    world.restore("leads", valves)
    later(world)
    runs.run(mode)
    assert topics(runs) == ["Pumps", "Valves"]


def test_the_sync_filter_of_leads_is_their_own(runs: SyncRuns, world: Organisation) -> None:
    """An explicit No leaves out; one that comes later stops the row; Yes brings what there is."""
    a_lead(world, "Pipes", new_wantlead=False)
    later(world)
    runs.run()
    assert topics(runs) == ["Pumps", "Valves"]
    assert counted(runs) == {"read": 3, "inserted": 2, "filtered": 1}
    change(world, "Pumps", new_wantlead=False, leadqualitycode=2)
    change(world, "Pipes", new_wantlead=True)
    runs.run()

    assert topics(runs) == ["Pipes", "Pumps", "Valves"]
    assert stored_leads(runs)["Pumps"]["rating_label"] == "Hot"
    assert counted(runs) == {"read": 2, "inserted": 1, "filtered": 1}


def test_a_sync_filter_of_leads_that_is_gone_is_named_and_can_be_accepted(
    runs: SyncRuns, world: Organisation
) -> None:
    """By the column that leads have for it."""
    a_lead(world, "Pipes", new_wantlead=False)
    later(world)
    runs.run()
    world.drop_column("leads", "new_wantlead")
    later(world)

    with pytest.raises(ConfigError, match="sync filter new_wantlead of lead is not there"):
        runs.run()
    runs.run("full", accept_filter_gone=True)
    runs.run()
    assert topics(runs) == ["Pipes", "Pumps", "Valves"]


def test_reconciliation_mends_leads_that_no_window_shows(
    runs: SyncRuns, world: Organisation
) -> None:
    """One that was changed, and one that was made, with a time long past."""
    runs.run()
    past = "2020-01-01T00:00:00Z"
    world.update(
        "leads", lead_of(world, "Pumps")["leadid"], {"leadqualitycode": 2}, modified_at=past
    )
    world.create("leads", {"subject": "Late"}, modified_at=past)
    later(world)
    runs.run()
    assert topics(runs) == ["Pumps", "Valves"]
    runs.run("reconcile")

    assert topics(runs) == ["Late", "Pumps", "Valves"]
    assert stored_leads(runs)["Pumps"]["rating_label"] == "Warm"
    assert counted(runs) == {"read": 2, "inserted": 1, "updated": 1, "compared": 3}


@BOTH_WAYS
def test_a_quick_sync_fills_a_newly_selected_field_of_leads(
    runs: SyncRuns, world: Organisation, tmp_path: Path
) -> None:
    """The fields file has a table for leads, and the column is made like any other."""
    runs.run()
    (tmp_path / "fields.toml").write_text(
        '[lead]\nwithout = ["rating"]\n[lead.fields]\nindustry = "industrycode"\n'
    )
    later(world)
    runs.run()
    assert stored_leads(runs)["Pumps"]["industry_code"] is None
    filled = runs.quick_sync()
    pumps = stored_leads(runs)["Pumps"]

    assert filled == {"changed": 1, "tables": {"lead": 1}}
    assert (pumps["industry_code"], pumps["industry_label"]) == (2, "Consulting")
    assert pumps["rating_label"] == "Hot"
    assert counted(runs) == {"read": 2, "updated": 1, "unchanged": 1}


def test_leads_that_cannot_be_taken_are_listed(runs: SyncRuns, world: Organisation) -> None:
    """The others are loaded, and a reconciliation brings the listed one when it has been mended."""
    valves = lead_of(world, "Valves")["leadid"]
    world.garble("leads", valves, {"modifiedon": "0000-01-01"})
    runs.run()
    with runs.engine.connect() as connection:
        query = text("SELECT entity, record_id, field, task_id FROM refused_row")
        listed = [tuple(row) for row in connection.execute(query)]

    assert [("lead", valves, "modifiedon", "extract_leads")] == listed
    assert topics(runs) == ["Pumps"]
    assert counted(runs) == {"read": 2, "inserted": 1, "refused": 1}
    world.mend("leads", valves)
    runs.run("reconcile")
    assert topics(runs) == ["Pumps", "Valves"]


def test_an_option_of_leads_that_is_renamed_is_renamed_in_the_store(
    runs: SyncRuns, world: Organisation
) -> None:
    """No row of Dynamics changes by it."""
    runs.run()
    renamed = replace(LEADS.attributes["leadqualitycode"], options={**RATINGS, 1: "Boiling"})
    world.add_column("leads", renamed)
    later(world)
    runs.run()

    assert stored_leads(runs)["Pumps"]["rating_label"] == "Boiling"
    assert counted(runs) == {"rewritten": 1}


def test_a_preview_tells_what_would_become_of_leads(runs: SyncRuns, tmp_path: Path) -> None:
    """With the other tables, before there is a store."""
    (tmp_path / "fields.toml").write_text(
        '[lead]\nwithout = ["rating"]\n[lead.fields]\nindustry = "industrycode"\nsize = "size"\n'
    )
    with runs.client() as client:
        changes = preview(client, runs.engine, settings=runs.settings, default=MODEL)
    *_, lead = changes

    assert [each.entity for each in changes] == ["opportunity", "contact", "account", "lead"]
    assert lead.added == (
        "topic",
        "parent_account_id",
        "expected_close_date",
        "industry_code",
        "industry_label",
    )
    assert [line.partition(":")[0] for line in lead.left_out] == ["size"]


def test_leads_come_into_a_store_that_has_been_in_use_without_them(
    runs: SyncRuns, world: Organisation
) -> None:
    """The next scheduled run makes their tables, reads them whole, and leaves the rest alone."""
    runs.model = DEFAULT_MODEL
    runs.run()
    before = actual_store(runs.engine)
    runs.model = MODEL
    later(world)
    runs.run()

    assert topics(runs) == ["Pumps", "Valves"]
    assert counted(runs) == {"read": 2, "inserted": 2}
    assert actual_store(runs.engine) == before


def test_a_preview_is_told_of_a_store_that_has_been_in_use_without_leads(runs: SyncRuns) -> None:
    """Before their tables are made, none of their rows is there to be filled."""
    runs.model = DEFAULT_MODEL
    runs.run()

    with runs.client() as client:
        told = preview(client, runs.engine, settings=runs.settings, default=MODEL)

    leads = next(change for change in told if change.entity == "lead")
    assert (leads.to_fill, leads.rows, leads.requests) == ((), 0, 0)


def test_a_table_of_leads_that_somebody_else_made_is_left_alone(runs: SyncRuns) -> None:
    """The first run says so, and makes nothing."""
    with runs.engine.begin() as connection:
        connection.execute(text("CREATE TABLE lead (metal text)"))

    with pytest.raises(ConfigError, match="a table lead that the pipeline did not make"):
        runs.run()
    assert list(dump(runs.engine)) == ["lead"]
