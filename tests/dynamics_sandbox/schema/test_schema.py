"""The standard tables agree with themselves and with Microsoft's published attribute lists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox.schema.attribute import Attribute
from dynamics_sandbox.schema.custom_columns import MARKETO_COLUMNS, SYNC_FILTER
from dynamics_sandbox.schema.standard_tables import TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from dynamics_sandbox.schema.table import Table

ATTRIBUTE_TYPES = {
    "BigInt", "Boolean", "Customer", "DateTime", "Decimal", "Double", "Integer", "Lookup", "Memo",
    "Money", "Owner", "Picklist", "State", "Status", "String", "Uniqueidentifier",
}  # fmt: skip
PUBLISHED = ("account", "connection", "connectionrole", "contact", "opportunity")
BY_NAME = {table.name: table for table in TABLES.values()}


def published(shared_data: Path, name: str) -> dict[str, dict[str, Any]]:
    """The Common Data Model's attributes of one table, by name."""
    text = (shared_data / "cdm_schema" / f"{name}.attributes.json").read_text(encoding="utf-8")
    return {attribute["name"]: attribute for attribute in json.loads(text)["attributes"]}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_table_has_its_key_its_primary_name_and_the_system_columns(table: Table) -> None:
    """A server can address, label, version and date the rows of each table."""
    needed = {table.key, table.primary_name, "versionnumber", "createdon", "modifiedon"}
    assert needed <= table.attributes.keys()
    assert table.attributes[table.key].type == "Uniqueidentifier"


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_attribute_has_what_its_type_needs(table: Table) -> None:
    """Lookups have targets, choices have options and texts have a length; others have none."""
    for name, attribute in table.attributes.items():
        assert name == attribute.name
        assert attribute.type in ATTRIBUTE_TYPES
        is_choice = attribute.type in {"Boolean", "Picklist", "State", "Status"}
        assert bool(attribute.options) == is_choice, name
        assert bool(attribute.targets) == attribute.is_lookup, name
        assert bool(attribute.max_length) == (attribute.type in {"String", "Memo"}), name


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_amount_has_its_twin_in_base_currency(table: Table) -> None:
    """Dataverse adds `<name>_base` and a currency wherever there is money."""
    amounts = [name for name, item in table.attributes.items() if item.type == "Money"]
    twins = {f"{name}_base" for name in amounts if not name.endswith("_base")}
    assert twins == {name for name in amounts if name.endswith("_base")}
    assert not amounts or {"transactioncurrencyid", "exchangerate"} <= table.attributes.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_labels_and_lengths_are_those_of_the_common_data_model(
    shared_data: Path, name: str
) -> None:
    """Where Microsoft publishes options or a length, the sandbox has the same."""
    compared, known = 0, published(shared_data, name)
    for attribute in BY_NAME[name].attributes.values():
        theirs = known.get(attribute.name)
        if theirs is None or attribute.name.endswith("objecttypecode"):
            continue
        options = {item["value"]: item["label"] for item in theirs.get("options") or ()}
        assert not options or options == attribute.options, attribute.name
        assert theirs.get("max_length") == attribute.max_length, attribute.name
        compared += 1
    assert compared >= 18


def test_columns_of_customers_and_of_the_native_sync_are_no_standard_columns() -> None:
    """An organisation must be given `new_synctomkto` and `mkt_*` on purpose."""
    added = {SYNC_FILTER.name, *(attribute.name for attribute in MARKETO_COLUMNS)}
    assert len(added) == 9
    assert not any(added & table.attributes.keys() for table in TABLES.values())


def test_adding_a_column_leaves_the_standard_table_as_it_was() -> None:
    """Organisations don't change each other's schema."""
    contacts = TABLES["contacts"]
    widened = contacts.with_attributes(SYNC_FILTER, Attribute("fullname", "Memo", max_length=10))
    assert widened.attributes["new_synctomkto"] is SYNC_FILTER
    assert widened.attributes["fullname"].type == "Memo"
    assert contacts.attributes["fullname"].type == "String"
    assert "new_synctomkto" not in contacts.attributes


@pytest.mark.parametrize(
    ("name", "expected"),
    [("customerid", "_customerid_value"), ("ownerid", "_ownerid_value"), ("name", "name")],
)
def test_a_lookup_travels_under_its_value_property(name: str, expected: str) -> None:
    """Clients select `_customerid_value`, never the bare lookup."""
    assert expected == TABLES["opportunities"].attributes[name].property_name
