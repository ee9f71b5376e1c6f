"""Answers, privileges and clocks change around the rows, and each change shows."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest

from dynamics_sandbox import Organisation, SandboxAdmin

if TYPE_CHECKING:
    from dynamics_sandbox import Sandbox
    from sandbox_caller import Caller

TRACKED = "odata.track-changes"


@pytest.fixture
def ada(organisation: Organisation) -> str:
    """A contact with a job."""
    return organisation.create("contacts", {"fullname": "Ada", "jobtitle": "Countess"})


def test_one_row_can_come_with_any_value(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """Of a wrong type, out of range, or as bytes that are no JSON text at all."""
    organisation.garble(
        "contacts", ada, {"createdon": "0000-01-01", "contactid": None}, raw={"jobtitle": '"\xff"'}
    )
    body = caller.get("contacts?$select=createdon,jobtitle").content
    assert b'"createdon":"0000-01-01","jobtitle":"\xff","contactid":null' in body
    organisation.mend("contacts", ada)
    assert caller.read("contacts?$select=jobtitle")["value"][0]["jobtitle"] == "Countess"


def test_privileges_of_teams_count_in_full_only_where_asked_by_name(
    caller: Caller, organisation: Organisation
) -> None:
    """The other function gives them as Basic, whatever they are."""
    organisation.set_read_depth("contact", "None")
    organisation.set_team_depth("contact", "Global")
    user = f"systemusers({caller.read('WhoAmI')['UserId']})/Microsoft.Dynamics.CRM"
    shallow = caller.read(f"{user}.RetrieveUserPrivileges")["RolePrivileges"]
    assert {"Basic"} == {
        row["Depth"] for row in shallow if row["PrivilegeName"] == "prvReadContact"
    }
    asked = "RetrieveUserSetOfPrivilegesByNames(PrivilegeNames=@p)"
    path = f'{user}.{asked}?@p=["prvReadContact"]'
    (privilege,) = caller.read(path)["RolePrivileges"]
    assert (privilege["PrivilegeName"], privilege["Depth"]) == ("prvReadContact", "Global")
    assert caller.get("contacts", TRACKED).status_code == 200
    organisation.set_team_depth("contact", "None")
    assert caller.refusal("contacts")[0] == 403


def test_the_answers_clock_can_be_ahead_of_the_one_that_stamps_rows(
    caller: Caller, organisation: Organisation
) -> None:
    """For all answers, or for the next few."""
    organisation.skew_clock(900)
    asked = parsedate_to_datetime(caller.get("WhoAmI").headers["Date"])
    assert asked - organisation.now == timedelta(minutes=15)
    organisation.skew_clock(-60, answers=1)
    first, second = (caller.get("WhoAmI").headers["Date"] for _ in range(2))
    assert (parsedate_to_datetime(first) - organisation.now).total_seconds() == -60
    assert parsedate_to_datetime(second) == organisation.now


def test_change_tracking_can_be_switched_off_and_on(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """A link from before is of no use after; another table's goes on."""
    link, other = (
        caller.read(name, TRACKED)["@odata.deltaLink"] for name in ("contacts", "accounts")
    )
    organisation.set_change_tracking("contacts", enabled=False)
    assert caller.refusal(link)[0] == 400
    assert caller.refusal("contacts", TRACKED)[0] == 400
    organisation.set_change_tracking("contacts", enabled=True)
    assert caller.refusal(link)[1] == "0x80044352"
    (row,) = caller.read("contacts", TRACKED)["value"]
    assert row["contactid"] == ada
    assert caller.read(other)["value"] == []


def test_another_organisation_can_answer_at_the_same_address(
    caller: Caller, sandbox: Sandbox, organisation: Organisation
) -> None:
    """By its id alone, or with all its rows."""
    before = organisation.switch_identity("11111111-0000-4000-8000-000000000000")
    assert caller.read("WhoAmI")["OrganizationId"].startswith("11111111")
    organisation.switch_identity(before)
    assert before == caller.read("WhoAmI")["OrganizationId"]
    other = Organisation.empty()
    other.create("contacts", {"fullname": "Grace"})
    sandbox.serve(other)
    assert caller.read("contacts?$select=fullname")["value"][0]["fullname"] == "Grace"
    assert caller.read("WhoAmI")["OrganizationId"] == other.organisation_id


def test_everything_can_be_changed_from_another_process(
    caller: Caller, sandbox: Sandbox, ada: str
) -> None:
    """By the same names and arguments."""
    with SandboxAdmin(sandbox.admin_url, sandbox.admin_token, str(sandbox.ca_path)) as admin:
        admin.call("drop_column", "contacts", "jobtitle")
        assert caller.refusal("contacts?$select=jobtitle")[0] == 400
        admin.call("restore_column", "contacts", "jobtitle")
        admin.call("garble", set_name="contacts", row_id=ada, values={"jobtitle": 5})
        admin.call("skew_clock", 60)
    assert caller.read("contacts?$select=jobtitle")["value"][0]["jobtitle"] == 5
