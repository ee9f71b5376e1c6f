"""The shape of one row of a response, built from the entity: what the decoder fills.

A struct made to measure lets msgspec skip all that is not wanted (etags, context, columns that
come unasked) and check each value's type while it reads, at less than the cost of a plain
`json.loads`. Column by column access afterwards needs the fields in a known order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from opportunity_sync.model import VERSION_SOURCE, Entity, Field, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opportunity_sync.dynamics.plan import EntityPlan

LOOKUP_TYPE: Final = "@Microsoft.Dynamics.CRM.lookuplogicalname"
NULL: Final = msgspec.Raw(b"null")

_Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_TYPES: Final[Mapping[Kind, Any]] = {
    Kind.TEXT: str | None,
    Kind.INTEGER: _Int64 | None,
    Kind.CHOICE: _Int32 | None,
    Kind.DECIMAL: msgspec.Raw,  # the digits as written: a float would lose some
    Kind.MONEY: msgspec.Raw,
    Kind.DOUBLE: float | None,
    Kind.BOOLEAN: bool | None,
    Kind.INSTANT: str | None,
    Kind.LOCAL_TIME: str | None,
    Kind.DATE: str | None,
    Kind.CHOICES: str | None,
    Kind.LOOKUP: str | None,
    Kind.GUID: str | None,
}


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a field's values stand in a row taken apart; `type_at` is the lookup's type."""

    field: Field
    at: int
    type_at: int | None


# Positions of the values that every row may have, before the slots.
KEY_AT, VERSION_AT, CONTEXT_AT, DELETED_ID_AT = range(4)


@dataclass(frozen=True, slots=True)
class RowShape:
    """The row type of one entity under one plan, and where each field is in it."""

    row: Any
    slots: tuple[Slot, ...]

    @classmethod
    def of(cls, entity: Entity, plan: EntityPlan) -> RowShape:
        """The shape of the planned columns; every property may be absent, and is then null."""
        return _build_shape(entity.key, tuple(plan.fields(entity)))


@cache
def _build_shape(key: str, fields: tuple[Field, ...]) -> RowShape:
    """Each property once, though a column can be wanted under two names."""
    properties: dict[str, Any] = {
        key: str | None,
        VERSION_SOURCE: _Int64 | None,
        "@odata.context": str | None,
        "id": str | None,
    }
    for field in fields:
        properties.setdefault(field.select, _TYPES[field.kind])
        if field.polymorphic:
            properties.setdefault(field.select + LOOKUP_TYPE, str | None)
    at = {name: position for position, name in enumerate(properties)}
    slots = (
        Slot(field, at[field.select], at[field.select + LOOKUP_TYPE] if field.polymorphic else None)
        for field in fields
    )
    return RowShape(_define_struct(list(properties.items())), tuple(slots))


def _define_struct(properties: list[tuple[str, Any]]) -> Any:
    names = {f"value_{at}": name for at, (name, _) in enumerate(properties)}
    fields = [
        (f"value_{at}", kind, NULL if kind is msgspec.Raw else None)
        for at, (_, kind) in enumerate(properties)
    ]
    # gc=False: a row holds no cycles, and tracking millions of them costs a third of the time.
    return msgspec.defstruct("Row", fields, rename=names, gc=False)
