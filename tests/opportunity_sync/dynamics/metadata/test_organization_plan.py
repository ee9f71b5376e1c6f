"""The plan says what can be read, what is left out and why, and what codes mean."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox import TABLES, Attribute, Organisation
from opportunity_sync.dynamics import (
    DataverseClient,
    EntityPlan,
    LeftOut,
    PageDecoder,
    Plan,
    first_query,
    organization_plan,
)
from opportunity_sync.errors import ConfigError, PrivilegeError
from opportunity_sync.model import ACCOUNT, CONTACT, DEFAULT_MODEL, OPPORTUNITY, Entity

if TYPE_CHECKING:
    from dynamics_sandbox import Sandbox


def the_plan(
    client: DataverseClient,
    *entities: Entity,
    language: int | None = None,
    time_zone: str | None = None,
) -> Plan:
    """The plan of these tables, all of them by default."""
    return organization_plan(
        client, entities or DEFAULT_MODEL.entities, language=language, time_zone=time_zone
    )


def entity_of(set_name: str) -> Entity:
    """The entity that is read from this set."""
    return next(entity for entity in DEFAULT_MODEL if entity.set_name == set_name)


def change(organisation: Organisation, set_name: str, name: str, **properties: Any) -> None:
    """Change properties of a column."""
    attribute: Attribute = TABLES[set_name].attributes[name]
    organisation.add_column(set_name, replace(attribute, **properties))


def test_a_standard_organisation_is_read_in_full(client: DataverseClient) -> None:
    """Only optional columns can be absent, and nobody hears of them."""
    plan = the_plan(client)
    for entity in DEFAULT_MODEL:
        needed = {field.column for field in entity.all_fields if not field.optional}
        assert needed <= set(plan.of(entity).columns)
        assert plan.of(entity).left_out == ()
        assert plan.of(entity).change_tracking_enabled


def test_labels_come_from_option_sets(client: DataverseClient) -> None:
    """State, status and picklist, by field and code."""
    labels = the_plan(client, OPPORTUNITY, CONTACT).labels
    assert labels["opportunity"]["stage"] == {0: "Open", 1: "Won", 2: "Lost"}
    assert {"person_status", "status_reason", "preferred_method_of_contact"} == set(
        labels["contact"]
    )


def test_a_plan_travels_as_json(client: DataverseClient) -> None:
    """It is kept with the staged rows and read by the other tasks."""
    plan = the_plan(client)
    assert plan == Plan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert plan.organization_id == client.who_am_i()["OrganizationId"]


@pytest.mark.parametrize(
    ("set_name", "name", "properties", "state", "reason"),
    [
        ("contacts", "jobtitle", {"is_valid_for_read": False}, "refused", "not valid for read"),
        ("contacts", "emailaddress1", {"is_secured": True}, "secured", "column security"),
        ("accounts", "revenue", {"type": "String"}, "retyped", "String, and money was expected"),
        ("accounts", "numberofemployees", {"type": "Double"}, "retyped", "integer was expected"),
        ("contacts", "createdon", {"behaviour": "DateOnly"}, "retyped", "an instant was expected"),
    ],
)
def test_a_column_that_cannot_be_read_is_left_out_by_name(
    client: DataverseClient,
    organisation: Organisation,
    caplog: pytest.LogCaptureFixture,
    set_name: str,
    name: str,
    properties: dict[str, Any],
    state: str,
    reason: str,
) -> None:
    """The run goes on, and the log says which column and why."""
    change(organisation, set_name, name, **properties)
    entity = entity_of(set_name)
    with caplog.at_level(logging.WARNING):
        (out,) = the_plan(client, entity).of(entity).left_out
    assert (name, state, True) == (out.source, out.state, reason in out.reason)
    assert f"{entity.name}.{name} is left out ({state}): {out.reason}" in caplog.text


def test_a_missing_column_is_left_out_and_the_rest_is_read(
    client: DataverseClient, organisation: Organisation
) -> None:
    """The native sync stops here."""
    organisation.remove_column("contacts", "jobtitle")
    organisation.create("contacts", {"lastname": "Byron"})
    plan = the_plan(client, CONTACT)
    missing = LeftOut(
        "jobtitle", "the organisation has no such column", "missing", column="job_title"
    )
    assert (missing,) == plan.of(CONTACT).left_out
    path, params = first_query(CONTACT, plan, None, None)
    (page,) = client.pages(path, params=params)
    (row,) = PageDecoder(CONTACT, plan).decode(page.body).table.to_pylist()
    assert (row["last_name"], row["job_title"]) == ("Byron", None)


def test_a_missing_optional_column_is_passed_over_without_a_word(
    client: DataverseClient, organisation: Organisation, caplog: pytest.LogCaptureFixture
) -> None:
    """An organisation without the sync filter is an ordinary one."""
    for set_name in ("opportunities", "accounts"):
        if "new_synctomkto" in TABLES[set_name].attributes:
            organisation.remove_column(set_name, "new_synctomkto")
    with caplog.at_level(logging.WARNING):
        plan = the_plan(client, OPPORTUNITY, ACCOUNT)
    assert "sync_filter" not in plan.of(OPPORTUNITY).columns
    assert caplog.text == ""


def test_a_column_that_only_the_query_does_not_know_is_left_out_too(
    client: DataverseClient, sandbox: Sandbox
) -> None:
    """Metadata's flags are known to be wrong at times."""
    message = "Could not find a property named 'jobtitle' on type 'Microsoft.Dynamics.CRM.contact'."
    body = json.dumps({"error": {"code": "0x80060888", "message": message}})
    sandbox.faults.add("status", "contacts", status=400, body=body)
    (out,) = the_plan(client, CONTACT).of(CONTACT).left_out
    assert (out.source, out.state) == ("jobtitle", "refused")


