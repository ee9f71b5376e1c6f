"""The organisation's metadata, asked for once per run and made into a plan of what can be read.

Marketo's own sync stops at a column that was renamed or secured. Here the column is left out, the
log names it, and the run goes on. A secured column reads as null or as a masked text, and either
would overwrite good data. Metadata's own flags are known to be wrong at times, so in the end each
table is asked for one row with all its planned columns.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from opportunity_sync.dynamics.metadata.attributes import (
    TABLE_QUERY,
    Attribute,
    obstacle,
    read_attribute,
    read_attributes,
    require_list,
    table_path,
)
from opportunity_sync.dynamics.metadata.labels import read_labels
from opportunity_sync.dynamics.metadata.privileges import ReadDepths
from opportunity_sync.dynamics.metadata.sample_queries import (
    find_masked_fields,
    find_unknown_fields,
    is_not_found,
    missing_table_error,
)
from opportunity_sync.dynamics.metadata.time_zones import choose_zones
from opportunity_sync.dynamics.plan import EntityPlan, LeftOut, Plan
from opportunity_sync.errors import ConfigError, QueryError, ResponseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.model import Entity, Field

log = logging.getLogger(__name__)

_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class _Planner:
    client: DataverseClient
    language: int | None
    time_zone: str | None
    depths: ReadDepths

    def plan_table(self, entity: Entity) -> EntityPlan:
        """The plan of one table, proven by reading one row."""
        client, definition = self.client, self._read_definition(entity)
        attributes = read_attributes(
            client, entity, require_list(definition, "Attributes", of=f"table {entity.name}")
        )
        left_out = self._find_hidden_or_retyped(entity, entity.all_fields, attributes)
        fields = [field for field in entity.all_fields if field not in left_out]
        left_out |= self._find_unanswered(entity, fields, attributes)
        fields = [field for field in fields if field not in left_out]
        left_out |= self._find_unfit_without_metadata(entity, fields, attributes)
        fields = [field for field in fields if field not in left_out]
        return EntityPlan(
            columns=tuple(field.column for field in fields),
            left_out=tuple(out for out in left_out.values() if out is not None),
            labels=read_labels(
                client, entity, fields, attributes=attributes, language=self.language
            ),
            zones=choose_zones(
                client, entity, fields, attributes=attributes, time_zone=self.time_zone
            ),
            change_tracking_enabled=definition.get("ChangeTrackingEnabled") is True,
            reads_every_row=self.depths.reads_every_row(entity),
        )

    def _read_definition(self, entity: Entity) -> dict[str, Any]:
        try:
            definition = self.client.get_json(table_path(entity), TABLE_QUERY)
        except QueryError as error:
            if not is_not_found(error):
                raise
            raise missing_table_error(entity) from error
        set_name = definition.get("EntitySetName")
        if not isinstance(set_name, str):
            raise ResponseError(f"Dataverse's answer about table {entity.name} does not name it.")
        if set_name != entity.set_name:
            raise missing_table_error(entity)
        return definition

    def _find_hidden_or_retyped(
        self, entity: Entity, fields: Sequence[Field], attributes: dict[str, Attribute]
    ) -> dict[Field, LeftOut | None]:
        """The columns that metadata says are there and can't be used."""
        found = {
            field: LeftOut(field.source, reason[1], reason[0])
            for field in fields
            if (attribute := attributes.get(field.source)) is not None
            and (reason := obstacle(field, attribute)) is not None
        }
        checked = {field: _leave_out_or_stop(entity, field, out) for field, out in found.items()}
        hidden = [field for field, out in found.items() if out.state == "secured"]
        for field in find_masked_fields(self.client, entity, hidden):
            checked[field] = msgspec.structs.replace(found[field], state="masked")
        return checked

    def _find_unanswered(
        self, entity: Entity, fields: Sequence[Field], attributes: dict[str, Attribute]
    ) -> dict[Field, LeftOut | None]:
        """The columns that a query for one row does not know, whatever metadata says of them."""
        missing = [field for field in fields if field.source not in attributes]
        return {
            field: _leave_out_or_stop(
                entity, field, _left_out_by_query(field, attributes.get(field.source))
            )
            for field in find_unknown_fields(self.client, entity, fields, in_doubt=missing)
        }

    def _find_unfit_without_metadata(
        self, entity: Entity, fields: Sequence[Field], attributes: dict[str, Attribute]
    ) -> dict[Field, LeftOut | None]:
        """Of the columns that only a query knows, those that turn out to be unfit after all.

        Metadata is asked about each by itself, and `attributes` takes up the answer. The others are
        read as what they are by default.
        """
        doubtful = [
            field
            for field in fields
            if field.source not in attributes or attributes[field.source].attribute_type is None
        ]
        for field in doubtful:
            attribute = read_attribute(self.client, entity, field.source)
            attributes[field.source] = attribute or Attribute(field.source)
            log.info(
                "%s.%s is missing from an answer about the table, or has no type there, and a "
                "query knows it: it is read as %s.",
                entity.name,
                field.source,
                field.kind,
            )
        return self._find_hidden_or_retyped(entity, doubtful, attributes)


