"""What a column is, as metadata, `$select` and the wire format see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOKUP_TYPES = frozenset({"Lookup", "Customer", "Owner"})
LOOKUP_TABLE = "@Microsoft.Dynamics.CRM.lookuplogicalname"
FORMATTED_VALUE = "@OData.Community.Display.V1.FormattedValue"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One column under its logical name; a lookup's value travels as `_name_value`."""

    name: str
    type: str
    targets: tuple[str, ...] = ()
    options: Mapping[int, str] | None = None
    max_length: int | None = None
    precision: int | None = None
    date_only: bool = False
    is_valid_for_read: bool = True
    is_secured: bool = False
    source_type: int = 0

    @property
    def is_lookup(self) -> bool:
        return self.type in LOOKUP_TYPES

    @property
    def property_name(self) -> str:
        """The name of the column's property in `$select` and in a row."""
        return f"_{self.name}_value" if self.is_lookup else self.name
