"""Columns as the organisation defines them, and what keeps a selected one from being read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from opportunity_sync.entities import Entity, Field, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opportunity_sync.dynamics.client import DataverseClient

_CHOICES: Final = frozenset({"Picklist", "State", "Status"})
_TIME: Final = "DateTime"
# Source: reference 2.2 and 6.
FITTING: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.TEXT: frozenset({"String", "Memo"}),
    Kind.INTEGER: frozenset({"Integer", "BigInt"}) | _CHOICES,
    Kind.MONEY: frozenset({"Money", "Decimal"}),
    Kind.BOOLEAN: frozenset({"Boolean"}),
    Kind.INSTANT: frozenset({_TIME}),
    Kind.DATE: frozenset({_TIME}),
    Kind.CHOICE: _CHOICES,
    Kind.LOOKUP: frozenset({"Lookup", "Customer", "Owner"}),
}


class Attribute(msgspec.Struct, frozen=True, rename="pascal"):
    """The properties of a column's metadata that decide whether we read it."""

    logical_name: str
    attribute_type: str
    is_valid_for_read: bool | None = None
    is_secured: bool | None = None
    is_date_only: bool | None = None  # for DateTime, from its own metadata


def attributes_of(
    client: DataverseClient, entity: Entity, common: Sequence[Mapping[str, Any]]
) -> dict[str, Attribute]:
    """The table's columns by name; for times also whether they are dates without a time."""
    wanted = {field.source for field in entity.all_fields}
    found = {
        attribute.logical_name: attribute
        for attribute in msgspec.convert(list(common), list[Attribute])
        if attribute.logical_name in wanted
    }
    if not any(attribute.attribute_type == _TIME for attribute in found.values()):
        return found
    answer = client.get_json(
        f"{cast_path(entity, _TIME)}", {"$select": "LogicalName,DateTimeBehavior"}
    )
    for time in answer.get("value", []):
        attribute = found.get(time.get("LogicalName"))
        if attribute is not None:
            behaviour = (time.get("DateTimeBehavior") or {}).get("Value")
            found[attribute.logical_name] = msgspec.structs.replace(
                attribute, is_date_only=behaviour == "DateOnly"
            )
    return found


def cast_path(entity: Entity, attribute_type: str) -> str:
    """Path of the columns of one type, with the properties that only this type has."""
    return (
        f"EntityDefinitions(LogicalName='{entity.name}')/Attributes"
        f"/Microsoft.Dynamics.CRM.{attribute_type}AttributeMetadata"
    )


def obstacle(field: Field, attribute: Attribute | None) -> str | None:
    """Why a field can't be read, in words; None where it can."""
    if attribute is None:
        return "the organisation has no such column"
    if attribute.is_valid_for_read is False:
        return "the column is not valid for read"
    if attribute.is_secured:
        return "column security hides or masks it: it would read as null"
    return _misfit(field, attribute)


def _misfit(field: Field, attribute: Attribute) -> str | None:
    if attribute.attribute_type not in FITTING[field.kind]:
        return f"it is {attribute.attribute_type}, and {field.kind} was expected"
    if field.kind is Kind.DATE and attribute.is_date_only is False:
        return "it is a time of the user's zone, and a date without a time was expected"
    if field.kind is Kind.INSTANT and attribute.is_date_only:
        return "it is a date without a time, and an instant was expected"
    return None
