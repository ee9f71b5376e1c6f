"""Records that can't be taken: listed, bounded, tried again, and never the end of the others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.errors import ConfigError, PrivilegeError, ResponseError
from opportunity_sync.store import read_state
from oracle import actual_store, differences, expected_store
from organisations import without_tracking
from store_dumps import dump
from store_rows import guid
from sync_runs import SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)
BAD = {"modifiedon": "0000-01-01"}


class OrganisationClock(SyncRuns):
    """Runs whose workers have the organisation's own clock."""

    def clock(self) -> datetime:
        """The organisation's."""
        return self.sandbox.organisation.now


@pytest.fixture
def people() -> Organisation:
    """120 contacts, read by windows."""
    organisation = without_tracking(Organisation.empty())
    organisation.now = MORNING
    for number in range(120):
        organisation.create("contacts", {"lastname": f"Byron {number}"})
    return organisation


@pytest.fixture
def people_runs(people: Organisation, engine: Engine, tmp_path: Path) -> Iterator[SyncRuns]:
    """Runs of them, without overlap of windows."""
    with Sandbox(people) as sandbox:
        yield OrganisationClock(sandbox, engine, settings_for_tests(tmp_path, overlap_minutes=0))


def spoil(organisation: Organisation, count: int) -> list[str]:
    """Let so many contacts come with a date that no calendar has."""
    ids = [row["contactid"] for row in organisation.rows("contacts")[:count]]
    for each in ids:
        organisation.garble("contacts", each, BAD)
    return ids


def listed(runs: SyncRuns) -> list[dict[str, Any]]:
    """The refused records."""
    with runs.engine.connect() as connection:
        query = text("SELECT * FROM refused_row ORDER BY record_id")
        return [dict(row) for row in connection.execute(query).mappings()]


def counts(runs: SyncRuns, run_id: str) -> dict[str, dict[str, int]]:
    """What a run did, by entity."""
    with runs.engine.connect() as connection:
        query = text("SELECT * FROM sync_run_entity WHERE run_id = :run_id")
        rows = connection.execute(query, {"run_id": run_id}).mappings()
        return {row["entity"]: dict(row) for row in rows}


def watermark(runs: SyncRuns) -> datetime | None:
    """Up to when contacts are in the store."""
    with runs.engine.connect() as connection:
        return read_state(connection).watermarks.get("contact")


def test_a_few_bad_records_are_listed_and_the_others_loaded(
    people_runs: SyncRuns, people: Organisation
) -> None:
    """With the record, the column, a code and a sentence, and never a value."""
    ids = spoil(people, 3)
    people_runs.run()

    rows = listed(people_runs)
    assert [row["record_id"] for row in rows] == sorted(ids)
    assert {(row["entity"], row["field"], row["tries"]) for row in rows} == {
        ("contact", "modifiedon", 1)
    }
    assert {(row["run_id"], row["task_id"]) for row in rows} == {("run-1", "extract_contacts")}
    assert not [row for row in rows if "0000" in row["message"]]
    assert len(actual_store(people_runs.engine)["contact"]) == 117
    numbers = counts(people_runs, "run-1")["contact"]
    assert (numbers["read"], numbers["inserted"], numbers["refused"]) == (120, 117, 3)


@pytest.mark.parametrize("count", [60, 120], ids=["half the table", "every row"])
def test_many_new_refusals_stop_the_run_before_anything_is_written(
    people_runs: SyncRuns, people: Organisation, count: int
) -> None:
    """A table that can't be taken is no table without rows."""
    people_runs.run()
    before = dump(people_runs.engine)
    mark = watermark(people_runs)
    people.now = people.now + timedelta(hours=1)
    for row in people.rows("contacts"):
        people.update("contacts", row["contactid"], {"jobtitle": "Poet"})
    spoil(people, count)
    people.now = people.now + timedelta(hours=1)

    with pytest.raises(ConfigError, match=rf"{count} of 120 contacts.*accept_refusals"):
        people_runs.run()
    assert dump(people_runs.engine) == before
    assert watermark(people_runs) == mark
    assert listed(people_runs) == []


def test_accepted_refusals_are_no_question_any_more(
    people_runs: SyncRuns, people: Organisation
) -> None:
    """Two scheduled runs go on beside 60 records that nobody can take."""
    spoil(people, 60)
    people_runs.run(accept_refusals=True)
    for minutes in (10, 20):
        people.now = people.now + timedelta(minutes=minutes)
        people_runs.run()

    assert {row["tries"] for row in listed(people_runs)} == {3}
    assert len(actual_store(people_runs.engine)["contact"]) == 60


