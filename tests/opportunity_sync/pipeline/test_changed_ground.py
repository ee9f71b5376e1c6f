"""The ground moves under a run: another organisation, lost files, wrong clocks, shared stores."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.errors import (
    ConfigError,
    PrivilegeError,
    StagingError,
    WrongOrganizationError,
)
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.pipeline import extraction
from opportunity_sync.pipeline.run import open_run
from opportunity_sync.pipeline.settling import find_open_questions
from opportunity_sync.store import migrate, read_state
from oracle import actual_store, differences, expected_store
from organisations import without_tracking
from store_dumps import dump
from sync_runs import SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Engine

    from opportunity_sync.dynamics import DataverseClient

MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)
STRANGER = "11111111-2222-4333-8444-555555555555"
YEARS = 30 * 365 * 86_400


def drift(runs: SyncRuns) -> list[str]:
    """How the store differs from the organisation as it is."""
    return differences(expected_store(runs.sandbox.organisation), actual_store(runs.engine))


def scalar(runs: SyncRuns, query: str) -> Any:
    """One value of the store."""
    with runs.engine.connect() as connection:
        return connection.scalar(text(query))


@pytest.mark.parametrize("task", ["extract_contacts", "transform"])
def test_a_connection_that_leads_elsewhere_in_mid_run_brings_nothing(
    sqlite_runs: SyncRuns, organisation: Organisation, task: str
) -> None:
    """The organisation is compared by each task that reads, not by the first one for all."""
    run = sqlite_runs.begin()
    if task == "transform":
        sqlite_runs.extract(run)
    home = organisation.switch_identity(STRANGER)

    with pytest.raises(WrongOrganizationError, match=STRANGER):
        sqlite_runs.transform(run) if task == "transform" else sqlite_runs.extract(run, task)
    organisation.switch_identity(home)
    sqlite_runs.run()
    assert drift(sqlite_runs) == []


def test_a_role_that_is_reduced_in_mid_run_makes_no_row_gone(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """What it hides is missing by id as well, so the privilege is asked for again."""
    sqlite_runs.run()
    run = sqlite_runs.begin("reconcile")
    organisation.set_read_depth("account", "Basic")
    organisation.hide("accounts", organisation.rows("accounts")[0]["accountid"])
    sqlite_runs.extract(run)

    with pytest.raises(PrivilegeError, match="prvReadAccount"):
        sqlite_runs.transform(run)
    organisation.set_read_depth("account", "Global")
    organisation.show("accounts", organisation.rows("accounts")[0]["accountid"])
    sqlite_runs.run("reconcile")
    assert drift(sqlite_runs) == []


def test_a_store_is_claimed_with_its_first_rows(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """A first run by a wrong connection that fails leaves the store to whoever is right."""
    home = organisation.switch_identity(STRANGER)
    sqlite_runs.begin()
    organisation.switch_identity(home)
    sqlite_runs.run()

    assert scalar(sqlite_runs, "SELECT organization_id FROM sync_store") == home


@pytest.mark.parametrize("number", [0, 1, -1], ids=["first", "middle", "last"])
def test_a_staged_page_that_is_missing_is_never_an_end(
    sandbox: Sandbox, sqlite_engine: Engine, tmp_path: Path, number: int
) -> None:
    """The run says so; begun anew it reads everything."""
    runs = SyncRuns(sandbox, sqlite_engine, settings_for_tests(tmp_path, page_size=60))
    run = runs.begin()
    runs.extract(run)
    sorted((Path(run["staging"]) / "contact").glob("*.parquet"))[number].unlink()

    with pytest.raises(StagingError, match="clear the whole DAG run"):
        runs.transform(run)
    runs.run()
    assert drift(runs) == []


@pytest.mark.parametrize("group", ["resolved/roles", "derived/contact", "contact"])
@pytest.mark.parametrize("how", ["removed", "changed"])
def test_what_transform_handed_over_must_all_be_there(
    sqlite_runs: SyncRuns, group: str, how: str
) -> None:
    """No roles at all is something that a manifest says, and not a folder."""
    run = sqlite_runs.begin()
    sqlite_runs.extract(run)
    sqlite_runs.transform(run)
    before = dump(sqlite_runs.engine)
    for path in (Path(run["staging"]) / group).glob("*.parquet"):
        if how == "removed":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-1] + b"?")

    with pytest.raises(StagingError):
        sqlite_runs.load(run)
    assert dump(sqlite_runs.engine) == before


def test_a_retried_transform_and_a_load_of_the_first_never_mix(sqlite_runs: SyncRuns) -> None:
    """The extract was done again after transform: what lies there is not what was resolved."""
    run = sqlite_runs.begin()
    sqlite_runs.extract(run)
    sqlite_runs.transform(run)
    (Path(run["staging"]) / "contact.manifest.json").unlink()
    for path in (Path(run["staging"]) / "contact").glob("*.parquet"):
        path.unlink()
    contacts = sqlite_runs.sandbox.organisation.rows("contacts")
    changed = {"lastname": "Lovelace"}
    sqlite_runs.sandbox.organisation.update("contacts", contacts[0]["contactid"], changed)
    sqlite_runs.extract(run, "extract_contacts")

    with pytest.raises(StagingError, match="clear `transform`"):
        sqlite_runs.load(run)
    sqlite_runs.transform(run)
    sqlite_runs.load(run)
    assert drift(sqlite_runs) == []


def test_a_run_of_another_version_is_begun_anew(sqlite_runs: SyncRuns) -> None:
    """An upgrade in mid run is told from damage, and ends in no KeyError."""
    run = sqlite_runs.begin()
    plan = Path(run["staging"]) / "plan.json"
    saved = json.loads(plan.read_text())
    for content in ({**saved, "format": 1}, {"run_id": run["run_id"], "windows": {}}, {}):
        plan.write_text(json.dumps(content))
        with pytest.raises(StagingError, match="another version"):
            sqlite_runs.extract(run, "extract_contacts")


def test_two_deployments_that_share_a_store_both_load(
    sandbox: Sandbox, sqlite_engine: Engine, tmp_path: Path
) -> None:
    """Their runs have the same names; what one has committed is not the other's."""
    runs = [SyncRuns(sandbox, sqlite_engine, settings_for_tests(tmp_path / name)) for name in "ab"]
    begun = [each.begin() for each in runs]
    for each, run in zip(runs, begun, strict=True):
        each.extract(run)
        each.transform(run)
    organisation = sandbox.organisation
    organisation.update(
        "contacts", organisation.rows("contacts")[0]["contactid"], {"lastname": "Lovelace"}
    )
    assert runs[0].load(begun[0])["changed"] > 0
    runs[0].run()
    before = dump(sqlite_engine)
    runs[1].load(begun[1])

    assert begun[0]["run_id"] == begun[1]["run_id"]
    assert scalar(runs[0], "SELECT count(*) FROM sync_run WHERE outcome = 'succeeded'") == 2
    assert before == dump(sqlite_engine)
    assert runs[0].load(begun[0])["changed"] >= 0


