"""Each table of Dynamics: what the user sees, which columns come, and a page in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opportunity_sync.store import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

    from asked_check import Asked
    from dynamics_sandbox import Organisation, Sandbox
    from opportunity_sync.check.items import Item


def outcome(item: Item) -> tuple[str, str | None]:
    """How an item ended."""
    return item.state, item.code


@pytest.mark.parametrize(
    "name",
    [
        "dynamics.read_privilege.contact",
        "dynamics.change_tracking.contact",
        "dynamics.columns.contact",
        "dynamics.sync_filter.contact",
        "dynamics.page.connectionrole",
        "fields.columns.contact",
        "fields.plan",
    ],
)
def test_a_table_as_it_should_be_passes(asked: Asked, name: str) -> None:
    """Also before the first run."""
    migrate(asked.engine)

    assert outcome(asked.item(name)) == ("passed", None)


@pytest.mark.parametrize(
    ("name", "change", "code"),
    [
        (
            "dynamics.read_privilege.contact",
            lambda world: world.set_read_depth("contact", "Local"),
            "dynamics.read_privilege",
        ),
        (
            "dynamics.change_tracking.contact",
            lambda world: world.set_change_tracking("contacts", enabled=False),
            "dynamics.change_tracking_off",
        ),
        (
            "dynamics.columns.contact",
            lambda world: world.remove_column("contacts", "jobtitle"),
            "dynamics.columns",
        ),
    ],
)
def test_what_is_wrong_with_a_table_is_told(
    asked: Asked,
    organisation: Organisation,
    name: str,
    change: Callable[[Organisation], None],
    code: str,
) -> None:
    """By its own item, with a next step."""
    change(organisation)
    item = asked.item(name)

    assert outcome(item) == ("failed", code)
    assert item.next_step


def test_one_table_that_cannot_be_read_does_not_hide_the_others(
    asked: Asked, organisation: Organisation
) -> None:
    """A run would stop at the first; the check names them all."""
    organisation.remove_column("contacts", "parentcustomerid")

    assert outcome(asked.item("dynamics.columns.contact")) == ("failed", "dynamics.columns")
    assert outcome(asked.item("dynamics.columns.account")) == ("passed", None)


def test_a_sync_filter_that_is_there_passes(asked: Asked, organisation: Organisation) -> None:
    """And says what it does."""
    organisation.add_column("contacts", "new_synctomkto")

    assert asked.item("dynamics.sync_filter.contact").found == (
        "new_synctomkto can be read: rows with an explicit No are left out."
    )


def test_a_sync_filter_that_was_never_there_is_no_fault(asked: Asked) -> None:
    """Without it every row is synced."""
    assert asked.item("dynamics.sync_filter.contact").found == (
        "There is no new_synctomkto: every row is synced."
    )


def test_a_sync_filter_that_is_gone_has_failed(asked: Asked) -> None:
    """Where the store has left out rows by it."""
    migrate(asked.engine)
    with asked.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO fact_contact (contact_id, version_number, sync_filter, is_deleted)"
            " VALUES ('00000000-0000-0000-0000-000000000001', 1, 0, 0)"
        )

    assert outcome(asked.item("dynamics.sync_filter.contact")) == (
        "failed",
        "dynamics.sync_filter_gone",
    )


def test_a_page_that_does_not_come_in_time_has_failed(asked: Asked, sandbox: Sandbox) -> None:
    """It is what was asked, so it is no open question."""
    asked.item("dynamics.columns.connectionrole")  # metadata in time
    sandbox.faults.add("stall", "connectionroles", nth=2, times=99, seconds=9)
    asked.settings = {"request_timeout_seconds": 2}

    assert outcome(asked.item("dynamics.page.connectionrole")) == ("failed", "dynamics.page")


def test_a_selection_is_told_with_what_it_would_change(asked: Asked) -> None:
    """As `make plan` tells it."""
    migrate(asked.engine)
    file = asked.folder / "fields.toml"
    file.write_text('[contact.fields]\nnick = "nickname"\n')
    asked.settings = {"fields": str(file)}

    assert "contact: new columns: nick" in asked.item("fields.plan").found


def test_a_fields_file_with_faults_has_failed(asked: Asked) -> None:
    """Nothing of it is read until it is mended."""
    file = asked.folder / "fields.toml"
    file.write_text("[contact\n")
    asked.settings = {"fields": str(file)}

    assert outcome(asked.item("fields.file")) == ("failed", "fields.file")


def test_a_column_that_the_store_has_for_another_purpose_is_told(
    asked: Asked,
) -> None:
    """With the free name to take, as every run tells it."""
    migrate(asked.engine)
    with asked.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE contact ADD COLUMN nick TEXT")
    file = asked.folder / "fields.toml"
    file.write_text('[contact.fields]\nnick = "nickname"\n')
    asked.settings = {"fields": str(file)}

    assert outcome(asked.item("fields.columns.contact")) == ("failed", "fields.columns")
