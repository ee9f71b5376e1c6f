"""A selected column is a field of the kind that metadata says, or left out with the reason."""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox import Attribute
from opportunity_sync.dynamics import (
    DataverseClient,
    PageDecoder,
    Plan,
    first_query,
    read_organization,
)
from opportunity_sync.model import CONTACT, DEFAULT_MODEL, Entity, Field, Kind, Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dynamics_sandbox import Organisation, Sandbox
    from opportunity_sync.dynamics import EntityPlan

    ReadContact = Callable[..., tuple[Entity, EntityPlan]]

GUID = "5d1e0000-0000-4000-8000-0000000000f1"
COLOURS = {1: "Red", 2: "Green", 3: "Blue"}


def add(organisation: Organisation, name: str, kind: str, **properties: Any) -> Attribute:
    """Add a column of this type to contacts."""
    column = Attribute(name, kind, **properties)
    organisation.add_column("contacts", column)
    return column


def custom_fields(entity: Entity) -> dict[str, Field]:
    """The fields of an entity that are no default ones, by what the store calls them."""
    default = {*DEFAULT_MODEL[entity.name].all_fields}
    return {field.column: field for field in entity.fields if field not in default}


def reasons(plan: EntityPlan) -> dict[str, tuple[str, str]]:
    """State and reason of what is left out, by what the store calls it."""
    return {out.column: (out.state, out.reason) for out in plan.left_out}


def the_row(client: DataverseClient, entity: Entity, plan: EntityPlan) -> Mapping[str, Any]:
    """The only contact, read and decoded as planned."""
    whole = Plan("", None, {entity.name: plan})
    path, params = first_query(entity, whole, None, None)
    (page,) = client.pages(path, params=params)
    decoded = PageDecoder(entity, whole).decode(page.body)
    assert decoded.refused == []
    (row,) = decoded.table.to_pylist()
    return dict(row)


# Each type, what it becomes, a value as Dynamics has it, and the columns that come of it.
TYPES: tuple[tuple[str, dict[str, Any], Kind, Any, dict[str, Any]], ...] = (
    ("String", {}, Kind.TEXT, "North", {"": "North"}),
    ("Memo", {}, Kind.TEXT, "a\nb", {"": "a\nb"}),
    ("Integer", {}, Kind.INTEGER, 7, {"": 7}),
    ("BigInt", {}, Kind.INTEGER, 2**60, {"": 2**60}),
    ("Decimal", {"precision": 10}, Kind.DECIMAL, Decimal("0.1230000000"), {"": "0.1230000000"}),
    ("Double", {}, Kind.DOUBLE, Decimal("0.30000000000000004"), {"": 0.1 + 0.2}),
    ("Money", {"precision": 4}, Kind.MONEY, Decimal("20000.0000"), {"": "20000.0000"}),
    ("Boolean", {}, Kind.BOOLEAN, False, {"": False}),
    ("Picklist", {"options": COLOURS}, Kind.CHOICE, 2, {"_code": 2, "_label": "Green"}),
    ("State", {"options": COLOURS}, Kind.CHOICE, 1, {"_code": 1, "_label": "Red"}),
    ("Status", {"options": COLOURS}, Kind.CHOICE, 3, {"_code": 3, "_label": "Blue"}),
    (
        *("MultiSelectPicklist", {"options": COLOURS}, Kind.CHOICES, "3,1"),
        {"_codes": "3,1", "_labels": "Blue; Red"},
    ),
    ("DateTime", {"behaviour": "DateOnly"}, Kind.DATE, "2026-02-03", {"": date(2026, 2, 3)}),
    (
        *("DateTime", {"behaviour": "UserLocal"}, Kind.INSTANT, "2026-02-03T04:05:06Z"),
        {"": datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)},
    ),
    (
        *("DateTime", {"behaviour": "TimeZoneIndependent"}, Kind.LOCAL_TIME),
        *("2026-02-03T04:05:06Z", {"": datetime(2026, 2, 3, 4, 5, 6)}),  # noqa: DTZ001 - of no zone
    ),
    ("Uniqueidentifier", {}, Kind.GUID, GUID, {"": GUID}),
    ("Lookup", {"targets": ("account",)}, Kind.LOOKUP, GUID, {"_id": GUID}),
    (
        *("Lookup", {"targets": ("account", "lead")}, Kind.LOOKUP, GUID),
        {"_id": GUID, "_type": "account"},
    ),
    (
        *("Customer", {"targets": ("account", "contact")}, Kind.LOOKUP, GUID),
        {"_id": GUID, "_type": "account"},
    ),
    (
        *("Owner", {"targets": ("systemuser", "team")}, Kind.LOOKUP, GUID),
        {"_id": GUID, "_type": "systemuser"},
    ),
)


