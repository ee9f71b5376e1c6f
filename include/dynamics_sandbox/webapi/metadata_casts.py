"""What belongs to one type of column alone: lengths, targets, precision, times, option sets.

It comes only with a cast to the column's own metadata class. Bounds are the widest that Dataverse
lets a column have; what an organisation sets within them is of no interest to a reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dynamics_sandbox.schema.attribute_types import CHOICE_TYPES
from dynamics_sandbox.webapi.metadata_json import display_name, label, metadata_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dynamics_sandbox.schema.attribute import Attribute
    from dynamics_sandbox.schema.table import Table

_BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "Integer": (-(2**31), 2**31 - 1),
    "BigInt": (-(2**63), 2**63 - 1),
    "Decimal": (-100_000_000_000, 100_000_000_000),
    "Double": (-100_000_000_000, 100_000_000_000),
    "Money": (-922_337_203_685_477, 922_337_203_685_477),
}
_NO_DEFAULT: Final = -1


def cast_properties(table: Table, attribute: Attribute) -> dict[str, Any]:
    """The properties that come only with a cast to the attribute's own type."""
    if attribute.type in CHOICE_TYPES:
        return _choice(table, attribute)
    make = _MAKERS.get(attribute.type)
    return {} if make is None else make(table, attribute)


def _text(_table: Table, attribute: Attribute) -> dict[str, Any]:
    usual = "Text" if attribute.type == "String" else "TextArea"
    form = attribute.format or usual
    return {"MaxLength": attribute.max_length, "Format": form, "FormatName": {"Value": form}}


def _lookup(_table: Table, attribute: Attribute) -> dict[str, Any]:
    return {"Targets": list(attribute.targets), "Format": "None"}


def _number(_table: Table, attribute: Attribute) -> dict[str, Any]:
    low, high = _BOUNDS[attribute.type]
    own = {"Format": "None"} if attribute.type == "Integer" else {"Precision": attribute.precision}
    return {"MinValue": low, "MaxValue": high, **({} if attribute.type == "BigInt" else own)}


def _money(table: Table, attribute: Attribute) -> dict[str, Any]:
    is_base = attribute.name.endswith("_base")
    return {
        **_number(table, attribute),
        "PrecisionSource": 2,
        "IsBaseCurrency": is_base,
        "CalculationOf": attribute.name.removesuffix("_base") if is_base else None,
    }


def _time(_table: Table, attribute: Attribute) -> dict[str, Any]:
    usual = "DateOnly" if attribute.is_date else "DateAndTime"
    return {
        "Format": attribute.format or usual,
        "DateTimeBehavior": {"Value": str(attribute.behaviour)},
    }


def _boolean(table: Table, attribute: Attribute) -> dict[str, Any]:
    options = attribute.options or {0: "No", 1: "Yes"}
    sides = {
        "FalseOption": _option(0, options.get(0, "No")),
        "TrueOption": _option(1, options.get(1, "Yes")),
    }
    return {
        "OptionSet": {**_option_set(table, attribute, "Boolean"), **sides},
        "GlobalOptionSet": None,
        "DefaultValue": False,
    }


def _choice(table: Table, attribute: Attribute) -> dict[str, Any]:
    kind = attribute.type if attribute.type in {"State", "Status"} else "Picklist"
    options = [_option(value, text) for value, text in (attribute.options or {}).items()]
    return {
        "OptionSet": {**_option_set(table, attribute, kind), "Options": options},
        "GlobalOptionSet": None,
        "DefaultFormValue": _NO_DEFAULT,
    }


def _option(value: int, text: str) -> dict[str, Any]:
    return {
        "Value": value,
        "Label": label(text),
        "Description": label(""),
        "Color": None,
        "IsManaged": True,
    }


def _option_set(table: Table, attribute: Attribute, kind: str) -> dict[str, Any]:
    return {
        "MetadataId": metadata_id(table.name, attribute.name, "options"),
        "Name": f"{table.name}_{attribute.name}",
        "OptionSetType": kind,
        "IsGlobal": False,
        "IsCustomOptionSet": False,
        "DisplayName": label(display_name(attribute)),
    }


_MAKERS: Final[Mapping[str, Callable[[Table, Attribute], dict[str, Any]]]] = {
    "String": _text,
    "Memo": _text,
    "Lookup": _lookup,
    "Customer": _lookup,
    "Owner": _lookup,
    "PartyList": _lookup,
    "Money": _money,
    "Decimal": _number,
    "Double": _number,
    "Integer": _number,
    "BigInt": _number,
    "DateTime": _time,
    "Boolean": _boolean,
}
