"""Metadata has holes, lies at times and changes: no column is lost by it, and none is emptied."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from opportunity_sync.dynamics import DataverseClient, EntityPlan, organization_plan
from opportunity_sync.dynamics.metadata.attributes import COLUMN_PROPERTIES
from opportunity_sync.errors import ConfigError, ResponseError
from opportunity_sync.model import (
    CONNECTION_ROLE,
    CONTACT,
    DEFAULT_MODEL,
    OPPORTUNITY,
    Entity,
    Kind,
)

if TYPE_CHECKING:
    from dynamics_sandbox import Organisation, Sandbox


def plan_of(
    client: DataverseClient,
    entity: Entity,
    *,
    language: int | None = None,
    time_zone: str | None = None,
) -> EntityPlan:
    """The plan of one table."""
    plan = organization_plan(client, (entity,), language=language, time_zone=time_zone)
    return plan.of(entity)


def add_filter(organisation: Organisation) -> None:
    """The sync filter on every table that can have it."""
    for set_name in ("opportunities", "contacts", "accounts"):
        organisation.add_column(set_name, "new_synctomkto")


# A column that one answer lacks


@pytest.mark.parametrize(
    ("entity_name", "source", "column"),
    [
        ("contact", "jobtitle", "job_title"),
        ("contact", "new_synctomkto", "sync_filter"),
        ("contact", "parentcustomerid", "parent"),
        ("account", "industrycode", "industry"),
        ("account", "revenue", "annual_revenue"),
        ("opportunity", "actualclosedate", "actual_close_date"),
        ("connectionrole", "category", "category"),
    ],
)
def test_a_column_that_one_metadata_answer_lacks_is_read_all_the_same(
    client: DataverseClient,
    organisation: Organisation,
    caplog: pytest.LogCaptureFixture,
    entity_name: str,
    source: str,
    column: str,
) -> None:
    """It is asked for before it is given up, and a query knows it."""
    add_filter(organisation)
    entity = DEFAULT_MODEL[entity_name]
    organisation.leave_out_of_metadata(entity.set_name, source)
    with caplog.at_level(logging.INFO):
        plan = plan_of(client, entity)
    assert column in plan.columns
    assert plan.left_out == ()
    assert f"{entity_name}.{source} is missing from an answer" in caplog.text


@pytest.mark.parametrize("times", [1, 2, 3, None])
def test_a_column_is_read_however_many_answers_lack_it(
    client: DataverseClient, organisation: Organisation, times: int | None
) -> None:
    """A query knows it and a row has a value, so nothing hides it; labels come where told."""
    organisation.create("accounts", {"industrycode": 1})
    organisation.leave_out_of_metadata("accounts", "industrycode", times)
    plan = plan_of(client, DEFAULT_MODEL["account"])
    assert "industry" in plan.columns
    assert plan.left_out == ()


def test_a_secured_column_that_one_answer_lacks_is_not_read(
    client: DataverseClient, organisation: Organisation
) -> None:
    """A query knows it, and gives null for every row: it is looked at a second time."""
    organisation.secure_column("contacts", "jobtitle")
    organisation.leave_out_of_metadata("contacts", "jobtitle")
    (out,) = plan_of(client, CONTACT).left_out
    assert (out.source, out.state) == ("jobtitle", "secured")


def test_absent_optional_columns_cost_one_question(
    client: DataverseClient, organisation: Organisation
) -> None:
    """The native solution brings all of its columns or none, and few organisations have them."""
    without = plan_of(client, CONTACT)
    before = client.counters.requests
    for name in ("mkt_leadscore", "mkt_priority"):
        organisation.add_column("contacts", name)
    with_some = plan_of(client, CONTACT)
    assert set(with_some.columns) - set(without.columns) == {"mkt_leadscore", "mkt_priority"}
    assert before <= 14


def test_one_optional_column_that_an_answer_lacks_is_read(
    client: DataverseClient, organisation: Organisation
) -> None:
    """Its sisters are there, so it is asked for by itself."""
    for name in ("mkt_leadscore", "mkt_priority"):
        organisation.add_column("contacts", name)
    organisation.leave_out_of_metadata("contacts", "mkt_priority")
    assert {"mkt_leadscore", "mkt_priority"} <= set(plan_of(client, CONTACT).columns)


# Columns that can't be read now


def test_a_masked_column_is_told_from_a_secured_one(
    client: DataverseClient, organisation: Organisation
) -> None:
    """One gives false texts, the other nothing; neither may reach the store."""
    organisation.create("contacts", {"jobtitle": "Countess", "department": "Engines"})
    organisation.secure_column("contacts", "jobtitle", masked=True)
    organisation.secure_column("contacts", "emailaddress1")
    states = {out.source: out.state for out in plan_of(client, CONTACT).left_out}
    assert states == {"jobtitle": "masked", "emailaddress1": "secured"}


@pytest.mark.parametrize(
    ("entity_name", "source"),
    [
        ("opportunity", "customerid"),
        ("contact", "parentcustomerid"),
        ("contact", "merged"),
        ("account", "masterid"),
        ("connection", "record2roleid"),
        ("connection", "statecode"),
        ("connectionrole", "category"),
    ],
)
@pytest.mark.parametrize("event", ["dropped", "secured", "retyped", "refused"])
def test_a_rule_column_that_cannot_be_read_stops_the_run(
    client: DataverseClient,
    organisation: Organisation,
    sandbox: Sandbox,
    entity_name: str,
    source: str,
    event: str,
) -> None:
    """Whichever door it is found at: the metadata, or the query for one row."""
    entity = DEFAULT_MODEL[entity_name]
    if event == "dropped":
        organisation.drop_column(entity.set_name, source)
    elif event == "retyped":
        organisation.retype_column(entity.set_name, source, "String")
    elif event == "refused":
        field = next(field for field in entity.facts if field.source == source)
        text = f"Could not find a property named '{field.select}' on type 'x'."
        body = json.dumps({"error": {"code": "0x80060888", "message": text}})
        sandbox.faults.add("status", entity.set_name, status=400, body=body)
    else:
        organisation.secure_column(entity.set_name, source)
    with pytest.raises(ConfigError, match=rf"{entity_name}\.{source} can't be read"):
        plan_of(client, entity)


@pytest.mark.parametrize("event", ["secured", "retyped"])
def test_a_filter_that_is_there_and_cannot_be_read_stops_the_run(
    client: DataverseClient, organisation: Organisation, event: str
) -> None:
    """Its null would mean yes for every row. No right to read gives a column its type back."""
    add_filter(organisation)
    if event == "secured":
        organisation.secure_column("contacts", "new_synctomkto")
    else:
        organisation.retype_column("contacts", "new_synctomkto", "String")
    with pytest.raises(ConfigError, match="new_synctomkto can't be read") as caught:
        plan_of(client, CONTACT)
    assert ("expected type" in caught.value.next_step) == (event == "retyped")


def test_a_filter_that_is_gone_is_left_to_those_who_know_the_store(
    client: DataverseClient, organisation: Organisation
) -> None:
    """Whether a No is known of the table decides what it means."""
    add_filter(organisation)
    organisation.drop_column("contacts", "new_synctomkto")
    plan = plan_of(client, CONTACT)
    assert ("sync_filter" in plan.columns, plan.left_out) == (False, ())


# Holes


@pytest.mark.parametrize(
    ("source", "properties"),
    [
        ("assistantname", {"AttributeType": None}),
        ("assistantname", {"AttributeType": 5, "IsSecured": "perhaps", "LogicalName": None}),
        ("gendercode", {"OptionSet": None, "GlobalOptionSet": None}),
        ("birthdate", {"DateTimeBehavior": None, "Format": None}),
        ("birthdate", {"AttributeType": None}),
    ],
)
def test_what_is_odd_about_a_column_that_nobody_selected_is_not_looked_at(
    client: DataverseClient, organisation: Organisation, source: str, properties: dict[str, Any]
) -> None:
    """An organisation has hundreds of them."""
    whole = plan_of(client, CONTACT)
    organisation.garble_metadata("contacts", source, **properties)
    assert whole == plan_of(client, CONTACT)


@pytest.mark.parametrize("kind", [None, 5, ["String"]])
def test_a_selected_column_without_a_type_is_read_as_what_it_is_by_default(
    client: DataverseClient, organisation: Organisation, kind: Any
) -> None:
    """The decoder looks at every value anyway."""
    organisation.garble_metadata("contacts", "jobtitle", AttributeType=kind)
    assert "job_title" in plan_of(client, CONTACT).columns


def test_what_may_mean_secured_is_not_read(
    client: DataverseClient, organisation: Organisation
) -> None:
    """A column wrongly left out keeps its values, one wrongly read loses them."""
    organisation.garble_metadata("contacts", "jobtitle", IsSecured="perhaps")
    (out,) = plan_of(client, CONTACT).left_out
    assert (out.source, out.state) == ("jobtitle", "secured")


@pytest.mark.parametrize(
    "option_set",
    [
        None,
        5,
        {},
        {"Options": None},
        {"Options": {}},
        {"Options": []},
        {"Options": [None, 5, {}, {"Value": None}, {"Value": "0"}, {"Value": True}]},
        {"Options": [{"Value": 0, "Label": None}, {"Value": 1, "Label": {}}]},
        {"Options": [{"Value": 0, "Label": {"LocalizedLabels": None}}]},
        {"Options": [{"Value": 0, "Label": {"LocalizedLabels": [None, {"Label": ""}]}}]},
        {"Options": [{"Value": 2**40, "Label": {"UserLocalizedLabel": {"Label": "x"}}}]},
    ],
)
def test_an_option_set_with_holes_names_what_it_names_and_nothing_else(
    client: DataverseClient, organisation: Organisation, option_set: Any
) -> None:
    """A label that is not named is no label that became empty, and other choices keep theirs."""
    organisation.garble_metadata("contacts", "statuscode", OptionSet=option_set)
    plan = plan_of(client, CONTACT)
    assert "status_reason" in plan.columns
    assert plan.labels.get("status_reason", {}) == {}
    assert plan.labels["person_status"] == {0: "Active", 1: "Inactive"}


def options(*labels: tuple[int, dict[str, Any]]) -> dict[str, Any]:
    """An option set with these labels by code."""
    return {"Options": [{"Value": code, "Label": label} for code, label in labels]}


def localized(text: str | None, language: int) -> dict[str, Any]:
    """A label in a language."""
    return {"Label": text, "LanguageCode": language}


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ({"LocalizedLabels": [localized("Offen", 1031), localized("Open", 1033)]}, "Open"),
        ({"LocalizedLabels": [localized("Offen", 1031)]}, "Offen"),
        ({"LocalizedLabels": [localized("", 1033), localized("Offen", 1031)]}, "Offen"),
        ({"LocalizedLabels": [localized(None, 1033), localized("Offen", 1031)]}, "Offen"),
        ({"LocalizedLabels": [], "UserLocalizedLabel": localized("Ouvert", 1036)}, "Ouvert"),
        (
            {
                "LocalizedLabels": [localized("Offen", 1031)],
                "UserLocalizedLabel": localized("Ouvert", 1036),
            },
            "Ouvert",
        ),
    ],
)
def test_an_option_without_a_label_in_the_wanted_language_has_any_other(
    client: DataverseClient, organisation: Organisation, label: dict[str, Any], expected: str
) -> None:
    """The user's own first: a label in another language is better than none."""
    organisation.garble_metadata("contacts", "statuscode", OptionSet=options((1, label)))
    assert plan_of(client, CONTACT, language=1033).labels["status_reason"] == {1: expected}