def test_a_column_of_each_type_is_read_as_the_kind_of_its_type(
    client: DataverseClient, organisation: Organisation, read_contact: ReadContact
) -> None:
    """Kind, columns and values, with labels and the tables that lookups point at."""
    values: dict[str, Any] = {}
    for number, (kind, properties, _, value, becomes) in enumerate(TYPES):
        column = add(organisation, f"new_{number}", kind, **properties)
        values[column.property_name] = value
        if "_type" in becomes:
            annotation = f"{column.property_name}@Microsoft.Dynamics.CRM.lookuplogicalname"
            values[annotation] = becomes["_type"]
    organisation.create("contacts", values)
    entity, plan = read_contact(**{f"c{number}": f"new_{number}" for number in range(len(TYPES))})
    fields, row = custom_fields(entity), the_row(client, entity, plan)
    assert plan.left_out == ()
    for number, (_, _, kind, _, becomes) in enumerate(TYPES):
        field = fields[f"c{number}"]
        assert kind is field.kind
        expected = {f"c{number}{suffix}": value for suffix, value in becomes.items()}
        assert expected == {column.name: row[column.name] for column in field.columns}
    assert plan.columns == tuple(field.column for field in entity.all_fields if not field.optional)


REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("File", {}, "it is of the type File"),
    ("Image", {}, "it is of the type Image"),
    ("PartyList", {"targets": ("contact",)}, "it is of the type PartyList"),
    ("Virtual", {}, "it is of the type Virtual"),
    ("EntityName", {}, "it is of the type EntityName"),
    ("ManagedProperty", {}, "it is of the type ManagedProperty"),
    ("CalendarRules", {}, "it is of the type CalendarRules"),
    ("Decimal", {"source_type": 1}, "it is calculated"),
    ("String", {"source_type": 3}, "it is the result of a formula"),
    ("String", {"is_valid_for_read": False}, "the column is not valid for read"),
    ("String", {"attribute_of": "jobtitle"}, "it only helps to show jobtitle"),
)


