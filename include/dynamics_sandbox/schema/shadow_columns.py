"""Columns that metadata lists beside others to show them: a lookup's name, a choice's label.

Each names the column it belongs to in `AttributeOf`. They are no OData properties, so that a
`$select` of one is refused like that of a column which is not there. Which columns have which
helpers follows the table reference; of tables outside it, it is not verified.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dynamics_sandbox.schema.attribute import Attribute
from dynamics_sandbox.schema.attribute_types import CHOICE_TYPES, VIRTUAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dynamics_sandbox.schema.table import Table

_LENGTH: Final = 100
_WITH_YOMI_NAME: Final = frozenset({"account", "contact", "lead", "systemuser", "team"})
_WITHOUT_NAME: Final = frozenset({"owninguser", "owningteam"})


def metadata_columns(table: Table) -> Mapping[str, Attribute]:
    """The table's columns, and then their shadows, by name; a column's own definition wins."""
    found = dict(table.attributes)
    for column in table.attributes.values():
        for shadow in _shadows_of(column):
            found.setdefault(shadow.name, shadow)
    return found


def _shadows_of(column: Attribute) -> Iterator[Attribute]:
    if column.type in CHOICE_TYPES or column.type == "Boolean":
        yield _shadow(column, "name", VIRTUAL)
    elif column.is_lookup and column.name not in _WITHOUT_NAME:
        yield _shadow(column, "name", "String")
        if _WITH_YOMI_NAME.intersection(column.targets):
            yield _shadow(column, "yominame", "String")
        if column.type != "Lookup" or len(column.targets) > 1:
            yield _shadow(column, _table_suffix(column), "EntityName")


def _table_suffix(column: Attribute) -> str:
    """The two sides of a connection call the table of their lookup otherwise than all others."""
    return "objecttypecode" if column.name in {"record1id", "record2id"} else "type"


def _shadow(column: Attribute, suffix: str, kind: str) -> Attribute:
    return Attribute(
        f"{column.name}{suffix}",
        kind,
        max_length=_LENGTH if kind == "String" else None,
        attribute_of=column.name,
        display_name="",
    )
