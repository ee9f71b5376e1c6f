"""A secured column is read where the application user may read it, and nowhere else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from opportunity_sync.dynamics import (
    DataverseClient,
    EntityPlan,
    organization_plan,
    require_same_security,
)
from opportunity_sync.errors import ConfigError, TransientError
from opportunity_sync.model import CONTACT, DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from dynamics_sandbox import Organisation, Sandbox
    from opportunity_sync.model import Entity

    ReadContact = Callable[..., tuple[Entity, EntityPlan]]

FUNCTION = ".RetrievePrincipalAttributePrivileges"
MASKS = "attributemaskingrules"


def plan_of(client: DataverseClient) -> EntityPlan:
    """The plan of contacts."""
    return organization_plan(client, (CONTACT,), language=None).of(CONTACT)


def states(plan: EntityPlan) -> dict[str, str]:
    """Why columns are left out, by what the store calls them."""
    return {out.column: out.state for out in plan.left_out}


@pytest.fixture
def title(organisation: Organisation) -> str:
    """A column under column security, and a contact that has it."""
    organisation.create("contacts", {"jobtitle": "Countess"})
    organisation.secure_column("contacts", "jobtitle")
    return "jobtitle"


@pytest.fixture
def team(organisation: Organisation) -> str:
    """A team that the application user is in."""
    team = organisation.create("teams", {"name": "Readers"})
    organisation.join_team(team)
    return team


def test_a_secured_column_that_the_user_may_read_is_read(
    client: DataverseClient, organisation: Organisation, title: str
) -> None:
    """The plan names it, so that it is looked at again when all has been read."""
    assert states(plan_of(client)) == {"job_title": "secured"}
    organisation.grant_column("contacts", title)
    plan = plan_of(client)
    assert "job_title" in plan.columns
    assert (plan.left_out, plan.secured) == ((), ("job_title",))


def test_a_right_of_a_team_counts_as_long_as_the_user_is_in_it(
    client: DataverseClient, organisation: Organisation, title: str, team: str
) -> None:
    """The function that is asked counts teams in."""
    organisation.grant_column("contacts", title, team=team)
    assert plan_of(client).secured == ("job_title",)
    organisation.leave_team(team)
    assert states(plan_of(client)) == {"job_title": "secured"}


def test_a_system_administrator_reads_every_secured_column(
    client: DataverseClient, organisation: Organisation, title: str
) -> None:
    """Through the profile that names them all."""
    assert title
    organisation.is_field_security_administrator = True
    assert plan_of(client).secured == ("job_title",)


@pytest.mark.parametrize("unmasked", [0, 1, 3])
def test_a_masked_column_is_not_read_whatever_right_there_is(
    client: DataverseClient, organisation: Organisation, title: str, unmasked: int
) -> None:
    """Values come without their mask only where a request asks for it, and none does."""
    organisation.mask_column("contacts", title)
    organisation.grant_column("contacts", title, unmasked=unmasked)
    plan = plan_of(client)
    assert (states(plan), plan.secured) == ({"job_title": "masked"}, ())
    organisation.unmask_column("contacts", title)
    assert plan_of(client).secured == ("job_title",)


def test_a_selected_column_under_column_security_is_a_field_where_it_can_be_read(
    organisation: Organisation, read_contact: ReadContact
) -> None:
    """And no field where it can't, though its type is known."""
    organisation.add_column("contacts", "new_region", "String", is_secured=True)
    entity, plan = read_contact(region="new_region")
    assert "region" not in {field.column for field in entity.fields}
    assert states(plan) == {"region": "secured"}
    organisation.grant_column("contacts", "new_region")
    entity, plan = read_contact(region="new_region")
    assert "region" in {field.column for field in entity.fields}
    assert plan.secured == ("region",)


def test_a_secured_column_of_the_rules_is_read_where_it_can_be(
    client: DataverseClient, organisation: Organisation
) -> None:
    """Otherwise it stops the run: a null would be taken for the truth."""
    organisation.secure_column("contacts", "parentcustomerid")
    with pytest.raises(ConfigError, match=r"contact\.parentcustomerid can't be read"):
        plan_of(client)
    organisation.grant_column("contacts", "parentcustomerid")
    plan = plan_of(client)
    assert "parent" in plan.columns
    assert plan.secured == ("parent",)


def test_the_type_of_a_secured_column_still_has_to_fit(
    client: DataverseClient, organisation: Organisation, title: str
) -> None:
    """A right makes no text of a number."""
    organisation.grant_column("contacts", title)
    organisation.retype_column("contacts", title, "Integer")
    assert states(plan_of(client)) == {"job_title": "retyped"}


# What is asked


def asked(sandbox: Sandbox) -> list[str]:
    """The questions about column security so far."""
    marks = (FUNCTION, MASKS, "fieldpermissions", "profiles_association")
    paths = (request.path for request in sandbox.requests.all("/api/data/"))
    return [path for path in paths if any(mark in path for mark in marks)]


