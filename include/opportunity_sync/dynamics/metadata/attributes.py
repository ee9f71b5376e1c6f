"""Columns as the organisation defines them, and what keeps a selected one from being read.

Answers about metadata have holes, such as a column without a type or a list that is null. Only the
selected columns are looked at. What can't be understood of one of them counts as not said. An
answer that has no list of columns at all is asked for again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from opportunity_sync.errors import QueryError, ResponseError
from opportunity_sync.model import Entity, Field, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.dynamics.plan import LeftOutState

log = logging.getLogger(__name__)

CHOICES: Final = frozenset({"Picklist", "State", "Status"})
_TIME: Final = "DateTime"
_COMMON: Final = "LogicalName,AttributeType,IsValidForRead,IsSecured"
_OF_TIMES: Final = "LogicalName,Format,DateTimeBehavior"
TABLE_QUERY: Final[Mapping[str, str]] = {
    "$select": "LogicalName,EntitySetName,PrimaryIdAttribute,ChangeTrackingEnabled",
    "$expand": f"Attributes($select={_COMMON})",
}
# Which types of Dataverse's columns our kinds can be read from (`AttributeTypeCode`).
FITTING_TYPES: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.TEXT: frozenset({"String", "Memo"}),
    Kind.INTEGER: frozenset({"Integer", "BigInt"}) | CHOICES,
    Kind.MONEY: frozenset({"Money", "Decimal"}),
    Kind.BOOLEAN: frozenset({"Boolean"}),
    Kind.INSTANT: frozenset({_TIME}),
    Kind.DATE: frozenset({_TIME}),
    Kind.CHOICE: CHOICES,
    Kind.LOOKUP: frozenset({"Lookup", "Customer", "Owner"}),
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """What metadata says of a column; None where it says nothing that can be understood."""

    logical_name: str
    attribute_type: str | None = None
    is_valid_for_read: bool = True
    is_secured: bool = False
    behaviour: str | None = None  # of a DateTime: DateOnly, UserLocal or TimeZoneIndependent
    time_format: str | None = None  # of a DateTime: DateOnly or DateAndTime


def table_path(entity: Entity) -> str:
    """Path of a table's metadata."""
    return f"EntityDefinitions(LogicalName='{entity.name}')"


def require_list(answer: Mapping[str, Any], member: str, *, of: str) -> list[dict[str, Any]]:
    """The objects in a list of an answer; other items of the list are passed over.

    Raises:
        ResponseError: there is no list.
    """
    found = answer.get(member)
    if not isinstance(found, list):
        raise ResponseError(f"Dataverse's answer about {of} has no list {member}.")
    return [item for item in found if isinstance(item, dict)]


def read_attributes(
    client: DataverseClient, entity: Entity, columns: Sequence[Mapping[str, Any]]
) -> dict[str, Attribute]:
    """The selected columns that the table has, by name; of times also how they behave."""
    wanted = {field.source for field in entity.all_fields}
    found = {
        name: _parse_attribute(name, column)
        for column in columns
        if isinstance(name := column.get("LogicalName"), str) and name in wanted
    }
    if not any(attribute.attribute_type == _TIME for attribute in found.values()):
        return found
    for time in read_columns_of_type(client, entity, _TIME, select=_OF_TIMES):
        attribute = found.get(str(time.get("LogicalName")))
        if attribute is not None:
            found[attribute.logical_name] = _add_behaviour(attribute, time)
    return found


def read_columns_of_type(
    client: DataverseClient, entity: Entity, attribute_type: str, **params: str
) -> list[dict[str, Any]]:
    """The table's columns of one type, with the properties that only this type has.

    There are none where Dataverse refuses to say: rows can be read without it.

    Raises:
        ResponseError: the answer has no list.
    """
    cast = f"Microsoft.Dynamics.CRM.{attribute_type}AttributeMetadata"
    options = {f"${name}": value for name, value in params.items()}
    try:
        answer = client.get_json(f"{table_path(entity)}/Attributes/{cast}", options)
    except QueryError as error:
        log.warning(
            "%s: what is special of its %s columns can't be read, so labels stay as they are, "
            "and values show how times behave: %s",
            entity.name,
            attribute_type,
            error,
        )
        return []
    return require_list(answer, "value", of=f"{entity.name}'s {attribute_type} columns")


def read_attribute(client: DataverseClient, entity: Entity, name: str) -> Attribute | None:
    """One column as the answer about it alone describes it; None where there is no such answer."""
    path = f"{table_path(entity)}/Attributes(LogicalName='{name}')"
    try:
        return _parse_attribute(name, client.get_json(path, {"$select": _COMMON}))
    except QueryError:
        return None


def _parse_attribute(name: str, column: Mapping[str, Any]) -> Attribute:
    attribute_type, secured = column.get("AttributeType"), column.get("IsSecured")
    return Attribute(
        logical_name=name,
        attribute_type=attribute_type if isinstance(attribute_type, str) else None,
        is_valid_for_read=column.get("IsValidForRead") is not False,
        # What is neither true nor false may mean yes, and a secured column must not be read.
        is_secured=secured is not None and secured is not False,
    )


def _add_behaviour(attribute: Attribute, time: Mapping[str, Any]) -> Attribute:
    behaviour, shape = time.get("DateTimeBehavior"), time.get("Format")
    value = behaviour.get("Value") if isinstance(behaviour, dict) else None
    return replace(
        attribute,
        behaviour=value if isinstance(value, str) else None,
        time_format=shape if isinstance(shape, str) else None,
    )


def obstacle(field: Field, attribute: Attribute) -> tuple[LeftOutState, str] | None:
    """Why a column that is there can't be read; None where metadata names no reason."""
    if attribute.is_secured:
        return "secured", "column security hides or masks it: it would read as null"
    found = attribute.attribute_type
    if found is not None and found not in FITTING_TYPES[field.kind]:
        return "retyped", f"it is {found}, and {field.kind} was expected"
    if field.kind is Kind.INSTANT and attribute.behaviour == "DateOnly":
        return "retyped", "it is a date without a time, and an instant was expected"
    return None
