"""What a table is: its names, its key and its columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dynamics_sandbox.schema.attribute import Attribute

# Rows by entity set name, as the Web API gives them, every lookup with its table beside it.
Rows: TypeAlias = "Mapping[str, Sequence[dict[str, Any]]]"


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its names, its key and its columns by logical name."""

    name: str
    set_name: str
    key: str
    primary_name: str
    object_type_code: int
    attributes: Mapping[str, Attribute]
    change_tracking: bool = True

    def with_attributes(self, *attributes: Attribute) -> Table:
        """The same table with these columns added or replaced."""
        added = {attribute.name: attribute for attribute in attributes}
        return replace(self, attributes={**self.attributes, **added})
