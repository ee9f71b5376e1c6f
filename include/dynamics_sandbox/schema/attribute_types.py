"""The types that a column can have, under the names that metadata and the wire give them.

Metadata names a type three times: `AttributeType` is the old list, in which everything that came
later is `Virtual`; `AttributeTypeName` tells those apart; and a class, to which a client casts for
what belongs to the type alone. Rows have a column as a property of its Edm type. Not everything
that metadata lists is one: helper columns (`Virtual`), the parties of an activity and the rules of
a calendar are not. Not verified: that a multi-select choice travels as `1,3`, and the metadata of
calendar rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class AttributeType:
    """One type's names; without a class it has no properties of its own, without Edm no values."""

    attribute_type: str
    type_name: str
    metadata_class: str | None
    edm: str | None


def _type(
    name: str, edm: str | None, *, listed_as: str | None = None, metadata_class: str | None = None
) -> AttributeType:
    return AttributeType(listed_as or name, f"{name}Type", metadata_class or name, edm)


VIRTUAL: Final = "Virtual"
MULTI_SELECT: Final = "MultiSelectPicklist"
MANAGED_PROPERTY: Final = "mscrm.BooleanManagedProperty"

TYPES: Final[Mapping[str, AttributeType]] = {
    "String": _type("String", "Edm.String"),
    "Memo": _type("Memo", "Edm.String"),
    "Integer": _type("Integer", "Edm.Int32"),
    "BigInt": _type("BigInt", "Edm.Int64"),
    "Decimal": _type("Decimal", "Edm.Decimal"),
    "Double": _type("Double", "Edm.Double"),
    "Money": _type("Money", "Edm.Decimal"),
    "Boolean": _type("Boolean", "Edm.Boolean"),
    "DateTime": _type("DateTime", "Edm.DateTimeOffset"),
    "Picklist": _type("Picklist", "Edm.Int32"),
    "State": _type("State", "Edm.Int32"),
    "Status": _type("Status", "Edm.Int32"),
    MULTI_SELECT: _type(MULTI_SELECT, "Edm.String", listed_as=VIRTUAL),
    "Uniqueidentifier": _type("Uniqueidentifier", "Edm.Guid", metadata_class="UniqueIdentifier"),
    "Lookup": _type("Lookup", "Edm.Guid"),
    "Customer": _type("Customer", "Edm.Guid", metadata_class="Lookup"),
    "Owner": _type("Owner", "Edm.Guid", metadata_class="Lookup"),
    "EntityName": _type("EntityName", "Edm.String"),
    "Image": _type("Image", "Edm.Binary", listed_as=VIRTUAL),
    "File": _type("File", "Edm.Binary", listed_as=VIRTUAL),
    "ManagedProperty": _type("ManagedProperty", MANAGED_PROPERTY),
    "PartyList": _type("PartyList", None, metadata_class="Lookup"),
    "CalendarRules": AttributeType("CalendarRules", "CalendarRulesType", None, None),
    VIRTUAL: AttributeType(VIRTUAL, "VirtualType", None, None),
}
LOOKUP_TYPES: Final = frozenset({"Lookup", "Customer", "Owner"})
CHOICE_TYPES: Final = frozenset({"Picklist", "State", "Status", MULTI_SELECT})
