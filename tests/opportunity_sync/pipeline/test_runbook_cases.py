"""What the runbook tells an operator to do, done: its own SQL, and the runs that it names.

Afterwards the store equals the organisation. The statements are taken from the page, so that
nobody can be told to do something that was never tried.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from doc_pages import DOCS, blocks
from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.errors import StagingError, WrongOrganizationError
from oracle import actual_store, differences, expected_store
from store_dumps import dump

if TYPE_CHECKING:
    from sync_runs import SyncRuns

# How the page's query begins that lists what can't be taken.
REFUSED = "SELECT entity, record_id, field, message"


def told(runs: SyncRuns, beginning: str) -> None:
    """Run the statements of the page's SQL that begin like this."""
    by_hand(runs, *on_the_page(beginning))


def asked(runs: SyncRuns, beginning: str) -> list[Any]:
    """What the page's query that begins like this answers."""
    [query] = on_the_page(beginning)
    with runs.engine.connect() as connection:
        return list(connection.execute(text(query)))


def on_the_page(beginning: str) -> list[str]:
    """The statements of the page's SQL that begin like this; there is one at least."""
    given = ";".join(blocks(DOCS / "runbook.md", "sql")).split(";")
    chosen = [one.strip() for one in given if one.strip().startswith(beginning)]
    assert chosen
    return chosen


def by_hand(runs: SyncRuns, *statements: str) -> None:
    """Change the store behind the sync's back."""
    with runs.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def drift(runs: SyncRuns) -> list[str]:
    """How the store differs from the organisation as it is."""
    return differences(expected_store(runs.sandbox.organisation), actual_store(runs.engine))


def a_contact(organisation: Organisation) -> str:
    """A contact that is synced and was not merged."""
    return next(
        str(row["contactid"])
        for row in organisation.rows("contacts")
        if row.get("new_synctomkto") is not False and not row.get("merged")
    )


def test_a_watermark_in_the_future_is_forgotten(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """The next scheduled run reads the table whole, with what was passed over and what is gone."""
    sqlite_runs.run()
    by_hand(sqlite_runs, "UPDATE sync_state SET watermark_at = '2999-01-01T00:00:00Z'")
    organisation.update("contacts", a_contact(organisation), {"firstname": "Passed over"})
    told(sqlite_runs, "DELETE FROM sync_state")
    sqlite_runs.run()

    assert drift(sqlite_runs) == []


def test_links_of_an_old_url_are_not_followed(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """The organisation moved to another address: its tables are read whole once, by themselves."""
    sqlite_runs.run()
    by_hand(
        sqlite_runs,
        "UPDATE sync_state SET delta_link = 'https://old.example/api/data/v9.2/' || entity "
        "WHERE delta_link IS NOT NULL",
    )
    organisation.delete("contacts", a_contact(organisation))
    sqlite_runs.run()

    assert drift(sqlite_runs) == []


def test_rows_changed_by_hand_are_put_right_by_a_full_run(sqlite_runs: SyncRuns) -> None:
    """Their versions look right, so that a reconciliation has nothing to mend."""
    sqlite_runs.run()
    by_hand(
        sqlite_runs,
        "DELETE FROM contact",
        "UPDATE opportunity SET name = 'Changed'",
        "UPDATE opportunity_contact_role SET is_deleted = 1, deleted_at = '2020-01-01T00:00:00Z'",
    )
    sqlite_runs.run("reconcile")
    is_unseen = drift(sqlite_runs) != []
    sqlite_runs.run("full")

    assert is_unseen
    assert drift(sqlite_runs) == []


def test_a_refused_record_is_named_until_it_is_mended(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """The page's query shows it with its column; mended in Dynamics it passes by itself."""
    sqlite_runs.run()
    contact = a_contact(organisation)
    organisation.garble("contacts", contact, {"createdon": "0000-01-01"})
    organisation.update("contacts", contact, {"firstname": "Ada"})
    sqlite_runs.run()
    [(entity, record_id, field, *_)] = asked(sqlite_runs, REFUSED)
    organisation.mend("contacts", contact)
    organisation.update("contacts", contact, {"firstname": "Augusta"})
    sqlite_runs.run()

    assert (entity, record_id, field) == ("contact", contact, "createdon")
    assert asked(sqlite_runs, REFUSED) == []
    assert drift(sqlite_runs) == []


def test_a_store_emptied_in_place_is_filled_again(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """The tables that the page names are all that have to go."""
    organisation.garble("contacts", a_contact(organisation), {"createdon": "0000-01-01"})
    sqlite_runs.run()
    told(sqlite_runs, "DELETE FROM ")
    emptied = dump(sqlite_runs.engine) | actual_store(sqlite_runs.engine)
    still_refused = asked(sqlite_runs, REFUSED)
    organisation.mend("contacts", a_contact(organisation))
    sqlite_runs.run()

    schema = ["opportunity_sync_version", "store_column"]
    assert sorted(name for name, rows in emptied.items() if rows) == schema
    assert still_refused == []
    assert drift(sqlite_runs) == []


def test_a_store_is_handed_over_to_a_copy_of_its_organisation(
    sqlite_runs: SyncRuns, organisation: Organisation
) -> None:
    """Only when told its id; what is gone in the copy goes, and the versions start anew."""
    sqlite_runs.run()
    tables = {name: store.table for name, store in organisation.stores.items()}
    rows = {name: organisation.rows(name) for name in tables if name != "organizations"}
    copy = Organisation(tables, rows, identity="the copy")
    copy.delete("contacts", a_contact(copy))
    copy.update("contacts", a_contact(copy), {"firstname": "Moved"})
    with Sandbox(copy) as sandbox:
        runs = replace(sqlite_runs, sandbox=sandbox)
        with pytest.raises(WrongOrganizationError, match=copy.organisation_id):
            runs.run("full", new_epoch=True)
        with pytest.raises(WrongOrganizationError, match="or give its id"):
            runs.run("full", new_epoch=True, new_organization=organisation.organisation_id)
        late = sqlite_runs.begin("full")
        sqlite_runs.extract(late)
        sqlite_runs.transform(late)

        runs.count = sqlite_runs.count
        runs.run("full", new_epoch=True, new_organization=copy.organisation_id)

        assert drift(runs) == []
        assert runs.run()["changed"] == 0
    with pytest.raises(StagingError, match="epoch"):
        sqlite_runs.load(late)
    with pytest.raises(WrongOrganizationError):
        sqlite_runs.begin()
