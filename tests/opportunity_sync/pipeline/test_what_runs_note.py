"""What runs leave for a page to show: history, lags, drift, guards, shares of columns."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, select, text, update

from dynamics_sandbox.schema.attribute import Attribute
from opportunity_sync.errors import ConfigError
from opportunity_sync.model import ACCOUNT, OPPORTUNITY
from opportunity_sync.pipeline.ending import record_failed_begin
from opportunity_sync.store.schema.tables import (
    column_share,
    fact_table,
    history,
    public_table,
    sync_event,
    sync_run_lag,
)
from store_reader import tells_its_rows
from store_rows import dump
from sync_runs import SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from dynamics_sandbox import Organisation, Sandbox
    from opportunity_sync.pipeline.run import Mode


def changes(runs: SyncRuns) -> dict[str, dict[str, Any]]:
    """What the history says, by opportunity; each has at most one line."""
    rows = dump(runs.engine, history)["history"]
    found = {row["opportunity_id"]: json.loads(row["changes"]) for row in rows}
    assert len(found) == len(rows)
    return found


def events(runs: SyncRuns) -> list[tuple[str, str | None, str | None]]:
    """Kind, table and run of all events, in their order."""
    rows = dump(runs.engine, sync_event)["sync_event"]
    return [(row["kind"], row["entity"], row["run_id"]) for row in rows]


def test_a_changed_row_names_its_columns_and_a_first_load_nothing(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """The version is no news, the name and the time of the change are; equal rows leave nothing."""
    sqlite_runs.run()
    assert changes(sqlite_runs) == {}
    key = organisation.rows("opportunities")[0]["opportunityid"]
    organisation.update("opportunities", key, {"name": "Another"})
    sqlite_runs.run()
    sqlite_runs.run()

    found = changes(sqlite_runs)
    assert found.keys() == {key}
    assert set(found[key]["columns"]) - {"modified_at"} == {"name"}


@pytest.mark.parametrize("mode", ["continue", "reconcile"])
def test_a_first_load_is_one_though_a_backfill_has_brought_a_day_before(
    sqlite_runs: SyncRuns, mode: Mode
) -> None:
    """Airflow starts all at once; a reconciliation that comes second compares nothing, too."""
    day = datetime(2024, 7, 1, tzinfo=UTC)
    assert sqlite_runs.run("range", day, day + timedelta(days=7))["tables"]["opportunity"]["read"]

    begun = sqlite_runs.begin(mode)
    loaded = sqlite_runs.go_on(begun)

    assert loaded["tables"]["opportunity"]["inserted"] > 100
    assert changes(sqlite_runs) == {}
    assert [event for event in events(sqlite_runs) if event[0] == "drift"] == []
    with sqlite_runs.engine.connect() as connection:
        assert connection.scalar(text("SELECT sum(compared) FROM sync_run_entity")) == 0
        assert connection.scalar(text("SELECT count(*) FROM sync_state WHERE watermark_at > ''"))


def test_a_sync_that_has_lost_its_state_is_no_first_one(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """What the runbook says to do about a wrong watermark costs no history."""
    sqlite_runs.run()
    key = organisation.rows("opportunities")[0]["opportunityid"]
    organisation.update("opportunities", key, {"name": "Another"})
    with sqlite_runs.engine.begin() as connection:
        connection.execute(text("DELETE FROM sync_state"))

    sqlite_runs.run()

    assert changes(sqlite_runs).keys() == {key}


def test_a_moved_account_and_changed_roles_name_the_ids(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """The contact moves to another account: the opportunity follows, though it was not read."""
    sqlite_runs.run()
    account = organisation.create("accounts", {"name": "New employer"})
    contact = next(
        row
        for row in organisation.rows("contacts")
        if row.get("new_synctomkto") is not False and not row.get("merged")
    )
    opportunity = organisation.create(
        "opportunities",
        {"name": "Mine", "_customerid_value": contact["contactid"]},
    )
    sqlite_runs.run()
    written = {"written": [contact["contactid"]], "deleted": []}
    assert written == changes(sqlite_runs)[opportunity]["roles"]
    with sqlite_runs.engine.begin() as connection:
        connection.execute(delete(history))
    before = stored_account(sqlite_runs, opportunity)
    moved = {"_parentcustomerid_value": account}
    organisation.update("contacts", contact["contactid"], moved)
    sqlite_runs.run()

    expected = {"columns": ["account_id"], "account_id": [before, account]}
    assert expected == changes(sqlite_runs)[opportunity]


def stored_account(runs: SyncRuns, opportunity: str) -> str | None:
    """The account that the store has of an opportunity."""
    table = public_table(OPPORTUNITY)
    with runs.engine.connect() as connection:
        return connection.scalar(
            select(table.c.account_id).where(table.c.opportunity_id == opportunity)
        )


def test_only_changes_that_a_run_follows_tell_how_long_they_took(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """A first sync counts no lag, nor a back-dated row; one changed row counts once."""
    sqlite_runs.run()
    first, second = organisation.rows("accounts")[:2]
    organisation.update("accounts", first["accountid"], {"name": "Fresh"})
    long_ago = "2020-01-01T00:00:00Z"
    organisation.update("accounts", second["accountid"], {"name": "Old"}, modified_at=long_ago)
    sqlite_runs.run()

    lags = dump(sqlite_runs.engine, sync_run_lag)["sync_run_lag"]
    assert [(row["run_id"], row["entity"], row["rows"]) for row in lags] == [
        ("run-2", "account", 1)
    ]


def test_a_reconciliation_leaves_its_drift_and_the_shares_of_columns(
    sqlite_runs: SyncRuns,
) -> None:
    """A row that the store has lost is told of once; the next reconciliation finds none."""
    sqlite_runs.run()
    table = fact_table(ACCOUNT)
    with sqlite_runs.engine.begin() as connection:
        some = select(table.c.account_id).limit(1).scalar_subquery()
        connection.execute(update(table).where(table.c.account_id == some).values(version_number=0))
    sqlite_runs.run("reconcile")
    sqlite_runs.run("reconcile")

    assert events(sqlite_runs) == [("drift", "account", "run-2")]
    told = dump(sqlite_runs.engine, column_share, public_table(ACCOUNT))
    share = {
        (row["entity"], row["column_name"]): row["filled_share"] for row in told["column_share"]
    }
    named = [row["company"] is not None for row in told["account"] if not row["is_deleted"]]
    assert share["account", "company"] == sum(named) / len(named)
    assert share["opportunity", "created_at"] == 1.0


def test_shares_that_can_not_be_measured_fail_no_load(
    sqlite_runs: SyncRuns, caplog: pytest.LogCaptureFixture
) -> None:
    """The rows are committed by then: the run has done what it is for."""
    sqlite_runs.run()
    begun = sqlite_runs.begin("reconcile")
    sqlite_runs.extract(begun)
    sqlite_runs.transform(begun)
    with sqlite_runs.engine.begin() as connection:
        connection.execute(text("DROP TABLE column_share"))

    assert sqlite_runs.load(begun)["changed"] == 0
    assert "could not be measured this time" in caplog.text


def test_a_guard_that_strikes_is_noted_though_the_run_writes_nothing(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """Its retry notes it no second time."""
    sqlite_runs.run()
    for row in list(organisation.rows("accounts"))[:60]:
        organisation.delete("accounts", row["accountid"])
    run = sqlite_runs.begin("reconcile")
    sqlite_runs.extract(run)
    for _ in range(2):
        with pytest.raises(ConfigError, match="seem to be gone"):
            sqlite_runs.transform(run)

    guards = [event for event in events(sqlite_runs) if event[0] == "guard"]
    assert guards == [("guard", None, "run-2")]


def test_a_reconciliation_counts(sqlite_runs: SyncRuns) -> None:
    """So that a wrong number does not stay for ever."""
    sqlite_runs.run()
    assert tells_its_rows(sqlite_runs.engine)
    with sqlite_runs.engine.begin() as connection:
        connection.execute(text("UPDATE table_size SET rows = rows + 7"))
    sqlite_runs.run("reconcile")
    assert tells_its_rows(sqlite_runs.engine)


def test_a_run_that_fails_in_begin_takes_no_name_of_a_column(
    sandbox: Sandbox, empty_engine: Engine, tmp_path: Path
) -> None:
    """It is noted in a store whose tables it has made; which columns they get is the next run's."""
    fields_file = tmp_path / "fields.toml"
    sandbox.organisation.add_column("contacts", Attribute("new_phone", "String"))
    sandbox.organisation.create("contacts", {"new_phone": "0123"})
    settings = settings_for_tests(tmp_path, fields=str(fields_file))
    fields_file.write_text("[contacts]\n")
    record_failed_begin(
        empty_engine,
        "a-dag",
        "a-run",
        settings=settings,
        error="begin: ConfigError: There is no table contacts.",
        error_code="ConfigError",
        mode="continue",
        started_at=sandbox.organisation.now,
    )
    fields_file.write_text('[contact]\ndefault = false\n[contact.fields]\nphone = "new_phone"\n')

    SyncRuns(sandbox, empty_engine, settings).run()

    with empty_engine.connect() as connection:
        asked = text("SELECT phone FROM contact WHERE phone IS NOT NULL")
        assert connection.scalars(asked).all() == ["0123"]
        assert connection.scalar(text("SELECT error_code FROM sync_run")) == "ConfigError"
