"""A client can find out which secured columns it reads: by function, or by profiles and rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox.schema.security_tables import ADMINISTRATORS, ReadUnmasked

if TYPE_CHECKING:
    from dynamics_sandbox import Organisation
    from sandbox_caller import Caller

FUNCTION = "Microsoft.Dynamics.CRM.RetrievePrincipalAttributePrivileges()"
OF_PROFILE = "lk_fieldpermission_fieldsecurityprofileid"
NOWHERE = "00000000-0000-0000-0000-00000000dead"


@pytest.fixture
def team(organisation: Organisation) -> str:
    """A team that the application user is in, and that may read a secured column."""
    team = organisation.create("teams", {"name": "Readers"})
    organisation.join_team(team)
    organisation.secure_column("accounts", "sic")
    organisation.grant_column("accounts", "sic", team=team)
    return team


@pytest.fixture
def profile(organisation: Organisation) -> str:
    """The user's own profile: a secured and masked column of contacts."""
    organisation.secure_column("contacts", "governmentid")
    organisation.mask_column("contacts", "governmentid", pattern=r"\d", character="*")
    return organisation.grant_column("contacts", "governmentid", unmasked=ReadUnmasked.ALL_RECORDS)


def user(caller: Caller) -> str:
    """The path of the user who asks."""
    return f"systemusers({caller.read('WhoAmI')['UserId']})"


def attribute_id(caller: Caller, table: str, name: str) -> Any:
    """The id that metadata gives a column."""
    path = f"EntityDefinitions(LogicalName='{table}')/Attributes(LogicalName='{name}')"
    return caller.read(f"{path}?$select=MetadataId")["MetadataId"]


@pytest.mark.usefixtures("team", "profile")
def test_one_function_tells_all_rights_of_a_user(
    caller: Caller, organisation: Organisation
) -> None:
    """Those through teams included; columns without any right are not named."""
    organisation.secure_column("contacts", "employeeid")
    answer = caller.read(f"{user(caller)}/{FUNCTION}")
    names = ("AttributeId", "CanRead", "CanCreate", "CanUpdate", "CanReadUnMasked")
    found = {tuple(row[name] for name in names) for row in answer["AttributePrivileges"]}
    assert found == {
        (attribute_id(caller, "account", "sic"), 4, 0, 0, 0),
        (attribute_id(caller, "contact", "governmentid"), 4, 0, 0, 3),
    }


def test_the_function_answers_for_a_team_as_well(caller: Caller, team: str) -> None:
    """Bound to the team instead of the user."""
    [privilege] = caller.read(f"teams({team})/{FUNCTION}")["AttributePrivileges"]
    assert attribute_id(caller, "account", "sic") == privilege["AttributeId"]


def test_the_function_needs_the_right_to_read_users(
    caller: Caller, organisation: Organisation
) -> None:
    """And none on profiles or their permissions."""
    organisation.set_read_depth("fieldsecurityprofile", "None")
    organisation.set_read_depth("fieldpermission", "None")
    path = f"{user(caller)}/{FUNCTION}"
    assert caller.read(path)["AttributePrivileges"] == []
    organisation.set_read_depth("systemuser", "None")
    assert caller.refusal(path)[:2] == (403, "0x80040220")


def test_profiles_and_teams_of_a_user_are_reached_from_it(
    caller: Caller, profile: str, team: str
) -> None:
    """And from each of them its members and permissions."""
    own = f"{user(caller)}/systemuserprofiles_association?$select=name"
    assert [profile] == caller.values(own, "fieldsecurityprofileid")
    memberships = f"{user(caller)}/teammembership_association?$select=name"
    assert [team] == caller.values(memberships, "teamid")
    of_team = f"teams({team})/teamprofiles_association?$select=fieldsecurityprofileid"
    [other] = caller.values(of_team, "fieldsecurityprofileid")
    assert other != profile
    members = f"fieldsecurityprofiles({other})/teamprofiles_association?$select=name"
    assert caller.values(members, "name") == ["Readers"]
    path = f"fieldsecurityprofiles({profile})/{OF_PROFILE}?$select=attributelogicalname,canread"
    [permission] = caller.read(path)["value"]
    assert (permission["attributelogicalname"], permission["canread"]) == ("governmentid", 4)