@pytest.mark.parametrize(
    ("match", "body"),
    [
        ("LogicalName='contact')?", {}),
        ("LogicalName='contact')?", {"EntitySetName": "contacts"}),
        ("LogicalName='contact')?", {"EntitySetName": "contacts", "Attributes": None}),
        ("LogicalName='contact')?", {"EntitySetName": None, "Attributes": []}),
        (".DateTimeAttributeMetadata", {}),
        (".DateTimeAttributeMetadata", {"value": None}),
        (".StateAttributeMetadata", {"value": {}}),
        (".PicklistAttributeMetadata", {"value": "x"}),
        (".RetrieveUserSetOfPrivilegesByNames", {"RolePrivileges": None}),
        ("organizations", {"value": None}),
        ("organizations", {"value": [{}]}),
        ("organizations", {"value": [{"languagecode": None}]}),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_asked_for_again(
    client: DataverseClient, sandbox: Sandbox, match: str, body: dict[str, Any]
) -> None:
    """A response error, which heals, and never a raw one."""
    sandbox.faults.add("status", match, status=200, body=json.dumps(body))
    with pytest.raises(ResponseError):
        plan_of(client, CONTACT)


@pytest.mark.parametrize("member", [None, 5, "x", [], {"LogicalName": None}, {}])
def test_a_hole_in_a_list_of_columns_is_passed_over(
    client: DataverseClient, sandbox: Sandbox, member: Any
) -> None:
    """The columns beside it are what they are."""
    body = json.dumps({"value": [member, {"LogicalName": "createdon", "Format": 5}]})
    sandbox.faults.add("status", ".DateTimeAttributeMetadata", status=200, body=body)
    plan = plan_of(client, CONNECTION_ROLE)
    assert plan.left_out == ()
    assert "created_at" in plan_of(client, CONTACT).columns


def test_a_label_that_no_database_can_hold_is_made_so_that_it_can(
    client: DataverseClient, organisation: Organisation
) -> None:
    """One character of one label would fail every load."""
    label = {"UserLocalizedLabel": localized("On\0 hold", 1033)}
    organisation.garble_metadata("contacts", "statuscode", OptionSet=options((1, label)))
    assert plan_of(client, CONTACT).labels["status_reason"] == {1: "On\ufffd hold"}


# Dates that come as instants


@pytest.fixture
def closed(organisation: Organisation) -> str:
    """An opportunity with a close date."""
    return organisation.create("opportunities", {"actualclosedate": "2026-02-03"})


def behave(organisation: Organisation, behaviour: Any, **properties: Any) -> None:
    """Let the close date come as an instant, with this behaviour in its metadata."""
    organisation.retype_column(
        "opportunities", "actualclosedate", "DateTime", behaviour="UserLocal"
    )
    organisation.garble_metadata(
        "opportunities", "actualclosedate", DateTimeBehavior=behaviour, **properties
    )


@pytest.mark.parametrize(
    "behaviour",
    [{"Value": "UserLocal"}, None, {}, {"Value": None}, {"Value": "Unheard"}, "UserLocal"],
)
def test_a_date_that_comes_as_an_instant_is_the_day_in_the_time_zone(
    client: DataverseClient,
    organisation: Organisation,
    closed: str,
    caplog: pytest.LogCaptureFixture,
    behaviour: Any,
) -> None:
    """Where metadata does not say how it behaves, its format or its values do."""
    assert closed
    behave(organisation, behaviour)
    plan = plan_of(client, OPPORTUNITY, time_zone="Europe/Berlin")
    assert plan.left_out == ()
    assert plan.zones == {"actual_close_date": "Europe/Berlin"}
    assert plan.interpretations(OPPORTUNITY)["actual_close_date"] == "day in Europe/Berlin"
    assert "TIME_ZONE" not in caplog.text


def test_values_decide_where_metadata_says_nothing(
    client: DataverseClient, organisation: Organisation, closed: str
) -> None:
    """A format says what people see, not how the column behaves."""
    behave(organisation, None, Format=None)
    assert plan_of(client, OPPORTUNITY).zones == {"actual_close_date": "UTC"}
    organisation.restore_column("opportunities", "actualclosedate")
    nothing = {"DateTimeBehavior": None, "Format": None}
    organisation.garble_metadata("opportunities", "actualclosedate", **nothing)
    assert plan_of(client, OPPORTUNITY).zones == {}
    organisation.delete("opportunities", closed)
    assert plan_of(client, OPPORTUNITY).zones == {}


def test_without_a_time_zone_utc_is_taken_and_every_run_warns(
    client: DataverseClient, organisation: Organisation, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no safe default, and no reason to give up the column."""
    behave(organisation, {"Value": "UserLocal"})
    for _ in range(2):
        caplog.clear()
        assert plan_of(client, OPPORTUNITY).zones == {"actual_close_date": "UTC"}
        (record,) = [item for item in caplog.records if item.levelno == logging.WARNING]
        assert "opportunity.actualclosedate" in record.getMessage()
        assert "OPPORTUNITY_SYNC_TIME_ZONE" in record.getMessage()


def test_a_time_without_a_zone_is_its_own_day_everywhere(
    client: DataverseClient, organisation: Organisation, caplog: pytest.LogCaptureFixture
) -> None:
    """TimeZoneIndependent is written as if it were UTC, so its date part is the day in UTC."""
    behave(organisation, {"Value": "TimeZoneIndependent"})
    plan = plan_of(client, OPPORTUNITY, time_zone="America/Lima")
    assert plan.zones == {"actual_close_date": "UTC"}
    assert "TIME_ZONE" not in caplog.text


def test_a_time_zone_that_this_machine_does_not_know_is_said(
    client: DataverseClient, organisation: Organisation
) -> None:
    """As slim images have no time zone database."""
    behave(organisation, {"Value": "UserLocal"})
    with pytest.raises(ConfigError, match=r"time zone database.*Mars/Phobos.*tzdata"):
        plan_of(client, OPPORTUNITY, time_zone="Mars/Phobos")


def test_every_date_of_the_selection_has_been_thought_of() -> None:
    """Instants and dates are told apart by kind alone, so a new date needs no code."""
    dates = {field.column for field in OPPORTUNITY.all_fields if field.kind is Kind.DATE}
    assert dates == {"actual_close_date"}


@pytest.mark.parametrize("kind", ["State", "Status", "Picklist", "DateTime"])
def test_what_dataverse_refuses_to_tell_of_a_type_stops_nothing(
    client: DataverseClient, sandbox: Sandbox, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """Rows can be read without labels, and values show how a time behaves."""
    whole = plan_of(client, CONTACT)
    sandbox.faults.add("status", f".{kind}AttributeMetadata", status=400, code="0x0")
    plan = plan_of(client, CONTACT)
    assert whole.columns == plan.columns
    assert f"contact: what is special of its {kind} columns can't be read" in caplog.text


# Nobody says whether a column is secured


@pytest.mark.parametrize("hole", ["null", "missing", "missing twice"])
@pytest.mark.parametrize("may_read", [False, True])
def test_a_secured_column_of_which_metadata_does_not_say_it_is_not_read_as_null(
    client: DataverseClient, organisation: Organisation, hole: str, may_read: bool
) -> None:
    """The rights decide: without one every value of the store would be emptied."""
    organisation.create("contacts", {"jobtitle": "Countess"})
    organisation.secure_column("contacts", "jobtitle")
    if may_read:
        organisation.grant_column("contacts", "jobtitle")
    if hole == "null":
        organisation.garble_metadata("contacts", "jobtitle", IsSecured=None)
    else:
        organisation.leave_out_of_metadata("contacts", "jobtitle", None if "twice" in hole else 1)
    plan = plan_of(client, CONTACT)
    left_out = {out.source: out.state for out in plan.left_out}
    assert left_out == ({} if may_read else {"jobtitle": "secured"})
    assert ("job_title" in plan.secured) is may_read


def test_a_value_shows_that_a_column_is_not_hidden_of_which_nobody_says_it(
    client: DataverseClient, organisation: Organisation
) -> None:
    """A mask shows a value too, so its rule counts first."""
    organisation.create("contacts", {"jobtitle": "Countess", "emailaddress1": "a@example.com"})
    for name in ("jobtitle", "emailaddress1", "salutation"):
        organisation.garble_metadata("contacts", name, IsSecured=None)
    organisation.mask_column("contacts", "emailaddress1")
    plan = plan_of(client, CONTACT)
    assert "job_title" in plan.columns
    states = {out.source: out.state for out in plan.left_out}
    assert states == {"emailaddress1": "masked", "salutation": "secured"}


def test_a_column_is_asked_for_by_itself_where_one_answer_does_not_say_whether_it_is_secured(
    client: DataverseClient, organisation: Organisation, sandbox: Sandbox
) -> None:
    """No row has a value that would show it."""
    assert organisation.rows("contacts") == []
    plan = plan_of(client, CONTACT)
    query = {
        "$select": "LogicalName,EntitySetName,PrimaryIdAttribute,ChangeTrackingEnabled",
        "$expand": f"Attributes($select={COLUMN_PROPERTIES})",
    }
    answer = client.get_json("EntityDefinitions(LogicalName='contact')", query)
    for column in answer["Attributes"]:
        if column["LogicalName"] == "jobtitle":
            column["IsSecured"] = None
    sandbox.faults.add("status", "EntityDefinitions", status=200, body=json.dumps(answer))
    assert plan_of(client, CONTACT) == plan
