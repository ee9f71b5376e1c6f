"""What comes of a secured column depends on profiles, teams, masks and how it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox.schema.security_tables import ReadUnmasked

if TYPE_CHECKING:
    from dynamics_sandbox import Organisation
    from sandbox_caller import Caller

SECRET = "AB-123456"
MASKED = "##-######"
NO_DASH = "[^-]"


@pytest.fixture
def ada(organisation: Organisation) -> str:
    """A contact whose number is under column security, which nobody may read yet."""
    contact = organisation.create("contacts", {"fullname": "Ada", "governmentid": SECRET})
    organisation.secure_column("contacts", "governmentid")
    return contact


@pytest.fixture
def team(organisation: Organisation) -> str:
    """A team without members."""
    return organisation.create("teams", {"name": "Readers"})


def answers(caller: Caller, contact: str, options: str = "") -> tuple[Any, Any]:
    """The number as a collection has it, and as the row asked for by its key has it."""
    asked = f"?$select=governmentid{options}"
    [listed] = caller.values(f"contacts{asked}", "governmentid")
    return listed, caller.read(f"contacts({contact}){asked}")["governmentid"]


def test_a_secured_column_reads_as_null_without_a_right_to_it(caller: Caller, ada: str) -> None:
    """As if it were empty, in answers and in filters; nothing but metadata tells."""
    assert answers(caller, ada) == (None, None)
    assert caller.read("contacts?$filter=governmentid ne null")["value"] == []
    path = "EntityDefinitions(LogicalName='contact')/Attributes(LogicalName='governmentid')"
    assert caller.read(f"{path}?$select=IsSecured")["IsSecured"] is True


def test_a_right_of_the_user_itself_opens_the_column(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """Until it is taken away again; the row does not change by it."""
    version = organisation.row("contacts", ada)["versionnumber"]
    organisation.grant_column("contacts", "governmentid")
    assert answers(caller, ada) == (SECRET, SECRET)
    organisation.revoke_column("contacts", "governmentid")
    assert answers(caller, ada) == (None, None)
    assert version == organisation.row("contacts", ada)["versionnumber"]


def test_a_right_of_a_team_opens_the_column_for_its_members(
    caller: Caller, organisation: Organisation, ada: str, team: str
) -> None:
    """As long as they are members."""
    organisation.grant_column("contacts", "governmentid", team=team)
    assert answers(caller, ada) == (None, None)
    organisation.join_team(team)
    assert answers(caller, ada) == (SECRET, SECRET)
    organisation.leave_team(team)
    assert answers(caller, ada) == (None, None)


def test_a_system_administrator_reads_every_secured_column(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """Through the profile that names them all."""
    organisation.is_field_security_administrator = True
    assert answers(caller, ada) == (SECRET, SECRET)
    organisation.is_field_security_administrator = False
    assert answers(caller, ada) == (None, None)


def test_a_column_that_is_no_longer_secured_is_open_to_all(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """Secured again, the rights that were there before still count."""
    organisation.grant_column("contacts", "governmentid")
    organisation.mask_column("contacts", "governmentid", pattern=NO_DASH)
    organisation.unsecure_column("contacts", "governmentid")
    assert answers(caller, ada) == (SECRET, SECRET)
    organisation.secure_column("contacts", "governmentid")
    assert answers(caller, ada) == (MASKED, MASKED)
    organisation.restore_column("contacts", "governmentid")
    organisation.secure_column("contacts", "governmentid")
    assert answers(caller, ada) == (None, None)


@pytest.mark.parametrize(
    ("unmasked", "plain", "asked"),
    [
        (ReadUnmasked.NOT_ALLOWED, (MASKED, MASKED), (MASKED, MASKED)),
        (ReadUnmasked.ONE_RECORD, (MASKED, MASKED), (MASKED, SECRET)),
        (ReadUnmasked.ALL_RECORDS, (MASKED, MASKED), (SECRET, SECRET)),
    ],
)
def test_a_mask_is_lifted_only_where_it_is_asked_for_and_allowed(
    caller: Caller,
    organisation: Organisation,
    ada: str,
    unmasked: ReadUnmasked,
    plain: tuple[str, str],
    asked: tuple[str, str],
) -> None:
    """By default even those who may read the value are given what the rule leaves of it."""
    organisation.mask_column("contacts", "governmentid", pattern=NO_DASH)
    organisation.grant_column("contacts", "governmentid", unmasked=unmasked)
    assert plain == answers(caller, ada)
    assert asked == answers(caller, ada, "&UnMaskedData=true")
    organisation.unmask_column("contacts", "governmentid")
    assert answers(caller, ada) == (SECRET, SECRET)


def test_a_mask_shows_nothing_to_those_without_a_right(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """Not even that there is a value."""
    organisation.mask_column("contacts", "governmentid")
    assert answers(caller, ada) == (None, None)
    assert answers(caller, ada, "&UnMaskedData=true") == (None, None)


def test_a_mask_holds_for_system_administrators_until_they_ask(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """Told of live organisations; not documented."""
    organisation.mask_column("contacts", "governmentid", pattern=NO_DASH)
    organisation.is_field_security_administrator = True
    assert answers(caller, ada) == (MASKED, MASKED)
    assert answers(caller, ada, "&UnMaskedData=true") == (SECRET, SECRET)


def test_the_widest_of_several_rights_counts(
    caller: Caller, organisation: Organisation, ada: str, team: str
) -> None:
    """One through the user, one through a team."""
    organisation.mask_column("contacts", "governmentid", pattern=NO_DASH)
    organisation.grant_column("contacts", "governmentid")
    organisation.grant_column(
        "contacts", "governmentid", team=team, unmasked=ReadUnmasked.ALL_RECORDS
    )
    organisation.join_team(team)
    assert answers(caller, ada, "&UnMaskedData=true") == (SECRET, SECRET)


def test_a_change_feed_masks_as_a_collection_does(
    caller: Caller, organisation: Organisation, ada: str
) -> None:
    """Its links keep what the first request asked for."""
    organisation.mask_column("contacts", "governmentid", pattern=NO_DASH)
    organisation.grant_column("contacts", "governmentid", unmasked=ReadUnmasked.ALL_RECORDS)
    select = "contacts?$select=governmentid"
    for options, expected in (("", MASKED), ("&UnMaskedData=true", SECRET)):
        first = caller.read(f"{select}{options}", "odata.track-changes")
        organisation.update("contacts", ada, {"jobtitle": options})
        [changed] = caller.read(first["@odata.deltaLink"])["value"]
        assert expected == changed["governmentid"] == first["value"][0]["governmentid"]


def test_a_secured_lookup_shows_neither_its_row_nor_its_table(
    caller: Caller, organisation: Organisation
) -> None:
    """The annotations are hidden with the value."""
    account = organisation.create("accounts", {"name": "Umbra"})
    organisation.create("contacts", {"_parentcustomerid_value": account})
    organisation.secure_column("contacts", "parentcustomerid")
    path = "contacts?$select=_parentcustomerid_value"
    [row] = caller.read(path, 'odata.include-annotations="*"')["value"]
    assert [value for name, value in row.items() if name.startswith("_parent")] == [None]


def test_rules_and_rights_that_dataverse_refuses_are_refused(organisation: Organisation) -> None:
    """A mask over what is no text or number, the right to lift a mask that isn't there."""
    with pytest.raises(ValueError, match="birthdate is DateTime"):
        organisation.mask_column("contacts", "birthdate")
    with pytest.raises(ValueError, match="governmentid has no mask"):
        organisation.grant_column("contacts", "governmentid", unmasked=ReadUnmasked.ONE_RECORD)
    with pytest.raises(KeyError, match="does not exist"):
        organisation.revoke_column("contacts", "governmentid")
    with pytest.raises(KeyError, match="does not exist"):
        organisation.join_team("00000000-0000-0000-0000-00000000dead")
