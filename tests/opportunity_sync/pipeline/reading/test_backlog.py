"""Every run leaves what waited in Dynamics when it began, also one that comes to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opportunity_sync.errors import ConfigError
from opportunity_sync.store.schema.tables import table_backlog
from store_rows import dump

if TYPE_CHECKING:
    from dynamics_sandbox import Organisation
    from sync_runs import SyncRuns


def waiting(runs: SyncRuns) -> dict[str, int | None]:
    """What is said to wait, by table."""
    rows = dump(runs.engine, table_backlog)["table_backlog"]
    return {row["entity"]: row["waiting"] for row in rows}


def test_before_the_first_sync_everything_waits(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """The four tables of records are counted; connection roles are read whole by every run."""
    sqlite_runs.begin()

    assert waiting(sqlite_runs) == {
        "opportunity": len(organisation.rows("opportunities")),
        "contact": len(organisation.rows("contacts")),
        "account": len(organisation.rows("accounts")),
        "connection": len(organisation.rows("connections")),
    }


def test_what_waits_is_told_though_the_run_fails_at_once(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """The sync filter is gone, so no run begins; the page shows how much piles up meanwhile."""
    sqlite_runs.run()
    organisation.drop_column("contacts", "new_synctomkto")
    organisation.update("accounts", organisation.rows("accounts")[0]["accountid"], {"name": "B"})

    with pytest.raises(ConfigError, match="sync filter"):
        sqlite_runs.begin()

    assert waiting(sqlite_runs)["account"] == 1


def test_a_table_that_cannot_be_counted_is_unknown(sqlite_runs: SyncRuns) -> None:
    """The number of the run before is not shown as if it were of now."""
    sqlite_runs.begin()
    sqlite_runs.sandbox.faults.add("status", "accounts?$select=modifiedon", status=503, code="0x0")
    sqlite_runs.begin()

    assert waiting(sqlite_runs)["account"] is None