def test_a_reconciliation_of_an_empty_store_reads_pages(sqlite_runs: SyncRuns) -> None:
    """Asked for by id it would take fifty times as many requests."""
    sqlite_runs.run("reconcile")

    asked = [request.query for request in sqlite_runs.sandbox.requests.all("/contacts")]
    assert not [query for query in asked if "PropertyValues" in query]
    assert drift(sqlite_runs) == []


@pytest.fixture
def ticking(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Ticking]:
    """Runs of an organisation read by windows, whose workers have a clock of their own."""
    organisation = without_tracking(Organisation.empty())
    organisation.now = MORNING
    organisation.create("contacts", {"lastname": "Byron"})
    with Sandbox(organisation) as sandbox:
        yield Ticking(sandbox, sqlite_engine, settings_for_tests(tmp_path))


class Ticking(SyncRuns):
    """Runs whose workers' clock is the organisation's, or ahead of it by some seconds."""

    ahead = 0

    def clock(self) -> datetime:
        """The workers'."""
        return self.sandbox.organisation.now + timedelta(seconds=self.ahead)

    def later(self, **span: int) -> None:
        """Time passes."""
        self.sandbox.organisation.now = self.sandbox.organisation.now + timedelta(**span)


@pytest.mark.parametrize(
    ("server", "answers", "worker"),
    [
        (900, None, 0),
        (900, 1, -3600),
        (YEARS, None, 0),
        (YEARS, 1, 0),
        (-900, None, 3600),
        (0, None, 3600),
        (0, None, -3600),
    ],
    ids=str,
)
def test_a_wrong_clock_hides_no_change(
    ticking: Ticking, server: int, answers: int | None, worker: int
) -> None:
    """Changes of an hour are there, whichever of the two clocks is off; never are both ahead."""
    organisation = ticking.sandbox.organisation
    ticking.ahead = worker
    ticking.run()
    organisation.skew_clock(server, answers)
    for number in range(2):
        ticking.run()
        ticking.later(minutes=14)
        organisation.create("contacts", {"lastname": f"Byron {number}"})
        ticking.later(minutes=1)
    organisation.skew_clock(0)
    ticking.ahead = 0
    ticking.run()

    assert drift(ticking) == []