def test_known_refusals_do_not_count_beside_new_ones(
    people_runs: SyncRuns, people: Organisation
) -> None:
    """A page of by-id answers that are all known proves nothing about the few that are new."""
    for number in range(900):
        people.create("contacts", {"lastname": f"Lovelace {number}"})
    spoil(people, 60)
    people_runs.run(accept_refusals=True)
    people.now = people.now + timedelta(minutes=30)
    for row in people.rows("contacts")[60:]:
        people.update("contacts", row["contactid"], {"jobtitle": "Poet"})
    for row in people.rows("contacts")[60:115]:
        people.garble("contacts", row["contactid"], BAD)
    people_runs.run()

    assert len(listed(people_runs)) == 115


def test_a_window_of_one_bad_row_stays_green_for_ever(
    people_runs: SyncRuns, people: Organisation
) -> None:
    """All rows of its page are refused, and they are one."""
    people_runs.run()
    [first] = spoil(people, 1)
    for _ in range(3):
        people.now = people.now + timedelta(minutes=5)
        people.update("contacts", first, {"jobtitle": "Poet"})
        people_runs.run()

    assert [row["record_id"] for row in listed(people_runs)] == [first]


def test_a_record_that_passes_again_is_loaded_and_leaves_the_list(
    people_runs: SyncRuns, people: Organisation
) -> None:
    """Nothing but its own trial can bring it: neither its version nor its time has moved."""
    [first] = spoil(people, 1)
    people.now = people.now + timedelta(minutes=10)
    people_runs.run()
    people.mend("contacts", first)
    people.now = people.now + timedelta(minutes=2)
    people_runs.run()
    assert len(listed(people_runs)) == 1, "it waits for five minutes"
    people.now = people.now + timedelta(minutes=5)
    people_runs.run()

    assert listed(people_runs) == []
    assert differences(expected_store(people), actual_store(people_runs.engine)) == []


@pytest.mark.parametrize(
    "asked", [{"mode": "reconcile"}, {"retry_refused": True}], ids=["reconciliation", "told so"]
)
def test_every_refused_record_is_tried(
    people_runs: SyncRuns, people: Organisation, asked: dict[str, Any]
) -> None:
    """By a reconciliation, and by a run that is told so, whatever the records wait for."""
    ids = spoil(people, 5)
    people_runs.run()
    for each in ids:
        people.mend("contacts", each)
    people_runs.run(**asked)

    assert listed(people_runs) == []
    assert differences(expected_store(people), actual_store(people_runs.engine)) == []


def test_a_refused_record_that_is_deleted_leaves_the_list(
    people_runs: SyncRuns, people: Organisation
) -> None:
    """And an older version of it, if there is one, is marked."""
    people_runs.run()
    [first] = spoil(people, 1)
    people.now = people.now + timedelta(minutes=5)
    people.update("contacts", first, {"jobtitle": "Poet"})
    people_runs.run()
    people.delete("contacts", first)
    people.now = people.now + timedelta(minutes=10)
    people_runs.run()

    assert listed(people_runs) == []
    assert differences(expected_store(people), actual_store(people_runs.engine)) == []


def test_who_refers_to_a_refused_record_says_so(
    people_runs: SyncRuns, people: Organisation
) -> None:
    """It is there, and can't be taken: another matter than not being found."""
    [first] = spoil(people, 1)
    people.create("opportunities", {"name": "Pump", "_customerid_value": first})
    people_runs.run()
    with people_runs.engine.connect() as connection:
        reasons = list(connection.scalars(text("SELECT reason FROM unresolved_association")))
    people.mend("contacts", first)
    people.now = people.now + timedelta(minutes=6)
    people_runs.run()

    assert reasons == ["contact_refused"]
    assert differences(expected_store(people), actual_store(people_runs.engine)) == []


def test_an_opportunity_of_a_third_table_is_refused_by_itself(
    people_runs: SyncRuns, people: Organisation
) -> None:
    """The others load; an older version of it stays."""
    contact = people.rows("contacts")[0]["contactid"]
    first = people.create("opportunities", {"name": "Pump", "_customerid_value": contact})
    people.create("opportunities", {"name": "Valve", "_customerid_value": contact})
    annotation = "_customerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"
    people.garble("opportunities", first, {annotation: "competitor"})
    people_runs.run()

    assert [row["record_id"] for row in listed(people_runs)] == [first]
    assert len(actual_store(people_runs.engine)["opportunity"]) == 1


