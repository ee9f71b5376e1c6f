"""What a fields file asks of the store, read again from the contract for the oracle.

The file is TOML, and what a column becomes follows from the type that the organisation's own schema
gives it. Like the oracle it shares nothing with the product.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oracle import BOOKKEEPING, COLUMNS, FLAGS, KEYS, LABELS, LOOKUP_TYPE, MONEY, SETS, Selected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dynamics_sandbox import Organisation
    from dynamics_sandbox.schema.attribute import Attribute

MadeColumn = tuple[str, str, str, str]  # table, column, column of Dynamics, kind

_CUSTOMER = ("customer_id", "customer_type")
_CURRENCY = "currency_id"
_SUFFIXES = ("", "_code", "_label")
_KINDS = {
    "String": "text",
    "Integer": "integer",
    "Boolean": "boolean",
    "Decimal": "decimal",
    "Money": "money",
    "Double": "double",
    "Picklist": "choice",
    "MultiSelectPicklist": "choices",
    "Lookup": "lookup",
    "Customer": "lookup",
    "UserLocal": "instant",
    "DateOnly": "date",
    "TimeZoneIndependent": "local time",
}


def parse_selected(text: str, organisation: Organisation) -> Selected:
    """The columns that the text of a fields file selects in this organisation."""
    content = tomllib.loads(text)
    columns, exact, flags = {}, set(MONEY), set(FLAGS)
    for table, set_name in SETS.items():
        attributes = organisation.stores[set_name].table.attributes
        chosen = content.get(table, {})
        own = {
            name: attributes[source]
            for name, source in chosen.get("fields", {}).items()
            if source in attributes
        }
        money = {name for name, attribute in own.items() if attribute.type == "Money"}
        exact |= money | {name for name, attribute in own.items() if attribute.type == "Decimal"}
        flags |= {name for name, attribute in own.items() if attribute.type == "Boolean"}
        columns[table] = _standing_columns(table) | _default_columns(table, chosen)
        for name, attribute in own.items():
            columns[table] |= _columns_of(name, attribute)
        if columns[table].keys() & (MONEY | money):
            columns[table][_CURRENCY] = "_transactioncurrencyid_value"
    return Selected(columns, exact, flags)


def without_refused(
    selected: Selected, organisation: Organisation, made: Iterable[MadeColumn]
) -> Selected:
    """The selected columns but for those that the store has made for another type.

    They were selected for the first time while Dynamics had another type, and are refused since.
    """
    refused: dict[str, set[str]] = {}
    for table, column, source, kind in made:
        attribute = organisation.stores[SETS[table]].table.attributes[source]
        told = attribute.behaviour if attribute.type == "DateTime" else attribute.type
        if kind != _KINDS[told]:
            refused.setdefault(table, set()).add(column)
    columns = {
        table: {
            name: source for name, source in names.items() if name not in refused.get(table, set())
        }
        for table, names in selected.columns.items()
    }
    return replace(selected, columns=columns)


def _standing_columns(table: str) -> dict[str, str]:
    """What is there whatever is selected."""
    names = (*KEYS[table], *_CUSTOMER, *BOOKKEEPING)
    return {name: COLUMNS[table][name] for name in names if name in COLUMNS[table]}


def _default_columns(table: str, chosen: Mapping[str, Any]) -> dict[str, str]:
    """What stays of the default selection."""
    if not chosen.get("default", True):
        return {}
    left_out = {f"{name}{end}" for name in chosen.get("without", ()) for end in _SUFFIXES}
    left_out.add(_CURRENCY)
    return {name: source for name, source in COLUMNS[table].items() if name not in left_out}


def _columns_of(name: str, attribute: Attribute) -> dict[str, str]:
    """What one column of Dynamics becomes."""
    source = attribute.name
    if attribute.type in {"Picklist", "State", "Status"}:
        return {f"{name}_code": source, f"{name}_label": f"{LABELS} {source}"}
    if attribute.type == "MultiSelectPicklist":
        return {f"{name}_codes": source, f"{name}_labels": f"{LABELS} {source}"}
    if attribute.type in {"Lookup", "Customer", "Owner"}:
        value = f"_{source}_value"
        several = attribute.type != "Lookup" or len(attribute.targets) > 1
        target = {f"{name}_type": value + LOOKUP_TYPE} if several else {}
        return {f"{name}_id": value, **target}
    return {name: source}
