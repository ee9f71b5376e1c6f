"""Columns that a user selects become fields: the organisation's metadata says of which kind.

One that can be no field never stops a run. It is left out by name, with the reason and, where the
organisation has no such column, with the name that was probably meant.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from opportunity_sync.dynamics.metadata.attributes import (
    VIRTUAL,
    Attribute,
    add_behaviours,
    add_targets,
    read_attribute,
)
from opportunity_sync.dynamics.metadata.column_types import (
    LOOKUP,
    is_polymorphic,
    kind_of,
    refusal,
)
from opportunity_sync.dynamics.metadata.sample_queries import read_a_value
from opportunity_sync.dynamics.plan import LeftOut
from opportunity_sync.model import CustomField, Field, Kind
from opportunity_sync.model.column_names import nearest_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.model import Entity

log = logging.getLogger(__name__)

Attributes: TypeAlias = "Mapping[str, Attribute]"


def find_wanted(
    client: DataverseClient, entity: Entity, custom: Sequence[CustomField], *, listed: Attributes
) -> dict[str, Attribute]:
    """Of the columns of a metadata answer those that are wanted, with what only their type has.

    An answer can lack a column or its type: selected ones are then asked for by themselves. So is
    any wanted column of which it does not say whether it is secured.
    """
    names = {field.source for field in entity.all_fields} | {each.source for each in custom}
    found = {name: listed[name] for name in sorted(names & listed.keys())}
    for name in dict.fromkeys(each.source for each in custom):
        if (found.get(name) or Attribute(name)).attribute_type in {None, VIRTUAL}:
            attribute = read_attribute(client, entity, name)
            if attribute is not None:
                log.info("%s.%s has no type in an answer about the table", entity.name, name)
                found[name] = attribute
    for name, attribute in found.items():
        if attribute.is_secured is None and (alone := read_attribute(client, entity, name)):
            found[name] = replace(attribute, is_secured=alone.is_secured)
    add_behaviours(client, entity, found)
    selected = [found.get(each.source) for each in custom]
    if any(attribute and attribute.attribute_type == LOOKUP for attribute in selected):
        add_targets(client, entity, found)
    return found


def type_fields(
    client: DataverseClient,
    entity: Entity,
    custom: Sequence[CustomField],
    *,
    attributes: Attributes,
    listed: Attributes,
) -> tuple[tuple[Field, ...], tuple[LeftOut, ...]]:
    """The fields that selected columns become, and those that can become none."""
    known = [name for name, attribute in listed.items() if refusal(attribute) is None]
    typed = [
        _type_field(client, entity, each, attribute=attributes.get(each.source), known=known)
        for each in custom
    ]
    fields = tuple(each for each in typed if isinstance(each, Field))
    return fields, tuple(each for each in typed if isinstance(each, LeftOut))


def _type_field(
    client: DataverseClient,
    entity: Entity,
    custom: CustomField,
    *,
    attribute: Attribute | None,
    known: Sequence[str],
) -> Field | LeftOut:
    if attribute is None:
        near = nearest_name(custom.source, known)
        hint = f"; the nearest name is {near}" if near else ""
        reason = f"the organisation has no such column{hint}"
        return LeftOut(custom.source, reason, "missing", custom.column)
    reason = refusal(attribute) or ""
    kind = None if reason else kind_of(attribute) or _kind_by_value(client, entity, custom.source)
    if kind is None:
        reason = reason or "metadata does not say how its times behave, and no value shows it"
        return LeftOut(custom.source, reason, "refused", custom.column)
    several = is_polymorphic(attribute)
    return Field(custom.column, custom.source, kind, polymorphic=several, kind_is_told=True)


def _kind_by_value(client: DataverseClient, entity: Entity, source: str) -> Kind | None:
    """A value without an hour is a date; one with it may be an instant, or a time of no zone."""
    value = read_a_value(client, entity, source)
    return Kind.DATE if value is not None and "T" not in value else None
