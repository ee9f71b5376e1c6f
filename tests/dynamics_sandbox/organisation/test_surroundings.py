"""Columns, metadata, privileges and clocks change around the rows, and each change shows."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox import Organisation, SandboxAdmin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dynamics_sandbox import Sandbox
    from sandbox_caller import Caller

ATTRIBUTES = "EntityDefinitions(LogicalName='contact')?$expand=Attributes"
TRACKED = "odata.track-changes"


def metadata(caller: Caller, name: str) -> Mapping[str, Any] | None:
    """A contact column as the table's metadata has it, if it does."""
    columns = caller.read(ATTRIBUTES)["Attributes"]
    return next((column for column in columns if column["LogicalName"] == name), None)


@pytest.fixture
def ada(organisation: Organisation) -> str:
    """A contact with a job."""
    return organisation.create("contacts", {"fullname": "Ada", "jobtitle": "Countess"})


def test_a_dropped_column_is_gone_everywhere_and_comes_back_with_its_values(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """From metadata, queries and the links that name it."""
    link = caller.read("contacts?$select=fullname,jobtitle", TRACKED)["@odata.deltaLink"]
    organisation.drop_column("contacts", "jobtitle")
    unknown = "Could not find a property named 'jobtitle' on type 'Microsoft.Dynamics.CRM.contact'."
    for asked in ("contacts?$select=jobtitle", "contacts?$filter=jobtitle eq 'x'", link):
        assert caller.refusal(asked) == (400, "0x80060888", unknown)
    assert metadata(caller, "jobtitle") is None
    assert 'Name="jobtitle"' not in caller.get("$metadata").text
    assert "jobtitle" not in caller.read(f"contacts({ada})")
    organisation.restore_column("contacts", "jobtitle")
    assert caller.read(f"contacts({ada})?$select=jobtitle")["jobtitle"] == "Countess"
    assert caller.read(link)["value"] == []


def test_a_secured_column_reads_as_null_and_a_masked_one_as_a_false_text(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """Nothing in the row tells so; the metadata does."""
    organisation.secure_column("contacts", "jobtitle")
    assert (metadata(caller, "jobtitle") or {})["IsSecured"]
    assert caller.read(f"contacts({ada})?$select=jobtitle")["jobtitle"] is None
    assert caller.read("contacts?$filter=jobtitle ne null")["value"] == []
    organisation.secure_column("contacts", "jobtitle", masked=True)
    assert caller.read(f"contacts({ada})?$select=jobtitle")["jobtitle"] == "C***"


@pytest.mark.parametrize(
    ("kind", "value"), [("Integer", 8), ("Boolean", True), ("DateTime", "2026-01-01T00:00:00Z")]
)
def test_a_retyped_column_has_values_of_its_new_type(
    caller: Caller, organisation: Organisation, ada: str, kind: str, value: Any
) -> None:
    """As metadata says and rows hold."""
    organisation.retype_column("contacts", "jobtitle", kind)
    assert (metadata(caller, "jobtitle") or {})["AttributeType"] == kind
    assert caller.read(f"contacts({ada})?$select=jobtitle")["jobtitle"] == value


def test_a_date_can_become_a_time_of_the_users_zone(
    caller: Caller, organisation: Organisation
) -> None:
    """As it is in organisations that were upgraded from the time before dates."""
    row = organisation.create("opportunities", {"actualclosedate": "2026-02-03"})
    organisation.retype_column("opportunities", "actualclosedate", "DateTime", date_only=False)
    path = f"opportunities({row})?$select=actualclosedate"
    assert caller.read(path)["actualclosedate"] == "2026-02-03T00:00:00Z"


def test_metadata_can_lack_a_column_for_some_answers(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """While queries know it all the time."""
    organisation.leave_out_of_metadata("contacts", "jobtitle", 2)
    own = "EntityDefinitions(LogicalName='contact')/Attributes(LogicalName='jobtitle')"
    assert metadata(caller, "jobtitle") is None
    assert caller.refusal(own)[0] == 404
    assert caller.read("contacts?$select=jobtitle")["value"][0]["contactid"] == ada
    assert caller.read(own)["LogicalName"] == "jobtitle"


def test_metadata_can_have_holes(caller: Caller, organisation: Organisation) -> None:
    """Where a reader expects a type, a list or a label."""
    organisation.garble_metadata("contacts", "jobtitle", AttributeType=None)
    organisation.garble_metadata("contacts", "statecode", OptionSet={"Options": None})
    assert (metadata(caller, "jobtitle") or {})["AttributeType"] is None
    cast = "EntityDefinitions(LogicalName='contact')/Attributes/Microsoft.Dynamics.CRM"
    (state,) = caller.read(f"{cast}.StateAttributeMetadata?$expand=OptionSet")["value"]
    assert state["OptionSet"] == {"Options": None}


def test_a_custom_column_can_come_later(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """Null in the rows that are there."""
    organisation.add_column("contacts", "new_synctomkto")
    assert (metadata(caller, "new_synctomkto") or {})["AttributeType"] == "Boolean"
    path = f"contacts({ada})?$select=new_synctomkto"
    assert caller.read(path)["new_synctomkto"] is None
    organisation.update("contacts", ada, {"new_synctomkto": False})
    assert caller.read(path)["new_synctomkto"] is False


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
