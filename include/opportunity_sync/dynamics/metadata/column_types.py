"""What a Dataverse column is in the store, by its type: a kind, or nothing and why.

A default field has its kind whatever the organisation says, and only a column of a fitting type is
read for it. A column that a user selects has the kind of its type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from opportunity_sync.dynamics.metadata.attributes import TIME
from opportunity_sync.model import Field, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opportunity_sync.dynamics.metadata.attributes import Attribute
    from opportunity_sync.dynamics.plan import LeftOutState

Obstacle: TypeAlias = "tuple[LeftOutState, str]"

CHOICE_TYPES: Final = frozenset({"Picklist", "State", "Status"})
MULTI_SELECT: Final = "MultiSelectPicklist"
LOOKUP: Final = "Lookup"
_KINDS: Final[Mapping[str, Kind]] = {
    "String": Kind.TEXT,
    "Memo": Kind.TEXT,
    "Integer": Kind.INTEGER,
    "BigInt": Kind.INTEGER,
    "Decimal": Kind.DECIMAL,
    "Double": Kind.DOUBLE,
    "Money": Kind.MONEY,
    "Boolean": Kind.BOOLEAN,
    **dict.fromkeys(CHOICE_TYPES, Kind.CHOICE),
    MULTI_SELECT: Kind.CHOICES,
    LOOKUP: Kind.LOOKUP,
    "Customer": Kind.LOOKUP,
    "Owner": Kind.LOOKUP,
    "Uniqueidentifier": Kind.GUID,
}
_KINDS_OF_TIMES: Final[Mapping[str | None, Kind]] = {
    "DateOnly": Kind.DATE,
    "UserLocal": Kind.INSTANT,
    "TimeZoneIndependent": Kind.LOCAL_TIME,
}
_COMPUTED: Final[Mapping[int | None, str]] = {1: "calculated", 3: "the result of a formula"}
_FITTING_TYPES: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.TEXT: frozenset({"String", "Memo"}),
    Kind.INTEGER: frozenset({"Integer", "BigInt"}) | CHOICE_TYPES,
    Kind.DECIMAL: frozenset({"Decimal"}),
    Kind.MONEY: frozenset({"Money", "Decimal"}),
    Kind.DOUBLE: frozenset({"Double"}),
    Kind.BOOLEAN: frozenset({"Boolean"}),
    Kind.INSTANT: frozenset({TIME}),
    Kind.LOCAL_TIME: frozenset({TIME}),
    Kind.DATE: frozenset({TIME}),
    Kind.CHOICE: CHOICE_TYPES,
    Kind.CHOICES: frozenset({MULTI_SELECT}),
    Kind.LOOKUP: frozenset({LOOKUP, "Customer", "Owner"}),
    Kind.GUID: frozenset({"Uniqueidentifier"}),
}


def type_obstacle(field: Field, attribute: Attribute) -> Obstacle | None:
    """Why values of a column are none of the field's kind; None where they are, or may be."""
    found = attribute.attribute_type
    if found is not None and found not in _FITTING_TYPES[field.kind]:
        return "retyped", f"it is {found}, and {field.kind} was expected"
    if field.kind is Kind.INSTANT and attribute.behaviour == "DateOnly":
        return "retyped", "it is a date without a time, and an instant was expected"
    return None


def refusal(attribute: Attribute) -> str | None:
    """Why a column can be none of the store, as far as metadata tells; None where it can."""
    found = attribute.attribute_type
    if attribute.attribute_of is not None:
        return f"it only helps to show {attribute.attribute_of}"
    if attribute.source_type in _COMPUTED:
        how = _COMPUTED[attribute.source_type]
        return f"it is {how}: it is computed when it is read, and nothing tells when it changed"
    if found is None:
        return "metadata does not say of what type it is"
    if found != TIME and found not in _KINDS:
        return f"it is of the type {found}, which can't be a column"
    return None


def kind_of(attribute: Attribute) -> Kind | None:
    """The kind that a column's values have; None of a time whose behaviour is not told."""
    found = attribute.attribute_type
    if found == TIME:
        return _KINDS_OF_TIMES.get(attribute.behaviour)
    return None if found is None else _KINDS.get(found)


def is_polymorphic(attribute: Attribute) -> bool:
    """Whether a column can point at rows of several tables, or may: then rows say at which."""
    if kind_of(attribute) is not Kind.LOOKUP:
        return False
    has_one_target = attribute.targets is not None and len(attribute.targets) == 1
    return attribute.attribute_type != LOOKUP or not has_one_target
