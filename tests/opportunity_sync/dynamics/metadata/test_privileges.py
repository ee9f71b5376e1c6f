"""What the application user may see is asked in a way that counts its teams, and said."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from opportunity_sync.dynamics import DataverseClient, ReadDepths, organization_plan, sees_every_row
from opportunity_sync.model import CONTACT, DEFAULT_MODEL

if TYPE_CHECKING:
    from dynamics_sandbox import Organisation, Sandbox


@pytest.mark.parametrize("depth", ["Basic", "Local", "Deep"])
@pytest.mark.parametrize("table", ["contact", "opportunity", "connection"])
def test_a_lesser_depth_is_said_in_every_run_with_its_next_step(
    client: DataverseClient,
    organisation: Organisation,
    caplog: pytest.LogCaptureFixture,
    table: str,
    depth: str,
) -> None:
    """Rows that may not be seen are missing without a word: the log has the word."""
    organisation.set_read_depth(table, depth)
    plan = organization_plan(client, DEFAULT_MODEL.entities, language=None)
    (record,) = [item for item in caplog.records if item.levelno == logging.WARNING]
    privilege = f"prvRead{table.capitalize()}"
    assert f"{table}: the application user has {privilege} at" in record.getMessage()
    assert f"{privilege} at Organization level." in record.getMessage()
    assert plan.entities[table].reads_every_row is False


def test_at_organization_level_nothing_is_said(
    client: DataverseClient, caplog: pytest.LogCaptureFixture
) -> None:
    """As it should be."""
    organization_plan(client, DEFAULT_MODEL.entities, language=None)
    assert [item for item in caplog.records if item.levelno == logging.WARNING] == []


def test_privileges_through_teams_count_in_full(
    client: DataverseClient, organisation: Organisation
) -> None:
    """The older function gives them as Basic, whatever depth the team's role has."""
    organisation.set_read_depth("contact", "None")
    organisation.set_team_depth("contact", "Global")
    plan = organization_plan(client, (CONTACT,), language=None)
    assert plan.of(CONTACT).reads_every_row


@pytest.mark.parametrize("status", [400, 404, 501])
def test_an_organisation_without_the_newer_function_is_asked_by_the_older(
    client: DataverseClient, sandbox: Sandbox, status: int
) -> None:
    """What comes through a team is then not counted in full, and the message says what to do."""
    sandbox.faults.add("status", "ByNames(", status=status, code="0x0", times=9)
    user, tables = client.who_am_i()["UserId"], DEFAULT_MODEL.entities
    assert ReadDepths(client, user, tables).warnings(tables) == []
    sandbox.organisation.set_read_depth("contact", "None")
    sandbox.organisation.set_team_depth("contact", "Global")
    (line,) = ReadDepths(client, user, tables).warnings(tables)
    assert "of the application user itself" in line


def test_privileges_that_may_not_be_asked_for_are_not_known(
    client: DataverseClient, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Then nothing counts as gone, and the log says so."""
    sandbox.faults.add("status", ".RetrieveUser", status=403, code="0x80040220", times=9)
    plan = organization_plan(client, (CONTACT,), language=None)
    assert plan.of(CONTACT).reads_every_row is None
    assert "privileges can't be determined, so no row counts as deleted" in caplog.text


def test_a_privilege_that_comes_and_goes_is_followed(
    client: DataverseClient, organisation: Organisation
) -> None:
    """It is asked for in every run."""
    seen = []
    for depth in ("Global", "Local", "Global"):
        organisation.set_read_depth("contact", depth)
        seen.append(organization_plan(client, (CONTACT,), language=None).of(CONTACT))
    assert [plan.reads_every_row for plan in seen] == [True, False, True]


def test_whether_every_row_is_seen_can_be_asked_again(
    client: DataverseClient, organisation: Organisation
) -> None:
    """A role that is changed in the middle of a run makes rows absent that are not gone."""
    assert sees_every_row(client, CONTACT) is True
    organisation.set_read_depth("contact", "Local")
    assert sees_every_row(client, CONTACT) is False