def test_a_clock_that_is_off_is_said(ticking: Ticking, caplog: pytest.LogCaptureFixture) -> None:
    """From a minute on, with both times and what to do."""
    caplog.set_level("WARNING")
    ticking.sandbox.organisation.skew_clock(50)
    ticking.run()
    assert "differ by" not in caplog.text
    ticking.sandbox.organisation.skew_clock(900)
    ticking.run()

    assert "differ by 0:15:00; the lower one counts" in caplog.text


def test_a_watermark_from_the_future_goes_back_without_a_whole_read(ticking: Ticking) -> None:
    """One answer of 2056 does not hide thirty years of changes, nor cost a read of everything."""
    ticking.run()
    with ticking.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sync_state SET watermark_at = '2056-01-01T00:00:00Z'")
    ticking.later(minutes=30)
    ticking.sandbox.organisation.create("contacts", {"lastname": "Lovelace"})
    ticking.later(minutes=30)
    ticking.sandbox.requests.clear()
    ticking.run()

    first = ticking.sandbox.requests.all("/contacts")
    assert [request for request in first if "2026-03-01T07:40:00Z" in request.query]
    assert drift(ticking) == []
    with ticking.engine.connect() as connection:
        marks = read_state(connection).watermarks.values()
    assert {mark.year for mark in marks} == {2026}


def test_a_record_that_comes_back_in_the_second_of_its_deletion_is_back(
    ticking: Ticking,
) -> None:
    """Two runs at once, and one second for all of it: the store's own order decides."""
    organisation = ticking.sandbox.organisation
    ticking.run()
    [contact] = organisation.rows("contacts")
    slow = ticking.begin("full")
    organisation.delete("contacts", contact["contactid"])
    ticking.extract(slow)
    ticking.transform(slow)
    organisation.restore("contacts", contact["contactid"])
    fast = ticking.begin("full")
    ticking.extract(fast)
    ticking.transform(fast)
    ticking.load(slow)
    ticking.load(fast)
    ticking.run()

    assert drift(ticking) == []


def test_a_renamed_option_is_counted_and_told(ticking: Ticking) -> None:
    """Rows that get another label changed, though nobody read them: the load says how many."""
    organisation = ticking.sandbox.organisation
    ticking.later(minutes=30)
    ticking.run()
    state = organisation.stores["contacts"].table.attributes["statecode"]
    renamed = {**(state.options or {}), 0: "In use"}
    organisation.add_column("contacts", replace(state, options=renamed))
    ticking.later(minutes=30)
    told = ticking.run()

    assert told["changed"] == 1
    rewritten = (
        "SELECT rewritten FROM sync_run_entity WHERE run_id = 'run-2' AND entity = 'contact'"
    )
    assert scalar(ticking, rewritten) == 1


def test_no_transaction_waits_for_dynamics(
    organisation: Organisation, postgres: URL, tmp_path: Path
) -> None:
    """While a by-id answer is on its way, none of ours is open in the database."""
    from opportunity_sync.store import store_engine

    engine = store_engine(postgres)
    migrate(engine)
    open_while_asked: list[int] = []
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'opportunity_sync' "
        "AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
    )

    class Watching(SyncRuns):
        """Looks at the database's sessions whenever rows are asked for by id."""

        @contextmanager
        def client(self) -> Iterator[DataverseClient]:
            with super().client() as client:
                by_ids = client.by_ids

                def watched(*given: Any, **named: Any) -> Any:
                    with engine.connect() as connection:
                        found = connection.scalar(text(query))
                    open_while_asked.append(int(found or 0))
                    return by_ids(*given, **named)

                client.by_ids = watched  # type: ignore[method-assign]  # to look, not to answer
                yield client

    with Sandbox(organisation) as sandbox:
        runs = Watching(sandbox, engine, settings_for_tests(tmp_path))
        runs.run("range", MORNING - timedelta(days=4000), MORNING)
        for row in organisation.rows("contacts"):
            organisation.update("contacts", row["contactid"], {"jobtitle": "Poet"})
        runs.run("reconcile")
    engine.dispose()

    assert len(open_while_asked) >= 2
    assert set(open_while_asked) == {0}