def test_a_row_without_a_readable_id_makes_no_other_row_gone(
    people_runs: SyncRuns, people: Organisation
) -> None:
    """It may be any of those that seem missing, so each of them is asked for by itself."""
    people_runs.run()
    first, second = (row["contactid"] for row in people.rows("contacts")[:2])
    people.garble("contacts", first, {"contactid": "no id"})
    people.delete("contacts", second)
    people.now = people.now + timedelta(minutes=10)
    people_runs.run("reconcile")

    names = actual_store(people_runs.engine)["contact"]
    assert (first,) in names
    assert (second,) not in names


def test_who_refers_to_a_refused_record_that_is_deleted_does_not_find_it(
    people_runs: SyncRuns, people: Organisation
) -> None:
    """It was refused before, and can be no more."""
    [first] = spoil(people, 1)
    people.create("opportunities", {"name": "Pump", "_customerid_value": first})
    people_runs.run()
    people.delete("contacts", first)
    people.now = people.now + timedelta(minutes=10)
    people_runs.run()

    with people_runs.engine.connect() as connection:
        reasons = list(connection.scalars(text("SELECT reason FROM unresolved_association")))
    assert reasons == ["contact_not_found"]
    assert listed(people_runs) == []


def test_a_refused_record_that_can_not_be_seen_any_more_stays_on_the_list(
    people_runs: SyncRuns, people: Organisation
) -> None:
    """It was never stored, so no guard of deletions would keep it."""
    [first] = spoil(people, 1)
    people.now = people.now + timedelta(minutes=10)
    people_runs.run()
    people.now = people.now + timedelta(minutes=10)
    run = people_runs.begin()
    people_runs.extract(run)
    people.set_read_depth("contact", "Basic")
    people.hide("contacts", first)

    with pytest.raises(PrivilegeError, match="prvReadContact"):
        people_runs.transform(run)
    assert [row["record_id"] for row in listed(people_runs)] == [first]


def test_a_page_of_known_refusals_is_no_sign_beside_new_ones(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    """The new ones fill no page, so it is their share of what was read that counts."""
    world = without_tracking(Organisation.empty())
    world.now = MORNING
    ids = [guid(number) for number in range(120)]
    for each in ids:
        world.create("contacts", {"contactid": each, "lastname": "Byron"})
    settings = settings_for_tests(tmp_path, page_size=20, max_refused_share=1)
    with Sandbox(world) as sandbox:
        runs = OrganisationClock(sandbox, sqlite_engine, settings)
        for each in ids[:20]:
            world.garble("contacts", each, BAD)
        runs.run()
        for number, each in enumerate(ids[20:]):
            if number % 20 < 11:
                world.garble("contacts", each, BAD)
        runs.run("full")

    assert len(listed(runs)) == 20 + 55


@pytest.mark.parametrize("kind", ["another", "another, refused", "a tombstone"])
def test_an_answer_about_records_that_nobody_asked_for_makes_none_gone(
    people_runs: SyncRuns, people: Organisation, kind: str
) -> None:
    """The filter was not applied, so what the answer lacks may be there all the same."""
    people_runs.run()
    gone, other = (row["contactid"] for row in people.rows("contacts")[:2])
    people.delete("contacts", gone)
    people.now = people.now + timedelta(minutes=10)
    row: dict[str, Any] = {"contactid": other, "versionnumber": 10**9, "lastname": "Byron"}
    if kind == "another, refused":
        row |= BAD
    if kind == "a tombstone":
        row = {"@odata.context": "x#contacts/$deletedEntity", "id": gone, "reason": "deleted"}
    body = json.dumps({"value": [row]})
    fault = people_runs.sandbox.faults.add("status", "CRM.In(", status=200, body=body, times=9)

    with pytest.raises(ResponseError, match="none of those that it lacks counts as gone"):
        people_runs.run("reconcile")
    assert (gone,) in actual_store(people_runs.engine)["contact"]
    fault.times = 0
    people_runs.run("reconcile")
    assert (gone,) not in actual_store(people_runs.engine)["contact"]
