"""What a column is, as metadata, `$select` and the wire format see it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Final

from dynamics_sandbox.schema.attribute_types import LOOKUP_TYPES, TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOKUP_TABLE: Final = "@Microsoft.Dynamics.CRM.lookuplogicalname"
FORMATTED_VALUE: Final = "@OData.Community.Display.V1.FormattedValue"


class Behaviour(StrEnum):
    """How a DateTime behaves; only a date without a time is another type on the wire."""

    USER_LOCAL = "UserLocal"  # an instant, shown in the time zone of whoever looks
    DATE_ONLY = "DateOnly"  # a date: Edm.Date
    TIME_ZONE_INDEPENDENT = "TimeZoneIndependent"  # a wall clock's time, written as if it were UTC


class SourceType(IntEnum):
    """Where the values of a column come from."""

    SIMPLE = 0
    CALCULATED = 1
    ROLLUP = 2
    FORMULA = 3


@dataclass(frozen=True, slots=True)
class Attribute:
    """One column under its logical name; a lookup's value travels as `_name_value`."""

    name: str
    type: str
    targets: tuple[str, ...] = ()
    options: Mapping[int, str] | None = None
    max_length: int | None = None
    precision: int | None = None
    behaviour: str = Behaviour.USER_LOCAL
    format: str | None = None  # of a text or a time, where it is not the usual one
    is_valid_for_read: bool = True
    is_secured: bool = False
    source_type: int = SourceType.SIMPLE
    attribute_of: str | None = None  # the column that this one only helps to show
    display_name: str | None = None  # "" for a column without a label
    required_level: str = "None"

    def __post_init__(self) -> None:
        """Refuse a type or behaviour that Dataverse does not have."""
        if self.type not in TYPES:
            raise ValueError(f"{self.name}: {self.type} is none of {', '.join(TYPES)}")
        if self.behaviour not in set(Behaviour):
            raise ValueError(f"{self.name}: {self.behaviour} is none of {', '.join(Behaviour)}")

    @property
    def is_lookup(self) -> bool:
        return self.type in LOOKUP_TYPES

    @property
    def is_date(self) -> bool:
        """Whether it is a time whose values are dates."""
        return self.type == "DateTime" and self.behaviour == Behaviour.DATE_ONLY

    @property
    def is_property(self) -> bool:
        """Whether rows have it at all: queries don't know a column that only helps another."""
        return self.attribute_of is None and TYPES[self.type].edm is not None

    @property
    def is_computed(self) -> bool:
        """Whether Dataverse computes its values, which then move no version."""
        return self.source_type != SourceType.SIMPLE

    @property
    def edm_type(self) -> str | None:
        """The type of its property, if it is one."""
        return "Edm.Date" if self.is_date else TYPES[self.type].edm

    @property
    def property_name(self) -> str:
        """The name of the column's property in `$select` and in a row."""
        return f"_{self.name}_value" if self.is_lookup else self.name