@pytest.mark.parametrize("mode", ["continue", "reconcile"])
def test_without_keeping_days_a_failed_run_goes_and_a_running_one_stays(
    sandbox: Sandbox, sqlite_engine: Engine, tmp_path: Path, mode: Any
) -> None:
    """The rows of a run that is under way are not old, whatever the setting says."""
    settings = settings_for_tests(tmp_path, staging_keep_days=0)
    runs = SyncRuns(sandbox, sqlite_engine, settings)
    running = runs.begin()
    runs.extract(running)
    failed = runs.begin(mode)
    runs.finish(failed, succeeded=False)

    assert not Path(failed["staging"]).exists()
    runs.transform(running)
    runs.load(running)
    assert drift(runs) == []


def test_a_reconciliation_says_how_much_it_compared(sqlite_runs: SyncRuns) -> None:
    """Beside what it read."""
    sqlite_runs.run()
    sqlite_runs.run("reconcile")

    compared = "SELECT compared FROM sync_run_entity WHERE run_id = 'run-2' AND entity = 'account'"
    accounts = len(sqlite_runs.sandbox.organisation.rows("accounts"))
    assert scalar(sqlite_runs, compared) == accounts


def test_a_mode_that_needs_every_row_says_so() -> None:
    """The filter's end is accepted by a full run only."""
    from opportunity_sync.pipeline.run import RunRequest

    with pytest.raises(ConfigError, match="accept_filter_gone and mode full"):
        RunRequest("dag", "run", "continue", accept_filter_gone=True)


def read_twice(runs: SyncRuns, run: dict[str, Any], sandbox: Sandbox) -> tuple[Path, bytes]:
    """Let two tries read the opportunities, one customer changing in between.

    What the first has published lies there; returns where, and what the second publishes late.
    """
    organisation, staging = sandbox.organisation, Path(run["staging"])
    runs.extract(run)
    manifest, parts = staging / "opportunity.manifest.json", staging / "opportunity"
    first = manifest.read_bytes()
    manifest.unlink()
    parts.rename(staging / "first")
    row = next(row for row in organisation.rows("opportunities") if row["_customerid_value"])
    organisation.update("opportunities", row["opportunityid"], {"_customerid_value": None})
    runs.extract(run, "extract_opportunities")
    second = manifest.read_bytes()
    for path in (staging / "first").iterdir():
        path.rename(parts / path.name)
    manifest.write_bytes(first)
    return manifest, second


