"""The shape of one row of a response, built from the entity: what the decoder fills.

A struct made to measure lets msgspec skip all that is not wanted (etags, context, columns that
come unasked) and check each value's type while it reads, at less than the cost of a plain
`json.loads`. Its fields have a known order, so that Arrow takes rows apart into columns at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import pyarrow as pa

from opportunity_sync.model import VERSION_SOURCE, Entity, Field, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opportunity_sync.dynamics.plan import EntityPlan

LOOKUP_TYPE: Final = "@Microsoft.Dynamics.CRM.lookuplogicalname"
NULL: Final = msgspec.Raw(b"null")

_Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
# What JSON must have, and what Arrow makes of it first. Kinds that are not named come as text.
_TYPES: Final[Mapping[Kind, tuple[Any, pa.DataType]]] = {
    Kind.INTEGER: (_Int64 | None, pa.int64()),
    Kind.CHOICE: (_Int32 | None, pa.int64()),
    Kind.DOUBLE: (float | None, pa.float64()),
    Kind.BOOLEAN: (bool | None, pa.bool_()),
}
_TEXT: Final = (str | None, pa.string())
# Kept as they are written, digit for digit: a float would lose some.
_WRITTEN: Final = frozenset({Kind.DECIMAL, Kind.MONEY})


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a field's values stand in a row taken apart; `type_at` is the lookup's type."""

    field: Field
    at: int
    type_at: int | None


# Positions of the values that every row may have, before the slots.
KEY_AT, VERSION_AT, CONTEXT_AT, DELETED_ID_AT = range(4)
context_of = attrgetter(f"value_{CONTEXT_AT}")
deleted_id_of = attrgetter(f"value_{DELETED_ID_AT}")

# A column of a page: an Arrow array or, of what is kept as it is written, a list of `msgspec.Raw`.
Column = Any


@dataclass(frozen=True, slots=True)
class RowShape:
    """The row type of one entity under one plan, and where each field is in it.

    `typed`: the Arrow types of all values but those that are kept as they are written, which are
    the last `written` ones.
    """

    row: Any
    slots: tuple[Slot, ...]
    typed: pa.StructType
    written: int

    @classmethod
    def of(cls, entity: Entity, plan: EntityPlan) -> RowShape:
        """The shape of the planned columns; every property may be absent, and is then null."""
        return _build_shape(entity.key, tuple(plan.fields(entity)))

    def columns_of(self, rows: Sequence[Any]) -> list[Column]:
        """The values of the rows, column by column."""
        values = list(map(msgspec.structs.astuple, rows))
        count = self.typed.num_fields
        typed = [row[:count] for row in values] if self.written else values
        written = ([row[count + at] for row in values] for at in range(self.written))
        structs: Any = pa.array(typed, self.typed)
        return [*structs.flatten(), *written]


@cache
def _build_shape(key: str, fields: tuple[Field, ...]) -> RowShape:
    """Each property once, though a column can be wanted under two names."""
    typed: dict[str, tuple[Any, pa.DataType]] = {
        key: _TEXT,
        VERSION_SOURCE: _TYPES[Kind.INTEGER],
        "@odata.context": _TEXT,
        "id": _TEXT,
    }
    written: dict[str, Any] = {}
    for field in fields:
        if field.kind in _WRITTEN:
            written[field.select] = msgspec.Raw
            continue
        typed.setdefault(field.select, _TYPES.get(field.kind, _TEXT))
        if field.polymorphic:
            typed.setdefault(field.select + LOOKUP_TYPE, _TEXT)
    properties = {name: kind for name, (kind, _) in typed.items()} | written
    at = {name: position for position, name in enumerate(properties)}
    slots = (
        Slot(field, at[field.select], at[field.select + LOOKUP_TYPE] if field.polymorphic else None)
        for field in fields
    )
    return RowShape(
        row=_define_struct(list(properties.items())),
        slots=tuple(slots),
        typed=pa.struct([(name, kind) for name, (_, kind) in typed.items()]),
        written=len(written),
    )


def _define_struct(properties: list[tuple[str, Any]]) -> Any:
    names = {f"value_{at}": name for at, (name, _) in enumerate(properties)}
    fields = [
        (f"value_{at}", kind, NULL if kind is msgspec.Raw else None)
        for at, (_, kind) in enumerate(properties)
    ]
    # gc=False: a row holds no cycles, and tracking millions of them costs a third of the time.
    return msgspec.defstruct("Row", fields, rename=names, gc=False)
