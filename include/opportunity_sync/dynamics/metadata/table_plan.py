"""The plan of one table: which of its columns can be read, and what their codes mean.

A secured column that the application user may not see reads as null or as a masked text. Either
would overwrite good data, so it is left out. Metadata's own flags are known to be wrong at times,
so in the end the table is asked for one row with all its planned columns.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from opportunity_sync.dynamics.metadata.attributes import Attribute, read_attribute
from opportunity_sync.dynamics.metadata.column_types import type_obstacle
from opportunity_sync.dynamics.metadata.custom_fields import find_wanted, type_fields
from opportunity_sync.dynamics.metadata.labels import read_labels
from opportunity_sync.dynamics.metadata.sample_queries import (
    find_fields_with_values,
    find_unknown_fields,
)
from opportunity_sync.dynamics.metadata.table_definition import read_definition
from opportunity_sync.dynamics.metadata.time_zones import choose_zones
from opportunity_sync.dynamics.plan import EntityPlan, LeftOut
from opportunity_sync.errors import ConfigError
from opportunity_sync.model.selection import with_currency

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.dynamics.metadata.column_security import ColumnSecurity
    from opportunity_sync.dynamics.metadata.column_types import Obstacle
    from opportunity_sync.dynamics.metadata.privileges import ReadDepths
    from opportunity_sync.model import CustomField, Entity, Field

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WantedTable:
    """A table: fields whose kinds are known, and columns whose kinds metadata shall tell."""

    entity: Entity
    custom: tuple[CustomField, ...] = ()


@dataclass(frozen=True, slots=True)
class TablePlanner:
    """Makes the plans of the tables of one organisation, each by itself."""

    client: DataverseClient
    language: int | None
    time_zone: str | None
    depths: ReadDepths
    security: ColumnSecurity

    def plan(self, wanted: WantedTable) -> tuple[Entity, EntityPlan]:
        """The table with all fields that it has in the store, and what of it is read."""
        definition = read_definition(self.client, wanted.entity)
        listed = definition.attributes
        attributes = find_wanted(self.client, wanted.entity, wanted.custom, listed=listed)
        custom, untyped = type_fields(
            self.client, wanted.entity, wanted.custom, attributes=attributes, listed=listed
        )
        entity = _with_fields(wanted.entity, custom)
        left_out = self._find_unreadable(entity, attributes)
        entity = _with_fields(wanted.entity, [field for field in custom if field not in left_out])
        fields = [field for field in entity.all_fields if field not in left_out]
        named = (*(out for out in left_out.values() if out is not None), *untyped)
        return entity, EntityPlan(
            columns=tuple(field.column for field in fields),
            left_out=named,
            labels=read_labels(
                self.client, entity, fields, attributes=attributes, language=self.language
            ),
            zones=choose_zones(
                self.client, entity, fields, attributes=attributes, time_zone=self.time_zone
            ),
            change_tracking_enabled=definition.tracks_changes,
            reads_every_row=self.depths.reads_every_row(entity),
            secured=tuple(
                field.column for field in fields if attributes[field.source].is_secured is not False
            ),
        )

    def _find_unreadable(
        self, entity: Entity, attributes: dict[str, Attribute]
    ) -> dict[Field, LeftOut | None]:
        """The fields that can't be read; None for those that are passed over without a word."""
        left_out = self._find_hidden_or_retyped(entity, entity.all_fields, attributes)
        fields = [field for field in entity.all_fields if field not in left_out]
        left_out |= self._find_unanswered(entity, fields, attributes)
        fields = [field for field in fields if field not in left_out]
        return left_out | self._find_unfit_without_metadata(entity, fields, attributes)

    def _find_hidden_or_retyped(
        self, entity: Entity, fields: Sequence[Field], attributes: dict[str, Attribute]
    ) -> dict[Field, LeftOut | None]:
        """The columns that metadata says are there and can't be used."""
        found = {
            field: LeftOut(field.source, reason[1], reason[0], field.column)
            for field in fields
            if (attribute := attributes.get(field.source)) is not None
            and (reason := self._obstacle(entity, field, attribute)) is not None
        }
        doubtful = [
            field
            for field, out in found.items()
            if out.state == "secured" and self.security.is_told_by_values(attributes[field.source])
        ]
        for field in find_fields_with_values(self.client, entity, doubtful):
            out = self._judge_shown(field, found.pop(field), attributes[field.source])
            found |= {} if out is None else {field: out}
        return {field: _require_no_rule_needs(entity, field, out) for field, out in found.items()}

    def _obstacle(self, entity: Entity, field: Field, attribute: Attribute) -> Obstacle | None:
        return self.security.obstacle(entity, attribute) or type_obstacle(field, attribute)

    def _judge_shown(self, field: Field, out: LeftOut, attribute: Attribute) -> LeftOut | None:
        """Why a column is left out though rows show a value of it; None where it is not."""
        if self.security.is_unknown:
            return msgspec.structs.replace(out, state="masked")
        misfit = type_obstacle(field, attribute)
        return None if misfit is None else LeftOut(field.source, misfit[1], misfit[0], field.column)

    def _find_unanswered(
        self, entity: Entity, fields: Sequence[Field], attributes: dict[str, Attribute]
    ) -> dict[Field, LeftOut | None]:
        """The columns that a query for one row does not know, whatever metadata says of them."""
        missing = [field for field in fields if field.source not in attributes]
        return {
            field: _require_no_rule_needs(
                entity, field, _left_out_of_query(field, attributes.get(field.source))
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


def _with_fields(entity: Entity, custom: Collection[Field]) -> Entity:
    """The entity with these fields beside its own, and the currency of their amounts."""
    if not custom:
        return entity
    return replace(entity, fields=with_currency((*entity.fields, *custom)))


def _require_no_rule_needs(entity: Entity, field: Field, out: LeftOut) -> LeftOut | None:
    """The column to leave out by name; None where it is optional and absent, so not worth a word.

    Raises:
        ConfigError: the association rules need the column.
    """
    is_absent = out.state in {"missing", "refused"}
    if field in entity.facts and not (field.optional and is_absent):
        raise _missing_rule_column_error(entity, field, out)
    return None if field.optional and out.state == "missing" else out


def _left_out_of_query(field: Field, attribute: Attribute | None) -> LeftOut:
    """Why a column is left out that a query does not know."""
    if attribute is None:
        reason = "the organisation has no such column"
        return LeftOut(field.source, reason, "missing", field.column)
    if not attribute.is_valid_for_read:
        return LeftOut(field.source, "the column is not valid for read", "refused", field.column)
    reason = "a query does not know it though the metadata names it"
    return LeftOut(field.source, reason, "refused", field.column)


def _missing_rule_column_error(entity: Entity, field: Field, out: LeftOut) -> ConfigError:
    """Without a column that they read, the rules would be wrong, and nobody would notice."""
    step = "let the application user read the column (column security, the table's metadata)"
    if out.state == "retyped":
        step = "give the column the expected type in Dynamics (delete it there and make it anew)"
    return ConfigError(
        f"{entity.name}.{field.source} can't be read, and the association rules need it: "
        f"{out.reason}.",
        next_step=f"{step}, then clear the task.",
    )