@pytest.mark.parametrize("task", ["transform", "load"])
def test_a_try_that_publishes_late_is_mixed_with_no_other(
    sqlite_runs: SyncRuns, sandbox: Sandbox, task: str
) -> None:
    """Airflow took it for dead; its pages have as many rows, and other customers."""
    sqlite_runs.run()
    run = sqlite_runs.begin("full")
    manifest, second = read_twice(sqlite_runs, run, sandbox)
    seen = 0

    def publish_late(*_given: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == 2:
            manifest.write_bytes(second)

    if task == "load":
        sqlite_runs.transform(run)
        # The first statements are about the run itself; by then the outcome has been read.
        name, seen = "before_cursor_execute", 0
    else:
        name = "commit"
    before = dump(sqlite_runs.engine)
    event.listen(sqlite_runs.engine, name, publish_late)
    with pytest.raises(StagingError, match="clear `transform`"):
        sqlite_runs.transform(run) if task == "transform" else sqlite_runs.load(run)
    event.remove(sqlite_runs.engine, name, publish_late)
    assert seen >= 2
    assert dump(sqlite_runs.engine) == before

    sqlite_runs.transform(run)
    sqlite_runs.load(run)
    assert drift(sqlite_runs) == []


def test_a_slower_try_leaves_what_another_has_published(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """`transform` may be at work on it."""
    run = sqlite_runs.begin()
    manifest = Path(run["staging"]) / "contact.manifest.json"
    published: list[bytes] = []
    with sqlite_runs.client() as slow:
        pages = slow.pages

        def slowly(*given: Any, **named: Any) -> Any:
            for page in pages(*given, **named):
                if not published:
                    contact = organisation.rows("contacts")[0]["contactid"]
                    organisation.update("contacts", contact, {"lastname": "Lovelace"})
                    sqlite_runs.extract(run, "extract_contacts")
                    published.append(manifest.read_bytes())
                yield page

        slow.pages = slowly  # type: ignore[method-assign]  # to wait, not to answer
        extraction.extract(slow, run, task="extract_contacts")

    assert [manifest.read_bytes()] == published


def test_a_run_that_an_earlier_version_began_is_closed(sqlite_runs: SyncRuns) -> None:
    """The upgrade came in mid run: what its tasks hand on knows of no attempt."""
    run = sqlite_runs.begin()
    run.pop("attempt")
    sqlite_runs.finish(run, succeeded=False)

    assert scalar(sqlite_runs, "SELECT outcome FROM sync_run") == "failed"


def test_a_new_epoch_goes_on_by_change_tracking(sqlite_runs: SyncRuns) -> None:
    """The links that it brings take the place of those that it has made void."""
    sqlite_runs.run()
    sqlite_runs.run("full", new_epoch=True)

    linked = "SELECT count(*) FROM sync_state WHERE delta_link IS NOT NULL"
    assert scalar(sqlite_runs, linked) == len(DEFAULT_MODEL.entities) - 1, (
        "roles are always read whole"
    )


def test_a_comparison_keeps_only_what_is_asked_for(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """Versions of millions of rows are held of one table at a time, and not of all to the end."""
    sqlite_runs.run()
    contact = organisation.rows("contacts")[0]["contactid"]
    organisation.update("contacts", contact, {"lastname": "Lovelace"})
    run = sqlite_runs.begin("reconcile")
    sqlite_runs.extract(run)
    with sqlite_runs.engine.connect() as connection:
        opened = find_open_questions(
            connection, open_run(run), moment=sqlite_runs.clock(), version="1"
        )

    assert {name: len(what.live) for name, what in opened.items() if what.live} == {"contact": 1}


def test_counts_of_every_table_add_up(sqlite_runs: SyncRuns) -> None:
    """Of the first load, and of one that finds nothing new: roles, too."""
    sqlite_runs.run()
    sqlite_runs.run("full")

    outcomes = "inserted + updated + unchanged + filtered + refused + superseded"
    wrong = f"SELECT count(*) FROM sync_run_entity WHERE read <> {outcomes}"
    assert scalar(sqlite_runs, wrong) == 0
    unchanged = "SELECT unchanged FROM sync_run_entity WHERE run_id = 'run-2' AND entity = 'role'"
    assert scalar(sqlite_runs, unchanged) > 0


@pytest.mark.parametrize("group", ["contact", "found/contact"])
def test_a_manifest_that_names_a_part_too_few_is_found_out(
    sqlite_runs: SyncRuns, group: str
) -> None:
    """Its rows would else pass for rows that Dynamics does not have."""
    sqlite_runs.run()
    organisation = sqlite_runs.sandbox.organisation
    later = organisation.rows("contacts")[0]["contactid"]
    organisation.update("contacts", later, {"lastname": "Lovelace"})
    run = sqlite_runs.begin("full" if group == "contact" else "reconcile")
    sqlite_runs.extract(run)
    sqlite_runs.transform(run)
    before = dump(sqlite_runs.engine)
    for path in Path(run["staging"]).glob("*.manifest.json"):
        manifest = json.loads(path.read_text())
        if manifest["groups"].get(group):
            manifest["groups"][group].pop()
            path.write_text(json.dumps(manifest))

    with pytest.raises(StagingError, match=rf"manifest of {group} names"):
        sqlite_runs.load(run)
    assert dump(sqlite_runs.engine) == before


@pytest.mark.parametrize("whose", ["Dynamics", "the worker"])
def test_one_clock_that_is_far_behind_for_a_run_moves_no_watermark(
    ticking: Ticking, whose: str
) -> None:
    """Only what lies ahead of both clocks is wrong; the other clock shows that it is not."""
    ticking.run()
    ticking.later(minutes=30)
    ticking.run()
    with ticking.engine.connect() as connection:
        marks = read_state(connection).watermarks
    ticking.later(minutes=5)
    if whose == "Dynamics":
        ticking.sandbox.organisation.skew_clock(-YEARS)
    else:
        ticking.ahead = -YEARS
    ticking.run()
    with ticking.engine.connect() as connection:
        assert read_state(connection).watermarks == marks

    ticking.sandbox.organisation.skew_clock(0)
    ticking.ahead = 0
    ticking.sandbox.organisation.create("contacts", {"lastname": "Lovelace"})
    ticking.later(minutes=5)
    ticking.run()
    assert drift(ticking) == []
    with ticking.engine.connect() as connection:
        assert all(mark > marks[name] for name, mark in read_state(connection).watermarks.items())