def test_what_can_be_no_column_is_left_out_by_name_and_the_run_goes_on(
    organisation: Organisation, read_contact: ReadContact, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no field of the model; a roll-up, which is stored, is one."""
    for number, (kind, properties, _) in enumerate(REFUSED):
        add(organisation, f"new_{number}", kind, **properties)
    add(organisation, "new_rollup", "Integer", source_type=2)
    sources = {f"c{number}": f"new_{number}" for number in range(len(REFUSED))}
    with caplog.at_level(logging.WARNING):
        entity, plan = read_contact(**sources, rollup="new_rollup")
    assert list(custom_fields(entity)) == ["rollup"]
    found = reasons(plan)
    assert sources.keys() == found.keys()
    for number, (_, _, reason) in enumerate(REFUSED):
        assert found[f"c{number}"][0] == "refused"
        assert found[f"c{number}"][1].startswith(reason)
        assert f"contact.new_{number} is left out (refused): {reason}" in caplog.text


@pytest.mark.parametrize(
    ("source", "near"),
    [("new_regoin", "new_region"), ("job_title", "jobtitle"), ("zzz", None)],
)
def test_a_column_that_is_missing_is_left_out_with_the_nearest_name(
    organisation: Organisation, read_contact: ReadContact, source: str, near: str | None
) -> None:
    """Of those that the table has, and that could be a column."""
    add(organisation, "new_region", "String")
    add(organisation, "new_regoin_x", "File")
    entity, plan = read_contact(wanted=source)
    (out,) = plan.left_out
    hint = f"; the nearest name is {near}" if near else ""
    assert (out.column, out.source, out.state) == ("wanted", source, "missing")
    assert out.reason == f"the organisation has no such column{hint}"
    assert custom_fields(entity) == {}


def test_the_default_selection_makes_the_default_model(client: DataverseClient) -> None:
    """And a plan that is the same as without any selection."""
    model, plan = read_organization(client, Selection.default(), language=None)
    assert model == DEFAULT_MODEL
    assert plan.of(CONTACT).left_out == ()


def test_money_brings_the_currency_and_only_money_does(
    organisation: Organisation, read_contact: ReadContact
) -> None:
    """Alone an amount says nothing; an amount that can't be read brings none."""
    add(organisation, "new_budget", "Money")
    entity, plan = read_contact(budget="new_budget")
    assert "currency" in {field.column for field in entity.fields}
    assert {"budget", "currency"} <= set(plan.columns)
    organisation.secure_column("contacts", "new_budget")
    entity, plan = read_contact(budget="new_budget")
    assert "currency" not in {field.column for field in entity.all_fields}
    assert list(reasons(plan)) == ["budget"]
    assert {"budget", "currency"}.isdisjoint(plan.columns)


def test_a_column_can_be_wanted_twice_and_beside_a_default_field(
    client: DataverseClient, organisation: Organisation, read_contact: ReadContact
) -> None:
    """Under names of its own each time; the key and a fact of the rules too."""
    account = organisation.create("accounts", {"name": "Umbra"})
    contact = organisation.create(
        "contacts", {"jobtitle": "Countess", "statecode": 1, "_parentcustomerid_value": account}
    )
    entity, plan = read_contact(
        title="jobtitle", title_2="jobtitle", state_2="statecode", own="contactid",
        company="parentcustomerid", version="versionnumber",
    )  # fmt: skip
    row = the_row(client, entity, plan)
    assert (row["title"], row["title_2"], row["job_title"]) == ("Countess",) * 3
    assert (row["state_2_label"], row["person_status_label"]) == ("Inactive", "Inactive")
    assert (row["own"], row["company_id"], row["company_type"]) == (contact, account, "account")
    assert (row["parent_id"], row["version"]) == (account, row["version_number"])


def test_a_column_that_one_metadata_answer_lacks_is_asked_for_by_itself(
    organisation: Organisation, read_contact: ReadContact
) -> None:
    """And is what it is, times and lookups too."""
    add(organisation, "new_region", "String")
    add(organisation, "new_when", "DateTime")
    add(organisation, "new_lead", "Lookup", targets=("lead",))
    for name in ("new_region", "new_when", "new_lead"):
        organisation.leave_out_of_metadata("contacts", name)
    entity, plan = read_contact(region="new_region", at="new_when", lead="new_lead")
    fields = custom_fields(entity)
    assert [field.kind for field in fields.values()] == [Kind.TEXT, Kind.INSTANT, Kind.LOOKUP]
    assert not fields["lead"].polymorphic
    assert plan.left_out == ()


def test_a_type_is_known_by_either_of_its_names(
    organisation: Organisation, read_contact: ReadContact
) -> None:
    """But for what the old list calls Virtual: only the newer name tells."""
    add(organisation, "new_when", "DateTime")
    add(organisation, "new_many", "MultiSelectPicklist", options=COLOURS)
    organisation.garble_metadata("contacts", "new_when", AttributeType=None)
    organisation.garble_metadata("contacts", "new_many", AttributeTypeName=None)
    entity, plan = read_contact(at="new_when", many="new_many")
    assert [field.kind for field in custom_fields(entity).values()] == [Kind.INSTANT]
    reason = "it is of the type Virtual, which can't be a column"
    assert reasons(plan) == {"many": ("refused", reason)}


@pytest.mark.parametrize("odd", [None, 5, ["String"], {}])
def test_a_column_whose_type_is_never_told_is_left_out(
    organisation: Organisation, read_contact: ReadContact, odd: Any
) -> None:
    """A guess would make a column that can't be made anew."""
    add(organisation, "new_region", "String")
    organisation.garble_metadata(
        "contacts", "new_region", AttributeType=odd, AttributeTypeName=odd, SourceType=odd
    )
    _, plan = read_contact(region="new_region")
    assert reasons(plan) == {"region": ("refused", "metadata does not say of what type it is")}


@pytest.mark.parametrize(
    ("behaviour", "value", "kind"),
    [
        ("DateOnly", "2026-02-03", Kind.DATE),
        ("UserLocal", "2026-02-03T04:05:06Z", None),
        ("TimeZoneIndependent", "2026-02-03T04:05:06Z", None),
        ("DateOnly", None, None),
    ],
)
def test_a_time_whose_behaviour_is_not_told_is_what_its_values_prove(
    organisation: Organisation,
    read_contact: ReadContact,
    behaviour: str,
    value: str | None,
    kind: Kind | None,
) -> None:
    """A date has no hour; an hour does not tell an instant from a time of no zone."""
    add(organisation, "new_when", "DateTime", behaviour=behaviour)
    organisation.create("contacts", {"new_when": value})
    organisation.garble_metadata("contacts", "new_when", DateTimeBehavior=None)
    entity, plan = read_contact(at="new_when")
    fields = custom_fields(entity)
    assert kind == (fields["at"].kind if fields else None)
    if kind is None:
        reason = "metadata does not say how its times behave, and no value shows it"
        assert reasons(plan) == {"at": ("refused", reason)}


@pytest.mark.parametrize("targets", [None, 5, [None], []])
def test_a_lookup_whose_targets_are_not_told_may_point_at_several_tables(
    organisation: Organisation, read_contact: ReadContact, targets: Any
) -> None:
    """One column too many says nothing false; one too few could become out of date."""
    add(organisation, "new_lead", "Lookup", targets=("lead",))
    entity, _ = read_contact(lead="new_lead")
    assert not custom_fields(entity)["lead"].polymorphic
    organisation.garble_metadata("contacts", "new_lead", Targets=targets)
    entity, _ = read_contact(lead="new_lead")
    assert custom_fields(entity)["lead"].polymorphic


@pytest.mark.parametrize("cast", ["DateTime", "Lookup", "MultiSelectPicklist"])
def test_what_dataverse_refuses_to_tell_of_selected_columns_stops_nothing(
    organisation: Organisation, sandbox: Sandbox, read_contact: ReadContact, cast: str
) -> None:
    """What can't be typed without it is left out, the rest is read."""
    add(organisation, "new_when", "DateTime")
    add(organisation, "new_lead", "Lookup", targets=("lead",))
    add(organisation, "new_many", "MultiSelectPicklist", options=COLOURS)
    path = f"LogicalName='contact')/Attributes/Microsoft.Dynamics.CRM.{cast}AttributeMetadata"
    sandbox.faults.add("status", path, status=400, code="0x0")
    entity, plan = read_contact(at="new_when", lead="new_lead", many="new_many")
    lost = {"at"} if cast == "DateTime" else set()
    assert {"at", "lead", "many"} - lost == custom_fields(entity).keys()
    assert lost == reasons(plan).keys()
    assert ("many" in plan.labels) == (cast != "MultiSelectPicklist")


def test_a_column_that_only_the_query_does_not_know_is_no_field(
    sandbox: Sandbox, organisation: Organisation, read_contact: ReadContact
) -> None:
    """Metadata's flags are known to be wrong at times."""
    add(organisation, "new_region", "String")
    message = "Could not find a property named 'new_region' on type 'x'."
    body = json.dumps({"error": {"code": "0x80060888", "message": message}})
    sandbox.faults.add("status", "/contacts", status=400, body=body)
    entity, plan = read_contact(region="new_region")
    assert custom_fields(entity) == {}
    reason = "a query does not know it though the metadata names it"
    assert reasons(plan) == {"region": ("refused", reason)}


def test_labels_of_several_choices_are_in_the_wanted_language(
    organisation: Organisation, read_contact: ReadContact
) -> None:
    """As those of one choice are."""
    add(organisation, "new_many", "MultiSelectPicklist", options=COLOURS)
    labels = [
        {"Label": "Rot", "LanguageCode": 1031},
        {"Label": "Red", "LanguageCode": 1033},
    ]
    option = {"Value": 1, "Label": {"LocalizedLabels": labels, "UserLocalizedLabel": labels[1]}}
    organisation.garble_metadata("contacts", "new_many", OptionSet={"Options": [option]})
    _, plan = read_contact(language=1031, many="new_many")
    assert plan.labels["many"] == {1: "Rot"}
    _, plan = read_contact(many="new_many")
    assert plan.labels["many"] == {1: "Red"}


def test_selected_columns_cost_a_request_for_each_type_that_has_more_to_tell(
    client: DataverseClient, organisation: Organisation, read_contact: ReadContact
) -> None:
    """Most types come with the answer that is asked for anyway."""
    add(organisation, "new_region", "String")
    add(organisation, "new_when", "DateTime")
    add(organisation, "new_colour", "Picklist", options=COLOURS)
    add(organisation, "new_lead", "Lookup", targets=("lead",))
    add(organisation, "new_many", "MultiSelectPicklist", options=COLOURS)

    def requests(**sources: str) -> int:
        before = client.counters.requests
        read_contact(**sources)
        return client.counters.requests - before

    plain = requests()
    assert requests(a="new_region", b="new_when", c="new_colour") == plain
    assert requests(a="new_lead") == plain + 1
    assert requests(a="new_many") == plain + 1


def test_nothing_is_read_of_a_table_beyond_what_was_selected(
    organisation: Organisation, client: DataverseClient
) -> None:
    """A selection without default fields keeps what always stands, and the facts of the rules."""
    add(organisation, "new_region", "String")
    selection = Selection(
        tuple(
            type(each)(each.name, tuple(f for f in each.fields if f.always_stands), each.custom)
            for each in Selection.default()
        )
    )
    model, plan = read_organization(client, selection, language=None)
    assert [field.column for field in model["contact"].fields] == [
        "owner", "created_at", "modified_at",
    ]  # fmt: skip
    assert model["contact"].facts == CONTACT.facts
    assert "job_title" not in plan.of(model["contact"]).columns