def organization_plan(
    client: DataverseClient,
    entities: Sequence[Entity],
    *,
    language: int | None,
    time_zone: str | None = None,
) -> Plan:
    """What can be read of these tables.

    `language` is the LCID wanted for choice labels, `time_zone` the IANA name of the zone in
    which the day of a date counts that comes as an instant.

    Raises:
        PrivilegeError: a table may not be read; the message names the privilege.
        ConfigError: a table does not exist, or a column that the association rules need can't
            be read.
        ResponseError: an answer is not what it should be.
    """
    identity = client.who_am_i()
    spoken = language if language is not None else _read_base_language(client)
    depths = ReadDepths(client, identity["UserId"], entities)
    planner = _Planner(client, spoken, time_zone, depths)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="metadata") as pool:
        plans = list(pool.map(planner.plan_table, entities))
    names = (entity.name for entity in entities)
    plan = Plan(identity["OrganizationId"], spoken, dict(zip(names, plans, strict=True)))
    for line in plan.report():
        log.info("%s", line)
    for line in (*plan.warnings(), *depths.warnings(entities)):
        log.warning("%s", line)
    return plan


def _read_base_language(client: DataverseClient) -> int | None:
    """The organisation's base language; None where it may not be read, and the user's counts."""
    try:
        answer = client.get_json("organizations", {"$select": "languagecode"})
    except ConfigError as error:
        log.warning("The base language can't be read, labels are in the user's: %s", error)
        return None
    rows = require_list(answer, "value", of="the organisation")
    if not rows:
        return None
    code = rows[0].get("languagecode")
    if type(code) is not int:
        raise ResponseError("Dataverse's answer about the organisation has no base language.")
    return code


def _leave_out_or_stop(entity: Entity, field: Field, out: LeftOut) -> LeftOut | None:
    """The column to leave out by name; None where it is optional and absent, so not worth a word.

    Raises:
        ConfigError: the association rules need the column.
    """
    is_absent = out.state in {"missing", "refused"}
    if field in entity.facts and not (field.optional and is_absent):
        raise _missing_rule_column_error(entity, field, out.reason)
    return None if field.optional and out.state == "missing" else out


def _left_out_by_query(field: Field, attribute: Attribute | None) -> LeftOut:
    """Why a column is left out that a query does not know."""
    if attribute is None:
        return LeftOut(field.source, "the organisation has no such column", "missing")
    if not attribute.is_valid_for_read:
        return LeftOut(field.source, "the column is not valid for read", "refused")
    reason = "a query does not know it though the metadata names it"
    return LeftOut(field.source, reason, "refused")


def _missing_rule_column_error(entity: Entity, field: Field, reason: str) -> ConfigError:
    """Without a column that they read, the rules would be wrong, and nobody would notice."""
    return ConfigError(
        f"{entity.name}.{field.source} can't be read, and the association rules need it: {reason}.",
        next_step="let the application user read the column (column security, the table's "
        "metadata), then clear the task.",
    )