def test_rights_are_asked_for_once_and_only_where_a_selected_column_is_secured(
    client: DataverseClient, organisation: Organisation, sandbox: Sandbox
) -> None:
    """Two questions for all tables."""
    organisation.secure_column("contacts", "governmentid")
    organization_plan(client, DEFAULT_MODEL.entities, language=None)
    assert asked(sandbox) == []
    organisation.secure_column("contacts", "jobtitle")
    organisation.secure_column("accounts", "sic")
    organization_plan(client, DEFAULT_MODEL.entities, language=None)
    assert len(asked(sandbox)) == 2


def test_without_the_function_profiles_and_their_permissions_are_asked(
    client: DataverseClient, organisation: Organisation, sandbox: Sandbox, team: str
) -> None:
    """Those of the user and those of its teams; a profile of others counts for nothing."""
    others = organisation.create("teams", {"name": "Others"})
    for name in ("jobtitle", "emailaddress1", "salutation", "lastname"):
        organisation.secure_column("contacts", name)
    organisation.grant_column("contacts", "jobtitle")
    organisation.grant_column("contacts", "emailaddress1", team=team)
    organisation.grant_column("contacts", "salutation", team=others)
    organisation.is_field_security_administrator = False
    sandbox.faults.add("status", FUNCTION, status=404, code="0x80060888", times=9)
    plan = plan_of(client)
    assert plan.secured == ("email", "job_title")
    assert states(plan) == {"salutation": "secured", "last_name": "secured"}


@pytest.mark.parametrize("body", ["{}", '{"AttributePrivileges": null}', "<html>"])
def test_a_function_that_answers_something_else_is_not_believed(
    client: DataverseClient, organisation: Organisation, sandbox: Sandbox, title: str, body: str
) -> None:
    """The permissions decide."""
    organisation.grant_column("contacts", title)
    sandbox.faults.add("status", FUNCTION, status=200, body=body, times=9)
    assert plan_of(client).secured == ("job_title",)


@pytest.mark.parametrize(
    "privilege",
    [None, 5, {}, {"AttributeId": None, "CanRead": 4}, {"AttributeId": 5, "CanRead": 4}],
)
def test_a_right_that_can_not_be_understood_is_none(
    client: DataverseClient, sandbox: Sandbox, title: str, privilege: Any
) -> None:
    """A column wrongly left out keeps its values, one wrongly read loses them."""
    assert title
    answer = {"AttributePrivileges": [privilege]}
    sandbox.faults.add("status", FUNCTION, status=200, body=json.dumps(answer))
    assert states(plan_of(client)) == {"job_title": "secured"}


@pytest.mark.parametrize("table", ["systemuser", "fieldpermission"])
def test_rights_that_may_not_be_asked_for_are_none(
    client: DataverseClient, organisation: Organisation, title: str, table: str
) -> None:
    """With the right to read users the function answers; without it nothing does."""
    organisation.grant_column("contacts", title)
    organisation.set_read_depth(table, "None")
    plan = plan_of(client)
    if table == "systemuser":
        (out,) = plan.left_out
        assert out.column == "job_title"
        assert "can't be found out" in out.reason
    else:
        assert plan.secured == ("job_title",)


@pytest.mark.parametrize("shown", ["Countess", None])
def test_where_rights_are_not_known_a_value_shows_what_may_be_a_mask(
    client: DataverseClient, organisation: Organisation, sandbox: Sandbox, shown: str | None
) -> None:
    """Whatever comes is not taken: nobody says that it is the value itself."""
    organisation.create("contacts", {"jobtitle": shown})
    organisation.secure_column("contacts", "jobtitle")
    organisation.grant_column("contacts", "jobtitle")
    sandbox.faults.add("status", MASKS, status=403, code="0x80040220", times=9)
    assert states(plan_of(client)) == {"job_title": "masked" if shown else "secured"}


def test_an_organisation_without_masking_rules_has_no_masks(
    client: DataverseClient, organisation: Organisation, sandbox: Sandbox, title: str
) -> None:
    """An older one does not know the table."""
    organisation.grant_column("contacts", title)
    sandbox.faults.add("status", MASKS, status=404, code="0x80060888")
    assert plan_of(client).secured == ("job_title",)


def test_a_question_that_fails_for_now_is_asked_again(
    client: DataverseClient, organisation: Organisation, sandbox: Sandbox, title: str
) -> None:
    """That Dataverse is busy is no refusal."""
    organisation.grant_column("contacts", title)
    sandbox.faults.add("status", FUNCTION, status=503, code="0x0")
    assert plan_of(client).secured == ("job_title",)
    sandbox.faults.add("status", FUNCTION, status=503, code="0x0", times=9)
    with pytest.raises(TransientError):
        plan_of(client)


