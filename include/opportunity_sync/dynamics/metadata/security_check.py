"""Whether the planned columns can be read still, when all of a table has been read.

A value that the application user may not see comes as null, or as a masked text, without a word. So
what was read counts only if column security is no other at its end than when it was planned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync.dynamics.metadata.attributes import Attribute, read_attribute
from opportunity_sync.dynamics.metadata.column_security import ColumnSecurity
from opportunity_sync.dynamics.metadata.sample_queries import (
    find_fields_with_values,
    find_unknown_fields,
)
from opportunity_sync.dynamics.metadata.table_definition import read_definition
from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.dynamics.plan import EntityPlan
    from opportunity_sync.model import Entity, Field


def require_same_security(client: DataverseClient, entity: Entity, plan: EntityPlan) -> None:
    """Ask again whether the planned columns may be read: of metadata, and of rights if need be.

    Raises:
        ConfigError: one of them was hidden or masked since the plan was made, or whether it may
            be read can't be found out any more.
    """
    attributes = _ask_again(client, entity, plan)
    fields = [
        each for each in plan.fields(entity) if attributes[each.source].is_secured is not False
    ]
    if not fields:
        return
    security = ColumnSecurity(client, client.who_am_i()["UserId"], (entity,))
    found = {
        field: obstacle[1]
        for field in fields
        if (obstacle := security.obstacle(entity, attributes[field.source])) is not None
    }
    doubtful = [field for field in found if attributes[field.source].is_secured is None]
    shown = _find_shown(client, entity, doubtful) if not security.is_unknown else set()
    hidden = {field.source: reason for field, reason in found.items() if field not in shown}
    if hidden:
        names, reasons = ", ".join(sorted(hidden)), "; ".join(dict.fromkeys(hidden.values()))
        raise ConfigError(
            f"{entity.name}.{names} came under column security while the table was read, so what "
            f"was read of it may be null or masked: {reasons}.",
            next_step="clear the whole DAG run, from its first task; the next scheduled run leaves "
            "the column out by itself, and its values in the store stay.",
        )


def _ask_again(client: DataverseClient, entity: Entity, plan: EntityPlan) -> dict[str, Attribute]:
    """The planned columns; each by itself of which an answer about all does not tell enough."""
    listed = read_definition(client, entity).attributes
    found = {}
    for name in dict.fromkeys(field.source for field in plan.fields(entity)):
        attribute = listed.get(name)
        if attribute is None or attribute.is_secured is None:
            attribute = read_attribute(client, entity, name) or attribute
        found[name] = attribute or Attribute(name)
    return found


def _find_shown(client: DataverseClient, entity: Entity, doubtful: Sequence[Field]) -> set[Field]:
    """Of columns that metadata says nothing of, those that were surely not hidden.

    Rows have a value of it. Or queries do not know it any more: they would have failed before.
    """
    if not doubtful:
        return set()
    gone = find_unknown_fields(client, entity, doubtful, in_doubt=())
    there = [field for field in doubtful if field not in gone]
    return {*gone, *find_fields_with_values(client, entity, there)}
