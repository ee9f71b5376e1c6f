"""All columns that a table of the organisation has, for a user who chooses among them.

What can be told without reading a row: what a column is called, of which type it is in the words of
its form, what it would become in the store or why nothing, and whether it can be read now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opportunity_sync.dynamics.metadata.attributes import (
    COLUMN_PROPERTIES,
    TIME,
    Attribute,
    add_behaviours,
    add_targets,
)
from opportunity_sync.dynamics.metadata.column_security import ColumnSecurity
from opportunity_sync.dynamics.metadata.column_types import is_polymorphic, kind_of, refusal
from opportunity_sync.dynamics.metadata.labels import best_label
from opportunity_sync.dynamics.metadata.organization_plan import read_base_language
from opportunity_sync.dynamics.metadata.table_definition import read_definition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.model import Entity, Kind

_TYPE_NAMES: Final[Mapping[str, str]] = {
    "String": "Single line of text",
    "Memo": "Multiple lines of text",
    "Integer": "Whole number",
    "BigInt": "Big integer",
    "Decimal": "Decimal",
    "Double": "Floating point number",
    "Money": "Currency",
    "Boolean": "Yes/no",
    "Picklist": "Choice",
    "MultiSelectPicklist": "Choices",
    "State": "Status",
    "Status": "Status reason",
    "Uniqueidentifier": "Unique identifier",
    "PartyList": "Activity parties",
    "EntityName": "Name of a table",
    "ManagedProperty": "Managed property",
    "CalendarRules": "Calendar rules",
    "Virtual": "Helper of another column",
}
_TIME_NAMES: Final[Mapping[str | None, str]] = {
    "DateOnly": "Date only",
    "UserLocal": "Date and time",
    "TimeZoneIndependent": "Date and time of no zone",
}


@dataclass(frozen=True, slots=True)
class OfferedColumn:
    """A column as `make fields` shows it.

    `kind` is what it would become; None where it can't become a column. `reason` says why not, or
    why it can't be read now, and is empty where it can. Without a label in any language, `label` is
    empty.
    """

    logical_name: str
    label: str
    type_name: str
    kind: Kind | None
    is_polymorphic: bool = False
    can_be_read: bool = True
    reason: str = ""


def describe_columns(
    client: DataverseClient, entity: Entity, *, language: int | None = None
) -> list[OfferedColumn]:
    """Every column of a table, by logical name; labels in the base language or in another LCID.

    Raises:
        ConfigError: the organisation has no such table, or metadata may not be read.
        ResponseError: an answer is not what it should be.
    """
    spoken = language if language is not None else read_base_language(client)
    properties = f"{COLUMN_PROPERTIES},DisplayName"
    definition = read_definition(client, entity, properties=properties)
    labels = {
        str(column.get("LogicalName")): best_label(column.get("DisplayName"), spoken)
        for column in definition.columns
    }
    attributes = definition.attributes
    add_behaviours(client, entity, attributes)
    add_targets(client, entity, attributes)
    security = ColumnSecurity(client, client.who_am_i()["UserId"], (entity,))
    return [
        _offer(entity, attribute, label=labels.get(name), security=security)
        for name, attribute in sorted(attributes.items())
    ]


def _offer(
    entity: Entity, attribute: Attribute, *, label: str | None, security: ColumnSecurity
) -> OfferedColumn:
    refused = refusal(attribute)
    if refused is None and not attribute.is_valid_for_read:
        refused = "it is not valid for read"
    kind = None if refused else kind_of(attribute)
    if kind is None and refused is None:
        refused = "metadata does not say how its times behave"
    hidden = security.obstacle(entity, attribute)
    return OfferedColumn(
        logical_name=attribute.logical_name,
        label=label or "",
        type_name=_type_name(attribute),
        kind=kind,
        is_polymorphic=is_polymorphic(attribute),
        can_be_read=refused is None and hidden is None,
        reason=refused or (hidden[1] if hidden else ""),
    )


def _type_name(attribute: Attribute) -> str:
    found = attribute.attribute_type
    if found == TIME:
        return _TIME_NAMES.get(attribute.behaviour, "Date and time")
    return _TYPE_NAMES.get(found, found) if found else "not told"
