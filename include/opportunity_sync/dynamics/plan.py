"""What one organisation lets us read: the selected columns, those left out and why, the labels.

It is made once per run from the organisation's metadata, travels to the tasks as JSON, and is
all that query and decoding need to know of the organisation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import msgspec

from opportunity_sync.model import VERSION_SOURCE, Entity, Field

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

Labels = dict[str, dict[int, str]]

# What keeps a column from being read: the organisation has none such, column security hides it or
# gives masked texts, its type is another than ours, only a query turned out not to know it or the
# store has another use for its column, or the column could not be made yet.
LeftOutState: TypeAlias = Literal["missing", "secured", "masked", "retyped", "refused", "postponed"]


class LeftOut(msgspec.Struct, frozen=True):
    """A selected column that is not read, by its Dataverse name, and why.

    `column` is what the store calls it.
    """

    source: str
    reason: str
    state: LeftOutState = "missing"
    column: str = ""


class EntityPlan(msgspec.Struct, frozen=True):
    """One table: `columns` are the names of the planned fields; `labels` go by field and code.

    `zones`: the dates whose values come as instants, and the time zone in which their day counts.
    `secured`: of the columns those that column security lies over, and that can be read all the
    same.
    """

    columns: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    labels: Labels = {}
    zones: dict[str, str] = {}
    change_tracking_enabled: bool = False
    reads_every_row: bool | None = None  # None: the privileges could not be determined
    secured: tuple[str, ...] = ()

    def fields(self, entity: Entity) -> tuple[Field, ...]:
        """The fields of the entity that are read, in reading order."""
        planned = frozenset(self.columns)
        return tuple(field for field in entity.all_fields if field.column in planned)

    def select(self, entity: Entity) -> tuple[str, ...]:
        """The names for `$select`, each once: key and version first."""
        names = (entity.key, VERSION_SOURCE, *(field.select for field in self.fields(entity)))
        return tuple(dict.fromkeys(names))

    def narrow(self, columns: Collection[str]) -> Self:
        """The plan with no more than these fields."""
        return msgspec.structs.replace(
            self,
            columns=tuple(name for name in self.columns if name in columns),
            secured=tuple(name for name in self.secured if name in columns),
        )

    def interpretations(self, entity: Entity) -> dict[str, str]:
        """How each planned field is read: as long as this stays the same, so do the values.

        Most fields can be read in one way only, which is the empty text. A day that is taken from
        an instant depends on the time zone, and what a selected column becomes on its type.
        """
        return {
            field.column: f"day in {self.zones[field.column]}"
            if field.column in self.zones
            else field.form
            for field in self.fields(entity)
        }

    def fields_to_read_again(
        self, entity: Entity, held: Mapping[str, str | None]
    ) -> tuple[str, ...]:
        """The planned fields that are held in another interpretation, or not at all."""
        planned = self.interpretations(entity).items()
        return tuple(name for name, how in planned if held.get(name) != how)


class Plan(msgspec.Struct, frozen=True):
    """What is read of one organisation; `language` is the LCID of the labels, if known."""

    organization_id: str
    language: int | None
    entities: dict[str, EntityPlan]

    @classmethod
    def complete(cls, entities: Iterable[Entity], organization_id: str = "") -> Self:
        """A plan that reads every field and knows no labels: where no metadata is at hand."""
        plans = {
            entity.name: EntityPlan(tuple(field.column for field in entity.all_fields))
            for entity in entities
        }
        return cls(organization_id, None, plans)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """The plan that `to_dict` made, also after it went through JSON."""
        return msgspec.convert(content, cls, strict=False)

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain JSON values."""
        plain: dict[str, Any] = msgspec.to_builtins(self, str_keys=True)
        return plain

    def of(self, entity: Entity) -> EntityPlan:
        """The plan of one table."""
        return self.entities[entity.name]

    def without_field(self, entity: str, field: str, out: LeftOut) -> Self:
        """The plan without a field of a table, by its store name, and the reason."""
        plan = self.entities[entity]
        named = msgspec.structs.replace(out, column=field)
        fewer = msgspec.structs.replace(
            plan.narrow({name for name in plan.columns if name != field}),
            left_out=(*plan.left_out, named),
        )
        return msgspec.structs.replace(self, entities=self.entities | {entity: fewer})

    def narrow(self, entity: Entity, columns: Collection[str]) -> Self:
        """The plan with no more than these fields of one table."""
        narrow = self.of(entity).narrow(columns)
        return msgspec.structs.replace(self, entities=self.entities | {entity.name: narrow})

    @property
    def labels(self) -> dict[str, Labels]:
        """Choice labels by entity, field and code."""
        return {name: dict(plan.labels) for name, plan in self.entities.items() if plan.labels}

    def with_labels(self, known: Mapping[str, Mapping[str, Mapping[int, str]]]) -> Self:
        """The plan with the labels that the store knows; where both have one, the metadata's wins.

        `known` goes by entity, field and code. An option that is no longer named keeps its label.
        """
        plans = {
            name: msgspec.structs.replace(
                plan,
                labels={
                    column: dict(known.get(name, {}).get(column, {})) | labels
                    for column, labels in plan.labels.items()
                },
            )
            for name, plan in self.entities.items()
        }
        return msgspec.structs.replace(self, entities=plans)

    def report(self) -> list[str]:
        """One line per table."""
        return [
            f"{name}: {len(plan.columns)} columns, change tracking "
            f"{'on' if plan.change_tracking_enabled else 'off'}"
            for name, plan in self.entities.items()
        ]

    def warnings(self) -> list[str]:
        """One line per column that is left out: what the store has of it stays as it is."""
        return [
            f"{name}.{out.source} is left out ({out.state}): {out.reason}. The store keeps the "
            "values that it has, new rows have none; they come when the column can be read."
            for name, plan in self.entities.items()
            for out in plan.left_out
        ]