def test_a_table_that_may_not_be_read_is_a_privilege_error(
    client: DataverseClient, sandbox: Sandbox
) -> None:
    """Found out before the reading begins, with the privilege's name."""
    message = "User is missing prvReadContact privilege (Id=1) on OTC=2 for entity 'contact'."
    body = json.dumps({"error": {"code": "0x80040220", "message": message}})
    sandbox.faults.add("status", "contacts", status=403, body=body)
    with pytest.raises(PrivilegeError, match="prvReadContact on table contact"):
        the_plan(client)


def test_a_table_that_is_missing_is_a_configuration_error(
    client: DataverseClient, sandbox: Sandbox
) -> None:
    """An organisation without Sales has no opportunities."""
    sandbox.faults.add("status", "LogicalName='opportunity'", status=404, code="0x80040217")
    with pytest.raises(ConfigError, match="no table opportunity"):
        the_plan(client)


def test_the_interpretations_follow_the_columns_only(
    client: DataverseClient, organisation: Organisation
) -> None:
    """A new label is no reason to read a table anew; a lost column is."""
    before = the_plan(client, CONTACT).of(CONTACT).interpretations(CONTACT)
    options = {0: "Aktiv", 1: "Inaktiv"}
    change(organisation, "contacts", "statecode", options=options)
    renamed = the_plan(client, CONTACT)
    assert options == renamed.labels["contact"]["person_status"]
    assert before == renamed.of(CONTACT).interpretations(CONTACT)
    organisation.remove_column("contacts", "jobtitle")
    after = the_plan(client, CONTACT).of(CONTACT).interpretations(CONTACT)
    assert before.keys() - after.keys() == {"job_title"}


def test_a_language_without_translation_gives_the_users_label(client: DataverseClient) -> None:
    """A label in the wrong language is better than none."""
    plan = the_plan(client, OPPORTUNITY, language=1031)
    assert (plan.language, plan.labels["opportunity"]["stage"][0]) == (1031, "Open")


def test_metadata_costs_few_requests(client: DataverseClient) -> None:
    """Five tables, their choices and times, one row each."""
    the_plan(client)
    assert client.counters.requests <= 30


def test_the_report_is_readable(client: DataverseClient) -> None:
    """One line per table."""
    assert "contact: " in "\n".join(the_plan(client, CONTACT).report())


def test_interpretations_tell_a_day_in_a_time_zone_from_everything_else() -> None:
    """Another zone makes other values of the same rows, so it is another reading."""
    bare = EntityPlan(("name", "actual_close_date"))
    assert bare.interpretations(OPPORTUNITY) == {"name": "", "actual_close_date": ""}
    zoned = EntityPlan(bare.columns, zones={"actual_close_date": "Europe/Berlin"})
    assert zoned.interpretations(OPPORTUNITY)["actual_close_date"] == "day in Europe/Berlin"