@pytest.mark.usefixtures("profile", "team")
def test_the_administrators_profile_names_every_secured_column(
    caller: Caller, organisation: Organisation
) -> None:
    """Its id is the same everywhere; a column that is open again is no longer named."""
    path = (
        f"fieldsecurityprofiles({ADMINISTRATORS})/{OF_PROFILE}"
        "?$select=entityname,attributelogicalname&$count=true"
    )
    body = caller.read(path)
    context = "$metadata#fieldpermissions(entityname,attributelogicalname)"
    assert body["@odata.context"].endswith(context)
    assert body["@odata.count"] == 2
    names = "entityname", "attributelogicalname"
    named = {tuple(row[name] for name in names) for row in body["value"]}
    assert named == {("account", "sic"), ("contact", "governmentid")}
    organisation.unsecure_column("accounts", "sic")
    assert caller.values(path, "attributelogicalname") == ["governmentid"]


def test_permissions_can_be_filtered_and_paged_like_any_rows(
    caller: Caller, organisation: Organisation
) -> None:
    """Also below a profile, where the links stay on the same path."""
    names = ["employeeid", "governmentid", "jobtitle"]
    for name in names:
        organisation.secure_column("contacts", name)
    [profile] = {organisation.grant_column("contacts", name) for name in names}
    text = f"entityname eq 'contact' and _fieldsecurityprofileid_value eq {profile}"
    flat = f"fieldpermissions?$select=attributelogicalname&$filter={text}"
    below = f"fieldsecurityprofiles({profile})/{OF_PROFILE}?$orderby=attributelogicalname"
    assert names == sorted(caller.values(flat, "attributelogicalname"))
    pages = caller.pages(below, "odata.maxpagesize=2")
    assert [len(page["value"]) for page in pages] == [2, 1]
    assert names == [row["attributelogicalname"] for page in pages for row in page["value"]]


@pytest.mark.usefixtures("profile")
def test_masked_columns_are_rows_with_their_rule(caller: Caller) -> None:
    """The rule has its expression and the character that takes the place of what it matches."""
    [masked] = caller.read("attributemaskingrules?$filter=entityname eq 'contact'")["value"]
    assert masked["attributelogicalname"] == "governmentid"
    rule = caller.read(f"maskingrules({masked['_maskingruleid_value']})")
    assert (rule["regularexpression"], rule["maskedcharacter"]) == (r"\d", "*")


def test_profiles_need_a_privilege_of_their_own(caller: Caller, organisation: Organisation) -> None:
    """Which is rarely given to anybody but system administrators."""
    organisation.set_read_depth("fieldpermission", "None")
    status, code, message = caller.refusal("fieldpermissions")
    assert (status, code) == (403, "0x80040220")
    assert "prvReadFieldPermission" in message
    path = f"fieldsecurityprofiles({ADMINISTRATORS})/{OF_PROFILE}"
    assert caller.refusal(path)[0] == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"teams({NOWHERE})/teamprofiles_association", 404),
        (f"fieldsecurityprofiles({ADMINISTRATORS})/nosuch_association", 404),
        (f"accounts({NOWHERE})/teammembership_association", 404),
        (f"fieldsecurityprofiles({ADMINISTRATORS})?$expand={OF_PROFILE}", 501),
    ],
)
def test_other_ways_to_related_rows_are_refused(caller: Caller, path: str, status: int) -> None:
    """What is not there is a 404; what Dataverse has and the sandbox has not says so."""
    assert status == caller.refusal(path)[0]
