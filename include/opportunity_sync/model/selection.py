"""Which columns a user asks for, per table: default fields that stay, and columns of their own.

The type of a column of their own is not known before the organisation's metadata is asked, so it
is no `Field` yet: only what it shall be called, and where it comes from.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opportunity_sync.model.default import CURRENCY, DEFAULT_MODEL
from opportunity_sync.model.fields import Field, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from opportunity_sync.model.entity import Entity
    from opportunity_sync.model.model import Model

_FINGERPRINT_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class CustomField:
    """A column of Dynamics, by its logical name, and what the store shall call it.

    `line` says where the fields file asks for it; it is no part of what is asked.
    """

    column: str
    source: str
    line: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class EntitySelection:
    """What is wanted of one entity: `fields` of the default model, then `custom` ones in order.

    The same Dynamics column may be wanted twice, under two names.
    """

    name: str
    fields: tuple[Field, ...]
    custom: tuple[CustomField, ...] = ()

    @property
    def columns(self) -> frozenset[str]:
        """The store's names of all fields that are wanted or stand whatever is wanted."""
        chosen: tuple[Field | CustomField, ...] = (*self.fields, *self.custom)
        return frozenset(each.column for each in chosen)

    @property
    def wanted(self) -> tuple[Field | CustomField, ...]:
        """What was selected, without what is there whatever is selected, or comes with money."""
        return (*filter(is_selectable, self.fields), *self.custom)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a user asks for, of every entity that has a public table."""

    entities: tuple[EntitySelection, ...]

    @classmethod
    def default(cls, model: Model = DEFAULT_MODEL) -> Selection:
        """What is read of the model where nobody selects otherwise."""
        return cls(tuple(make_selection(entity, entity.fields) for entity in model.public))

    def __iter__(self) -> Iterator[EntitySelection]:
        """Each entity's part."""
        return iter(self.entities)

    def __getitem__(self, name: str) -> EntitySelection:
        """An entity's part, by logical name. Raises `KeyError` for one without a public table."""
        return {entity.name: entity for entity in self.entities}[name]

    @property
    def fingerprint(self) -> str:
        """A short hash of what is wanted, the same in whatever order and on every machine."""
        names = sorted(
            (entity.name, each.column, each.source)
            for entity in self.entities
            for each in entity.wanted
        )
        return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:_FINGERPRINT_CHARACTERS]


def is_selectable(each: Field) -> bool:
    """Whether a public field is there because it was selected, not for book-keeping or money."""
    return not each.always_stands and each != CURRENCY


def selectable_fields(entity: Entity) -> tuple[Field, ...]:
    """The default fields of an entity that a user may leave out."""
    return tuple(filter(is_selectable, entity.fields))


def make_selection(
    entity: Entity, wanted: Collection[Field], custom: tuple[CustomField, ...] = ()
) -> EntitySelection:
    """The wanted fields in the default order, with what stands whatever is wanted.

    Of the facts that the rules read, those that are wanted become public as well.
    """
    facts = (each for each in entity.facts if each not in entity.fields)
    known = (*entity.fields, *facts)
    stays = tuple(
        each
        for each in known
        if each in wanted or (each in entity.fields and not is_selectable(each))
    )
    return EntitySelection(entity.name, with_currency(stays), custom)


def with_currency(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """The fields, with the currency just where there is money: alone an amount says nothing."""
    if not any(each.kind is Kind.MONEY for each in fields):
        return tuple(each for each in fields if each != CURRENCY)
    return fields if CURRENCY in fields else (*fields, CURRENCY)
