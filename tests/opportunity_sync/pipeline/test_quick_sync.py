"""A newly selected field comes into old rows beside the running sync, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from dynamics_sandbox import Organisation, Sandbox
from dynamics_sandbox.schema.attribute import Attribute
from opportunity_sync.errors import (
    ConfigError,
    StagingError,
    StoreUnavailableError,
    WrongOrganizationError,
)
from opportunity_sync.pipeline import ending
from opportunity_sync.pipeline.erasing import erase
from opportunity_sync.pipeline.extraction import extract
from oracle import actual_store, differences, expected_store
from organisations import without_tracking
from sync_runs import QUICK_SYNC, SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)
WITHOUT = '[contact]\nwithout = ["job_title"]\n'
PEOPLE = 7
STRANGER = "99999999-9999-4999-8999-999999999999"


@pytest.fixture
def engine(ground: tuple[bool, Engine]) -> Engine:
    """The store of each way of reading."""
    return ground[1]


@pytest.fixture
def world(ground: tuple[bool, Engine]) -> Organisation:
    """Seven contacts with job titles, with and without change tracking."""
    empty = Organisation.empty()
    organisation = empty if ground[0] else without_tracking(empty)
    organisation.now = MORNING
    for number in range(PEOPLE):
        row = {"lastname": f"Byron {number}", "jobtitle": f"title {number}"}
        organisation.create("contacts", row)
    later(organisation)
    return organisation


@pytest.fixture
def fields_file(tmp_path: Path) -> Path:
    """The deployment's selection, which lacks the job title to begin with."""
    path = tmp_path / "fields.toml"
    path.write_text(WITHOUT)
    return path


@pytest.fixture
def runs(
    world: Organisation, engine: Engine, tmp_path: Path, fields_file: Path
) -> Iterator[SyncRuns]:
    """Runs that have brought everything once, without the job title."""
    settings = settings_for_tests(tmp_path, overlap_minutes=0, fields=str(fields_file), page_size=3)
    with Sandbox(world) as sandbox:
        runs = SyncRuns(sandbox, engine, settings)
        runs.run()
        yield runs


def select_job_title(fields_file: Path) -> None:
    """Select it, as the default selection does."""
    fields_file.write_text("")


def later(organisation: Organisation, minutes: int = 20) -> None:
    """Time passes."""
    organisation.now = organisation.now + timedelta(minutes=minutes)


def titles(runs: SyncRuns) -> list[str | None]:
    """The job titles in the store, by name."""
    with runs.engine.connect() as connection:
        query = text("SELECT job_title FROM contact WHERE NOT is_deleted ORDER BY last_name")
        return list(connection.scalars(query))


def contact_of(world: Organisation, number: int) -> str:
    """The id of a contact by its place."""
    return next(
        str(row["contactid"])
        for row in world.rows("contacts")
        if row["lastname"] == f"Byron {number}"
    )


def drift(runs: SyncRuns) -> list[str]:
    """How the store differs from the organisation as it is."""
    return differences(expected_store(runs.sandbox.organisation), actual_store(runs.engine))


def whole_reads(runs: SyncRuns) -> list[str]:
    """Requests that began to read all contacts."""
    others = ("filter", "skiptoken", "deltatoken", "$top=", "PropertyValues")
    queries = (request.query for request in runs.sandbox.requests.all("/contacts"))
    return [query for query in queries if not any(other in query for other in others)]


def test_a_new_field_is_made_by_the_next_run_and_filled_by_a_quick_sync(
    runs: SyncRuns, world: Organisation, fields_file: Path
) -> None:
    """The scheduled run brings it with rows that change, and reads no table whole for it."""
    select_job_title(fields_file)
    later(world)
    world.update("contacts", contact_of(world, 0), {"jobtitle": "changed"})
    runs.sandbox.requests.clear()
    runs.run()
    assert whole_reads(runs) == []
    later(world)
    runs.run()
    assert titles(runs) == ["changed", *[None] * (PEOPLE - 1)]
    filled = runs.quick_sync()

    assert filled == {"changed": PEOPLE - 1, "tables": {"contact": PEOPLE - 1}}
    assert drift(runs) == []