# When all has been read


def test_security_that_is_the_same_as_when_it_was_planned_is_passed(
    client: DataverseClient, organisation: Organisation, title: str
) -> None:
    """Of a table without secured columns nothing but the metadata is asked for."""
    organisation.grant_column("contacts", title)
    require_same_security(client, CONTACT, plan_of(client))
    organisation.unsecure_column("contacts", title)
    require_same_security(client, CONTACT, plan_of(client))


@pytest.mark.parametrize("event", ["revoked", "left", "masked", "secured", "unknown"])
def test_a_column_that_was_hidden_since_the_plan_is_said_by_name(
    client: DataverseClient,
    organisation: Organisation,
    sandbox: Sandbox,
    title: str,
    team: str,
    event: str,
) -> None:
    """What was read of it may be null or masked, and the rows' versions won't move again."""
    organisation.grant_column("contacts", title, team=team)
    plan = plan_of(client)
    if event == "revoked":
        organisation.revoke_column("contacts", title, team=team)
    elif event == "left":
        organisation.leave_team(team)
    elif event == "masked":
        organisation.mask_column("contacts", title)
    elif event == "secured":
        organisation.secure_column("contacts", "emailaddress1")
    else:
        sandbox.faults.add("status", MASKS, status=403, code="0x80040220", times=9)
    name = "emailaddress1" if event == "secured" else title
    with pytest.raises(ConfigError, match=rf"contact\.{name} came under column security") as caught:
        require_same_security(client, CONTACT, plan)
    assert "clear the whole DAG run" in caught.value.next_step


def test_what_is_not_planned_may_be_hidden_at_any_time(
    client: DataverseClient, organisation: Organisation, title: str
) -> None:
    """It was left out already, or was never selected."""
    plan = plan_of(client)
    assert title not in plan.columns
    organisation.secure_column("contacts", "governmentid")
    require_same_security(client, CONTACT, plan)


def test_a_hidden_column_that_the_second_answer_lacks_is_found_all_the_same(
    client: DataverseClient, organisation: Organisation
) -> None:
    """It is asked for by itself."""
    plan = plan_of(client)
    organisation.secure_column("contacts", "jobtitle")
    organisation.leave_out_of_metadata("contacts", "jobtitle")
    with pytest.raises(ConfigError, match="jobtitle"):
        require_same_security(client, CONTACT, plan)


@pytest.mark.parametrize("hole", ["null", "missing"])
@pytest.mark.parametrize("event", ["hidden", "shown", "dropped"])
def test_a_column_whose_security_is_not_told_any_more_counts_where_it_surely_was_not_hidden(
    client: DataverseClient, organisation: Organisation, hole: str, event: str
) -> None:
    """A row shows a value, or queries do not know it; else what was read may be null."""
    organisation.create("contacts", {"jobtitle": "Countess"})
    plan = plan_of(client)
    if hole == "null":
        organisation.garble_metadata("contacts", "jobtitle", IsSecured=None)
    else:
        organisation.leave_out_of_metadata("contacts", "jobtitle", None)
    if event == "hidden":
        organisation.secure_column("contacts", "jobtitle")
        with pytest.raises(ConfigError, match="metadata does not say whether"):
            require_same_security(client, CONTACT, plan)
        return
    if event == "dropped":
        organisation.drop_column("contacts", "jobtitle")
    require_same_security(client, CONTACT, plan)


def answer_permissions(sandbox: Sandbox, organisation: Organisation, how: str) -> None:
    """Let the function be unknown, and the page of permissions be written in another way."""
    sandbox.faults.add("status", FUNCTION, status=404, code="0x80060888", times=9)
    named = {"entityname": "contact", "attributelogicalname": "jobtitle", "canread": 4}
    profiles = [row["fieldsecurityprofileid"] for row in organisation.rows("fieldsecurityprofiles")]
    rows = [{**named, "_fieldsecurityprofileid_value": each.upper()} for each in profiles]
    if how == "odd values":
        odd: tuple[Any, ...] = ({}, [], 5, None)
        rows += [{**named, "_fieldsecurityprofileid_value": each} for each in odd]
    body = json.dumps({"value": rows})
    if how == "no text":
        body = body[:-2] + ', {"x": "\\ud800"}]}'
    sandbox.faults.add("status", "fieldpermissions", status=200, body=body)


@pytest.mark.parametrize("how", ["in capitals", "odd values", "no text"])
def test_permissions_are_read_however_they_are_written(
    client: DataverseClient, organisation: Organisation, sandbox: Sandbox, title: str, how: str
) -> None:
    """An id is the same in capitals, and an odd row costs no other."""
    organisation.grant_column("contacts", title)
    answer_permissions(sandbox, organisation, how)
    assert plan_of(client).secured == ("job_title",)
