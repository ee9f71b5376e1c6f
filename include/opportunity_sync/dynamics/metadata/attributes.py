"""Columns as the organisation defines them.

Answers about metadata have holes, such as a column without a type or a list that is null. What
can't be understood of a column counts as not said. An answer that has no list of columns at all is
asked for again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from opportunity_sync.errors import QueryError, ResponseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.model import Entity

log = logging.getLogger(__name__)

TIME: Final = "DateTime"
VIRTUAL: Final = "Virtual"
COLUMN_PROPERTIES: Final = (
    "LogicalName,AttributeType,AttributeTypeName,AttributeOf,IsValidForRead,IsSecured,SourceType,"
    "MetadataId"
)


@dataclass(frozen=True, slots=True)
class Attribute:
    """What metadata says of a column; None where it says nothing that can be understood.

    `attribute_type` is the old list's name of the type or, where that is but "Virtual", the name
    that tells more, such as "MultiSelectPicklist" or "File".
    """

    logical_name: str
    attribute_type: str | None = None
    is_valid_for_read: bool = True
    is_secured: bool | None = None
    source_type: int | None = None  # 1: calculated, 2: rolled up, 3: a formula
    attribute_of: str | None = None  # the column that this one only helps to show
    metadata_id: str | None = None
    behaviour: str | None = None  # of a DateTime: DateOnly, UserLocal or TimeZoneIndependent
    time_format: str | None = None  # of a DateTime: DateOnly or DateAndTime
    targets: tuple[str, ...] | None = None  # of a lookup: the tables that it can point at


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


def parse_attributes(columns: Iterable[Mapping[str, Any]]) -> dict[str, Attribute]:
    """The columns of a metadata answer, by name; those without one are passed over."""
    return {
        name: _parse_attribute(name, column)
        for column in columns
        if isinstance(name := column.get("LogicalName"), str)
    }


def read_attribute(client: DataverseClient, entity: Entity, name: str) -> Attribute | None:
    """One column as the answer about it alone describes it; None where there is no such answer."""
    path = f"{table_path(entity)}/Attributes(LogicalName='{name}')"
    try:
        return _parse_attribute(name, client.get_json(path, {"$select": COLUMN_PROPERTIES}))
    except QueryError:
        return None


def add_behaviours(
    client: DataverseClient, entity: Entity, attributes: dict[str, Attribute]
) -> None:
    """Learn how the times among these columns behave, with one request where there are any."""
    if not any(attribute.attribute_type == TIME for attribute in attributes.values()):
        return
    select = "LogicalName,Format,DateTimeBehavior"
    for attribute, time in _read_specials(client, entity, attributes, cast=TIME, select=select):
        behaviour, shape = time.get("DateTimeBehavior"), time.get("Format")
        value = behaviour.get("Value") if isinstance(behaviour, dict) else None
        attributes[attribute.logical_name] = replace(
            attribute,
            behaviour=value if isinstance(value, str) else None,
            time_format=shape if isinstance(shape, str) else None,
        )


def add_targets(client: DataverseClient, entity: Entity, attributes: dict[str, Attribute]) -> None:
    """Learn where the lookups among these columns can point, with one request."""
    select = "LogicalName,Targets"
    for attribute, lookup in _read_specials(
        client, entity, attributes, cast="Lookup", select=select
    ):
        targets = lookup.get("Targets")
        if isinstance(targets, list) and all(isinstance(target, str) for target in targets):
            attributes[attribute.logical_name] = replace(attribute, targets=tuple(targets))


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


def _read_specials(
    client: DataverseClient,
    entity: Entity,
    attributes: Mapping[str, Attribute],
    *,
    cast: str,
    select: str,
) -> Iterator[tuple[Attribute, dict[str, Any]]]:
    """The columns that are of a type, each with what only this type has."""
    for special in read_columns_of_type(client, entity, cast, select=select):
        attribute = attributes.get(str(special.get("LogicalName")))
        if attribute is not None:
            yield attribute, special


def _parse_attribute(name: str, column: Mapping[str, Any]) -> Attribute:
    source_type = column.get("SourceType")
    return Attribute(
        logical_name=name,
        attribute_type=_parse_type(column),
        is_valid_for_read=column.get("IsValidForRead") is not False,
        is_secured=_true_or_false(column.get("IsSecured")),
        source_type=source_type if type(source_type) is int else None,
        attribute_of=_text_or_none(column.get("AttributeOf")),
        metadata_id=(_text_or_none(column.get("MetadataId")) or "").lower() or None,
    )


def _parse_type(column: Mapping[str, Any]) -> str | None:
    listed = _text_or_none(column.get("AttributeType"))
    if listed not in {None, VIRTUAL}:
        return listed
    named = column.get("AttributeTypeName")
    name = _text_or_none(named.get("Value")) if isinstance(named, dict) else None
    return name.removesuffix("Type") if name else listed


def _true_or_false(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