def test_a_quick_sync_that_finds_nothing_to_fill_changes_nothing(
    runs: SyncRuns, world: Organisation, fields_file: Path
) -> None:
    """Started twice it fills once."""
    select_job_title(fields_file)
    later(world)
    runs.run()
    runs.quick_sync()
    runs.sandbox.requests.clear()
    assert runs.quick_sync() == {"changed": 0, "tables": {}}
    assert whole_reads(runs) == []


def test_it_is_asked_for_once_for_each_selection(
    runs: SyncRuns, world: Organisation, fields_file: Path
) -> None:
    """By every run until a quick sync has begun; one that fails waits for a person."""
    select_job_title(fields_file)
    later(world)
    assert runs.begin()["to_fill"] == ["contact.job_title"]
    assert runs.begin()["to_fill"] == ["contact.job_title"]
    begun = runs.begin("fill")
    assert begun["to_fill"] == []
    runs.finish(begun, succeeded=False)
    assert runs.begin()["to_fill"] == []


def test_one_that_failed_before_it_had_begun_waits_for_a_person_as_well(
    runs: SyncRuns, world: Organisation, fields_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever keeps it from beginning would keep it again in five minutes; a new selection may."""
    select_job_title(fields_file)
    later(world)
    assert runs.begin()["to_fill"] == ["contact.job_title"]
    ending.record_failed_begin(
        runs.engine,
        QUICK_SYNC,
        "by itself",
        settings=runs.settings,
        error="begin: PrivilegeError: It may not.",
        error_code="PrivilegeError",
        mode="fill",
        started_at=world.now,
    )

    assert runs.begin()["to_fill"] == []
    assert "is not started again by itself: begin: PrivilegeError: It may not." in caplog.text

    later(world)
    fields_file.write_text('[contact]\nwithout = ["phone"]\n')
    assert runs.begin()["to_fill"] == ["contact.job_title"]


def test_three_scheduled_runs_beside_a_quick_sync_leave_nothing_out(
    runs: SyncRuns, world: Organisation, fields_file: Path
) -> None:
    """Changes ahead of, at and behind its cursor, new, deleted and back-dated rows."""
    select_job_title(fields_file)
    later(world)
    runs.run()
    filling = runs.begin("fill")
    for step in range(3):
        later(world)
        world.update("contacts", contact_of(world, 2 * step), {"jobtitle": f"step {step}"})
        world.create("contacts", {"lastname": f"New {step}", "jobtitle": f"new {step}"})
        if step == 0:
            runs.run()
            runs.extract(filling)
        else:
            runs.run()
    world.delete("contacts", contact_of(world, 1))
    late = {"lastname": "Late", "jobtitle": "late", "overriddencreatedon": "2020-01-01T00:00:00Z"}
    world.create("contacts", late)
    later(world)
    runs.fill(filling)
    runs.finish(filling)
    later(world)
    runs.run()
    later(world)
    runs.run()
    runs.run("reconcile")

    assert drift(runs) == []


@pytest.mark.parametrize("mode", ["full", "range"])
def test_an_older_plan_that_loads_meanwhile_leaves_no_row_without_the_field(
    runs: SyncRuns, world: Organisation, fields_file: Path, mode: Any
) -> None:
    """Its rows owe what it did not read."""
    window = (MORNING - timedelta(days=1), MORNING + timedelta(days=1)) if mode == "range" else ()
    later(world)
    world.update("contacts", contact_of(world, 0), {"jobtitle": "changed"})
    world.create("contacts", {"lastname": "New", "jobtitle": "new"})
    slow = runs.begin(mode, *window)
    select_job_title(fields_file)
    runs.run()
    runs.extract(slow)
    runs.transform(slow)
    filling = runs.begin("fill")
    runs.extract(filling)
    runs.load(slow)
    runs.fill(filling)
    runs.finish(filling)
    later(world)
    runs.run()

    assert drift(runs) == []


def create_won_at_night(organisation: Organisation) -> str:
    """An opportunity that was won on the third in UTC, and on the fourth in Berlin."""
    organisation.retype_column(
        "opportunities", "actualclosedate", "DateTime", behaviour="UserLocal"
    )
    instant = {"actualclosedate": "2026-02-03T23:00:00Z"}
    return organisation.create("opportunities", {"name": "Won", **instant})


def closing_day(runs: SyncRuns, opportunity_id: str) -> str:
    """The day on which the store says that it was won."""
    query = text("SELECT actual_close_date FROM opportunity WHERE opportunity_id = :won")
    with runs.engine.connect() as connection:
        return str(connection.scalar(query, {"won": opportunity_id}))


def test_a_run_that_reads_a_field_otherwise_meanwhile_lets_it_be_filled_again(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """It began under the time zone of before, and loads while days of the new one are filled."""
    won = create_won_at_night(organisation)
    in_utc = sqlite_runs.settings.model_copy(update={"time_zone": "UTC"})
    in_berlin = sqlite_runs.settings.model_copy(update={"time_zone": "Europe/Berlin"})
    sqlite_runs.settings = in_utc
    sqlite_runs.run()
    later(organisation)
    organisation.update("opportunities", won, {"name": "Won again"})
    slow = sqlite_runs.begin()
    sqlite_runs.extract(slow)
    sqlite_runs.transform(slow)
    sqlite_runs.settings = in_berlin
    filling = sqlite_runs.begin("fill")
    sqlite_runs.extract(filling)
    sqlite_runs.load(slow)
    sqlite_runs.fill(filling)
    later(organisation)

    sqlite_runs.scheduled_run()

    assert closing_day(sqlite_runs, won) == "2026-02-04"


def test_the_run_that_starts_a_quick_sync_and_loads_beside_it_starts_no_second_one(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """It reads the field as the quick sync does, and otherwise than the rows have it."""
    organisation.retype_column(
        "opportunities", "actualclosedate", "DateTime", behaviour="UserLocal"
    )
    sqlite_runs.run()
    later(organisation)
    zone = {"time_zone": "Europe/Berlin"}
    sqlite_runs.settings = sqlite_runs.settings.model_copy(update=zone)
    organisation.create("opportunities", {"name": "Won", "actualclosedate": "2026-02-03"})
    begun = sqlite_runs.begin()
    filling = sqlite_runs.begin("fill")
    sqlite_runs.go_on(begun)
    sqlite_runs.extract(filling)
    sqlite_runs.fill(filling)
    later(organisation)

    assert begun["to_fill"] == ["opportunity.actual_close_date"]
    assert sqlite_runs.begin()["to_fill"] == []


def test_a_quick_sync_of_before_writes_nothing_once_another_has_begun(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """Somebody clears an old one: its days are those of another time zone."""
    organisation.retype_column(
        "opportunities", "actualclosedate", "DateTime", behaviour="UserLocal"
    )
    sqlite_runs.run()
    begun = []
    for zone in ("Asia/Tokyo", "Europe/Berlin"):
        sqlite_runs.settings = sqlite_runs.settings.model_copy(update={"time_zone": zone})
        begun.append(sqlite_runs.begin("fill"))
        sqlite_runs.extract(begun[-1])

    with pytest.raises(StagingError, match=r"opportunity\.actual_close_date is read otherwise"):
        sqlite_runs.fill(begun[0])
    assert sqlite_runs.fill(begun[1])["tables"].keys() == {"opportunity"}


def test_a_range_fills_the_rows_in_it(
    runs: SyncRuns, world: Organisation, fields_file: Path
) -> None:
    """Those created or modified then; the field still waits for the others."""
    later(world, minutes=600)
    world.create("contacts", {"lastname": "New", "jobtitle": "new"})
    world.update("contacts", contact_of(world, 0), {"lastname": "Byron 0"})
    later(world)
    runs.run()
    select_job_title(fields_file)
    day = (MORNING + timedelta(hours=1), MORNING + timedelta(days=1))
    begun = runs.begin("fill", *day, ranges_by="created")
    runs.extract(begun)
    assert runs.fill(begun)["changed"] == 1
    assert titles(runs) == [*[None] * PEOPLE, "new"]
    begun = runs.begin("fill", *day, fields=("contact.job_title",))
    runs.extract(begun)
    assert runs.fill(begun)["changed"] == 1
    assert titles(runs)[0] == "title 0"
    assert runs.begin()["to_fill"] == ["contact.job_title"]


def test_rows_that_are_not_there_excluded_or_deleted_are_not_written(
    runs: SyncRuns, world: Organisation, fields_file: Path
) -> None:
    """A quick sync makes no row and changes none that stands still."""
    gone = contact_of(world, 1)
    world.delete("contacts", gone)
    later(world)
    runs.run("reconcile")
    select_job_title(fields_file)
    runs.run()
    world.create("contacts", {"lastname": "New", "jobtitle": "new"})
    filled = runs.quick_sync()

    assert filled["changed"] == PEOPLE - 1
    with runs.engine.connect() as connection:
        query = text("SELECT job_title FROM contact WHERE is_deleted")
        assert list(connection.scalars(query)) == [None]
        assert connection.scalar(text("SELECT count(*) FROM contact")) == PEOPLE


def test_unknown_fields_are_named_with_the_nearest_name(runs: SyncRuns, fields_file: Path) -> None:
    """All of them at once, with where to look."""
    select_job_title(fields_file)
    with pytest.raises(ConfigError, match=r"'contact.jobtitle' \(near: 'contact.job_title'\), 'x'"):
        runs.begin("fill", fields=("contact.jobtitle", "x"))


def test_a_quick_sync_is_tried_again_where_its_column_could_not_be_made(
    runs: SyncRuns, world: Organisation, fields_file: Path
) -> None:
    """The field is selected all right: a reader of the table is in the way, for now."""
    if runs.engine.dialect.name == "sqlite":
        pytest.skip("readers of a SQLite file are in nobody's way")
    fields_file.write_text('[contact.fields]\ndepartment = "department"\n')
    world.update("contacts", contact_of(world, 1), {"department": "Sales"})
    with runs.engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM contact"))
        with pytest.raises(StoreUnavailableError):
            runs.begin("fill", fields=("contact.department",))
        assert runs.quick_sync()["tables"] == {"contact": PEOPLE}, "the job titles, which wait"

    assert runs.quick_sync("contact.department")["tables"] == {"contact": 1}


def test_a_field_that_is_not_selected_goes_into_the_file_first(runs: SyncRuns) -> None:
    """The default field that the file leaves out is no field of a quick sync."""
    with pytest.raises(ConfigError, match=r"'contact.job_title'.* goes into the fields file first"):
        runs.begin("fill", fields=("contact.job_title",))


def test_a_field_may_be_named_by_one_of_its_columns(runs: SyncRuns) -> None:
    """Whoever looks at the store sees code and label, and may type either or both."""
    names = ("contact.person_status_label", "contact.person_status_code", "contact.owner_id")

    with pytest.raises(ConfigError, match=r"'contact\.owner_id'"):
        runs.begin("fill", fields=names)
    assert runs.quick_sync(*names[:2]) == {"changed": 0, "tables": {"contact": 0}}


def test_a_dropped_field_keeps_its_values_and_stops(
    runs: SyncRuns, world: Organisation, fields_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Selected again soon, only what it missed is asked for."""
    caplog.set_level("INFO")
    select_job_title(fields_file)
    later(world)
    runs.run()
    runs.quick_sync()
    fields_file.write_text(WITHOUT)
    later(world)
    world.update("contacts", contact_of(world, 0), {"jobtitle": "missed"})
    later(world)
    runs.run()
    assert titles(runs)[0] == "title 0"
    assert "columns that have stopped changing: job_title" in caplog.text
    select_job_title(fields_file)
    later(world)
    runs.run()
    assert "The selection is again one of the last hour" in caplog.text
    assert drift(runs) == []


def test_a_fault_of_the_file_stops_the_run_and_names_its_line(
    runs: SyncRuns, fields_file: Path
) -> None:
    """Never the default selection instead."""
    fields_file.write_text('[contact]\nwithout = ["job_titel"]\n')
    with pytest.raises(ConfigError, match="job_title"):
        runs.begin()
    fields_file.unlink()
    with pytest.raises(ConfigError):
        runs.begin()


@pytest.mark.parametrize("masked", [False, True], ids=["null", "masked"])
def test_a_field_that_is_hidden_while_it_is_read_is_not_taken_for_empty(
    runs: SyncRuns, world: Organisation, fields_file: Path, masked: bool
) -> None:
    """The quick sync fails before anything of it is staged for good, so nothing is written."""
    select_job_title(fields_file)
    later(world)
    runs.run()
    runs.quick_sync()
    filling = runs.begin("fill", fields=("contact.job_title",))
    world.secure_column("contacts", "jobtitle", masked=masked)

    with pytest.raises(ConfigError, match="jobtitle came under column security"):
        runs.extract(filling)
    with pytest.raises(StagingError, match="not complete"):
        runs.fill(filling)
    assert titles(runs) == [f"title {number}" for number in range(PEOPLE)]


def test_a_hidden_column_that_is_not_filled_is_no_matter(
    runs: SyncRuns, world: Organisation, fields_file: Path
) -> None:
    """A tracked pass reads it too, and none of its values is written."""
    select_job_title(fields_file)
    later(world)
    filling = runs.begin("fill")
    world.secure_column("contacts", "emailaddress1")
    runs.extract(filling)

    assert runs.fill(filling)["changed"] == PEOPLE


def test_a_connection_that_leads_elsewhere_by_the_last_page_fails_the_quick_sync(
    runs: SyncRuns, world: Organisation, fields_file: Path
) -> None:
    """As a running sync asks once more after its last page."""
    select_job_title(fields_file)
    runs.run()
    filling = runs.begin("fill")

    def lead_elsewhere(*_: Any, **told: Any) -> None:
        if told.get("is_whole"):
            world.switch_identity(STRANGER)

    with runs.client() as client, pytest.raises(WrongOrganizationError, match=STRANGER):
        extract(client, filling, task="extract_contacts", on_progress=lead_elsewhere)


def test_an_option_that_is_renamed_while_a_quick_sync_runs_has_its_new_label(
    runs: SyncRuns, world: Organisation, fields_file: Path
) -> None:
    """The running sync has heard of the new label, and no run would mend the old one later."""
    region = Attribute("new_region", "Picklist", options={1: "North"})
    interests = Attribute("new_interests", "MultiSelectPicklist", options={1: "Sea", 2: "Hills"})
    for column in (region, interests):
        world.add_column("contacts", column)
    chosen = {"new_region": 1, "new_interests": "1,2"}
    world.update("contacts", contact_of(world, 0), chosen)
    fields_file.write_text('[contact.fields]\nregion = "new_region"\ninterests = "new_interests"\n')
    later(world)
    runs.run()
    filling = runs.begin("fill")
    runs.extract(filling)
    world.add_column("contacts", replace(region, options={1: "Renamed"}))
    world.add_column("contacts", replace(interests, options={1: "Renamed", 2: "Hills"}))
    later(world)
    runs.run()
    runs.fill(filling)

    with runs.engine.connect() as connection:
        query = "SELECT region_label, interests_labels FROM contact WHERE region_code = 1"
        assert connection.execute(text(query)).one() == ("Renamed", "Renamed; Hills")


def test_a_quick_sync_that_refuses_many_records_writes_nothing_until_told_to(
    sqlite_runs: SyncRuns, organisation: Organisation, fields_file: Path
) -> None:
    """Then they are listed, and scheduled runs, which refuse them again, know them."""
    organisation.add_column("contacts", Attribute("new_level", "Integer"))
    fields = {"fields": str(fields_file)}
    sqlite_runs.settings = sqlite_runs.settings.model_copy(update=fields)
    sqlite_runs.run()
    fields_file.write_text('[contact.fields]\nlevel = "new_level"\n')
    people = [str(row["contactid"]) for row in organisation.rows("contacts")]
    for each in people:
        organisation.garble("contacts", each, {"new_level": "many"})
    later(organisation)
    sqlite_runs.run()
    filling = sqlite_runs.begin("fill")
    sqlite_runs.extract(filling)
    with pytest.raises(ConfigError, match=rf"{len(people)} of {len(people)} contacts.*accept_ref"):
        sqlite_runs.fill(filling)
    sqlite_runs.quick_sync(accept_refusals=True)

    with sqlite_runs.engine.connect() as connection:
        for table in ("refused_row", "sync_error"):
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == len(people)
    organisation.update("contacts", people[0], {"lastname": "Changed"})
    later(organisation, minutes=6)
    sqlite_runs.run()


def test_what_became_of_every_row_that_a_quick_sync_read_adds_up(
    runs: SyncRuns, world: Organisation, fields_file: Path
) -> None:
    """One is filled by the running sync, one is excluded, one is newer in the store."""
    world.add_column("contacts", Attribute("new_synctomkto", "Boolean"))
    world.update("contacts", contact_of(world, 1), {"new_synctomkto": False})
    later(world)
    runs.run()
    select_job_title(fields_file)
    later(world)
    runs.run()
    filling = runs.begin("fill")
    runs.extract(filling)
    later(world)
    world.update("contacts", contact_of(world, 2), {"jobtitle": "changed"})
    runs.run()
    runs.fill(filling)

    counts = "read, updated, unchanged, filtered, refused, superseded"
    with runs.engine.connect() as connection:
        query = text(f"SELECT {counts} FROM sync_run_entity WHERE dag_id = :quick")
        row = connection.execute(query, {"quick": QUICK_SYNC}).one()
    assert tuple(row) == (PEOPLE, PEOPLE - 2, 0, 1, 0, 1)


def test_an_erased_contact_is_owed_to_nobody(
    runs: SyncRuns, world: Organisation, fields_file: Path
) -> None:
    """It is in Dynamics and in no row of the store, for ever."""
    erase(runs.engine, contact_of(world, 0), settings=runs.settings)
    select_job_title(fields_file)
    later(world)
    runs.run()
    runs.quick_sync()

    with runs.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM owed_column")) == 0


def test_rows_by_id_that_a_reconciliation_reads_otherwise_let_the_field_be_filled_again(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """It began under the time zone of before, and loads when the days of the new one are there."""
    won = create_won_at_night(organisation)
    in_utc = sqlite_runs.settings.model_copy(update={"time_zone": "UTC"})
    sqlite_runs.settings = in_utc
    sqlite_runs.run()
    later(organisation)
    organisation.update("opportunities", won, {"name": "Won again"})
    slow = sqlite_runs.begin("reconcile")
    sqlite_runs.extract(slow)
    sqlite_runs.transform(slow)
    sqlite_runs.settings = in_utc.model_copy(update={"time_zone": "Europe/Berlin"})
    sqlite_runs.scheduled_run()
    sqlite_runs.load(slow)
    later(organisation)
    sqlite_runs.scheduled_run()

    assert closing_day(sqlite_runs, won) == "2026-02-04"


def test_a_selected_field_may_be_named_as_a_load_names_its_own_marks(
    sqlite_runs: SyncRuns, organisation: Organisation, fields_file: Path
) -> None:
    """The second load compares staged rows with stored ones, and has a mark of its own for them."""
    organisation.add_column("contacts", Attribute("new_stale", "Boolean"))
    fields_file.write_text('[contact.fields]\nis_stale = "new_stale"\n')
    fields = {"fields": str(fields_file)}
    sqlite_runs.settings = sqlite_runs.settings.model_copy(update=fields)
    sqlite_runs.run()
    person = str(organisation.rows("contacts")[0]["contactid"])
    later(organisation)
    organisation.update("contacts", person, {"new_stale": True})
    later(organisation)
    sqlite_runs.run()

    with sqlite_runs.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM contact WHERE is_stale")) == 1
