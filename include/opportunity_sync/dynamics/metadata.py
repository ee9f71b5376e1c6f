"""The organisation's metadata, asked once per run, made into a plan of what can be read.

The native sync stops at a column that was renamed or secured; here the column is left out, said
by name, and the run goes on. A secured column is left out too: it reads as null, or as a masked
text, and both would overwrite good data. Metadata's own flags are known to be wrong at times,
so each table is finally asked for one row with all its planned columns.
"""

from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import requests

from opportunity_sync.dynamics.attributes import Attribute, attributes_of, obstacle
from opportunity_sync.dynamics.labels import labels_of
from opportunity_sync.dynamics.plan import EntityPlan, LeftOut, Plan
from opportunity_sync.dynamics.privileges import ReadDepths
from opportunity_sync.errors import ConfigError, QueryError, SyncError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.entities import Entity, Field

log = logging.getLogger(__name__)

_AT_ONCE: Final = 4
_TABLE: Final = {
    "$select": "LogicalName,EntitySetName,PrimaryIdAttribute,ChangeTrackingEnabled",
    "$expand": "Attributes($select=LogicalName,AttributeType,IsValidForRead,IsSecured)",
}
_UNKNOWN_PROPERTY: Final = re.compile(r"Could not find a property named '([^']+)'")


@dataclass(frozen=True, slots=True)
class _Reader:
    client: DataverseClient
    language: int | None
    depths: ReadDepths

    def plan(self, entity: Entity) -> EntityPlan:
        """The plan of one table, proven by one row."""
        definition = self._definition(entity)
        attributes = attributes_of(self.client, entity, definition["Attributes"])
        fields, left_out = _sorted_out(entity, attributes)
        plan = EntityPlan(
            columns=tuple(field.column for field in fields),
            left_out=left_out,
            labels=labels_of(self.client, entity, attributes, language=self.language),
            change_tracking_enabled=bool(definition.get("ChangeTrackingEnabled")),
            reads_every_row=self.depths.reads_every_row(entity),
        )
        return self._proven(entity, plan)

    def _definition(self, entity: Entity) -> dict[str, Any]:
        path = f"EntityDefinitions(LogicalName='{entity.name}')"
        try:
            definition = self.client.get_json(path, _TABLE)
        except QueryError as error:
            if not _is_not_found(error):
                raise
            raise _no_table(entity) from error
        if definition.get("EntitySetName") != entity.set_name:
            raise _no_table(entity)
        return definition

    def _proven(self, entity: Entity, plan: EntityPlan) -> EntityPlan:
        """The plan without columns that a query for one row turns out not to know."""
        select = ",".join(plan.select(entity))
        try:
            self.client.get_json(entity.set_name, {"$select": select, "$top": "1"})
        except QueryError as error:
            if _is_not_found(error):
                raise _no_table(entity) from error
            unknown = _UNKNOWN_PROPERTY.search(error.problem)
            field = _field(entity, plan, unknown[1] if unknown else "")
            if field is None:
                raise
            return self._proven(entity, _without(plan, field))
        return plan


def organization_plan(
    client: DataverseClient, entities: Sequence[Entity], *, language: int | None
) -> Plan:
    """What can be read of these tables; `language` is the LCID wanted for choice labels.

    Raises:
        PrivilegeError: a table may not be read; the message names the privilege.
        ConfigError: a table does not exist.
    """
    identity = client.who_am_i()
    organization_id = str(identity.get("OrganizationId", "")).lower()
    spoken = language if language is not None else _base_language(client)
    reader = _Reader(client, spoken, ReadDepths(client, str(identity.get("UserId", ""))))
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="metadata") as pool:
        plans = list(pool.map(reader.plan, entities))
    names = (entity.name for entity in entities)
    plan = Plan(organization_id, spoken, dict(zip(names, plans, strict=True)))
    for line in plan.report():
        log.log(logging.WARNING if "left out" in line else logging.INFO, "%s", line)
    return plan


def _base_language(client: DataverseClient) -> int | None:
    """The organisation's base language; None where it may not be read: the user's is taken."""
    try:
        answer = client.get_json("organizations", {"$select": "languagecode"})
    except ConfigError as error:
        log.warning("The base language can't be read, labels are in the user's: %s", error)
        return None
    found = [row.get("languagecode") for row in answer.get("value", [])]
    return found[0] if found and isinstance(found[0], int) else None


def _sorted_out(
    entity: Entity, attributes: dict[str, Attribute]
) -> tuple[list[Field], tuple[LeftOut, ...]]:
    """Fields to read, and those left out with the reason; absent optional ones without a word."""
    fields, left_out = [], []
    for field in entity.all_fields:
        reason = obstacle(field, attributes.get(field.source))
        if reason is None:
            fields.append(field)
        elif field.optional and field.source not in attributes:
            continue
        elif field in entity.facts:
            raise _no_rule_column(entity, field, reason)
        else:
            left_out.append(LeftOut(field.source, reason))
    return fields, tuple(left_out)


def _no_rule_column(entity: Entity, field: Field, reason: str) -> ConfigError:
    """Without a column that the association rules read, their result would be wrong in silence."""
    return ConfigError(
        f"{entity.name}.{field.source} can't be read, and the association rules need it: {reason}.",
        next_step="let the application user read the column (column security, the table's "
        "metadata), then clear the task.",
    )


def _field(entity: Entity, plan: EntityPlan, name: str) -> Field | None:
    return next((field for field in plan.fields(entity) if field.select == name), None)


def _without(plan: EntityPlan, field: Field) -> EntityPlan:
    out = LeftOut(field.source, "a query does not know it though the metadata names it")
    columns = tuple(column for column in plan.columns if column != field.column)
    return msgspec.structs.replace(plan, columns=columns, left_out=(*plan.left_out, out))


def _is_not_found(error: SyncError) -> bool:
    return error.request is not None and error.request.status == requests.codes.not_found


def _no_table(entity: Entity) -> ConfigError:
    return ConfigError(
        f"The organisation has no table {entity.name} ({entity.set_name}).",
        next_step="check that the connection's host is an organisation with Dynamics 365 Sales",
    )
