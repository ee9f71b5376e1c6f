"""A contact that was erased stays away, whatever runs bring of it, and leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from opportunity_sync.errors import ConfigError
from opportunity_sync.model import CONTACT
from opportunity_sync.pipeline.erasing import erase
from opportunity_sync.store.schema.tables import (
    fact_table,
    opportunity_contact_role,
    public_table,
    sync_event,
    unresolved_association,
)
from store_rows import dump

if TYPE_CHECKING:
    from pathlib import Path

    from dynamics_sandbox import Organisation
    from sync_runs import SyncRuns


@pytest.fixture
def erased(sqlite_runs: SyncRuns, organisation: Organisation) -> tuple[str, str]:
    """A contact that was erased after the first sync, and the opportunity whose customer it is."""
    contact = organisation.create("contacts", {"lastname": "Doe", "emailaddress1": "a@example.com"})
    opportunity = organisation.create(
        "opportunities", {"name": "Mine", "_customerid_value": contact}
    )
    sqlite_runs.run()
    assert erase(sqlite_runs.engine, contact.upper(), settings=sqlite_runs.settings)
    return contact, opportunity


def test_no_run_brings_an_erased_contact_back(
    sqlite_runs: SyncRuns, organisation: Organisation, erased: tuple[str, str]
) -> None:
    """It changes in Dynamics, a window, a reconciliation and a full run read it: all in vain."""
    contact, opportunity = erased
    organisation.update("contacts", contact, {"lastname": "Roe"})
    for mode in ("continue", "reconcile", "full"):
        sqlite_runs.run(mode)

    table, fact = public_table(CONTACT), fact_table(CONTACT)
    with sqlite_runs.engine.connect() as connection:
        row = connection.execute(select(table).where(table.c.contact_id == contact)).one()
        kept = connection.execute(select(fact).where(fact.c.contact_id == contact)).one()
    assert (row.last_name, row.email, row.is_deleted) == (None, None, True)
    assert (kept.is_erased, kept.is_deleted, kept.parent_id) == (True, True, None)
    told = dump(sqlite_runs.engine, unresolved_association, opportunity_contact_role, sync_event)
    assert [("customer_contact", contact, "contact_erased")] == [
        (each["kind"], each["reference_id"], each["reason"])
        for each in told["unresolved_association"]
        if each["opportunity_id"] == opportunity
    ]
    assert [
        each["is_deleted"]
        for each in told["opportunity_contact_role"]
        if each["contact_id"] == contact
    ] == [True]
    assert told["sync_event"] == []


def test_a_run_that_read_the_person_before_does_not_bring_it_back(
    sqlite_runs: SyncRuns, organisation: Organisation, tmp_path: Path
) -> None:
    """Its staged rows lie where the wish does not reach; they are set aside as they are loaded."""
    contact = organisation.create("contacts", {"lastname": "Doe", "emailaddress1": "a@example.com"})
    opportunity = organisation.create(
        "opportunities", {"name": "Mine", "_customerid_value": contact}
    )
    run = sqlite_runs.begin()
    sqlite_runs.extract(run)
    sqlite_runs.transform(run)
    elsewhere = sqlite_runs.settings.model_copy(update={"staging_url": str(tmp_path / "other")})
    erase(sqlite_runs.engine, contact, settings=elsewhere)
    sqlite_runs.load(run)

    told = dump(sqlite_runs.engine, public_table(CONTACT), unresolved_association)
    assert [row for row in told["contact"] if row["contact_id"] == contact] == []
    assert [
        each["reason"]
        for each in told["unresolved_association"]
        if each["opportunity_id"] == opportunity
    ] == ["contact_erased"]


def test_staged_rows_go_with_it(sqlite_runs: SyncRuns, tmp_path: Path) -> None:
    """What a failed run has left on disk may hold the person."""
    run = sqlite_runs.begin()
    sqlite_runs.extract(run)
    erase(sqlite_runs.engine, "8f3c0000-0000-0000-0000-0000000000a1", settings=sqlite_runs.settings)

    assert list((tmp_path / "staging").rglob("*.parquet")) == []


def test_what_is_no_id_is_refused(sqlite_runs: SyncRuns) -> None:
    """A typing error must not look like a wish that was met."""
    with pytest.raises(ConfigError, match="no id"):
        erase(sqlite_runs.engine, "jane", settings=sqlite_runs.settings)
