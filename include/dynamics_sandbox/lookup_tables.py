"""Which table a lookup points at, where an export left that out.

Other columns of the row can say it (the object type beside it, the name of the navigation
property), the rows of the folder can (one of them has the id), and a lookup that has one target
needs no word. What none of them tells is left open: a guess would associate the wrong record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamics_sandbox.folder_files import guid_of
from dynamics_sandbox.schema import LOOKUP_TABLE, TABLES, Attribute, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAVIGATION_PROPERTY = "@Microsoft.Dynamics.CRM.associatednavigationproperty"
_Row = dict[str, Any]
_BY_CODE = {table.object_type_code: table.name for table in TABLES.values()}


def name_tables(
    tables: Mapping[str, Table], rows: Mapping[str, list[_Row]]
) -> Iterable[tuple[str, int, str]]:
    """Put a lookup's table beside it; give the set, row and column of those that stay open."""
    holder = {
        row.get(tables[name].key): tables[name].name
        for name, found in rows.items()
        for row in found
    }
    for name, found in rows.items():
        lookups = [item for item in tables[name].attributes.values() if item.is_lookup]
        for number, row in enumerate(found, start=1):
            for attribute in lookups:
                if not _is_named(row, attribute, holder):
                    yield name, number, attribute.property_name


def _is_named(row: _Row, attribute: Attribute, holder: Mapping[Any, str]) -> bool:
    """Whether the lookup has its table now, or needs none."""
    column = attribute.property_name
    value, note = row.get(column), f"{column}{LOOKUP_TABLE}"
    if not isinstance(row.get(note), str):
        row.pop(note, None)
    if value is None or note in row:
        return True
    table = _told_by(row, attribute) or holder.get(value)
    if table is None and len(attribute.targets) == 1:
        [table] = attribute.targets
    if table is None:  # an owner is none of the rules' business, and a faulty id is told already
        is_open = guid_of(value) is not None and attribute.type != "Owner"
        return not (is_open and attribute.targets)
    row[note] = table
    return True


def _told_by(row: _Row, attribute: Attribute) -> str | None:
    """The table that another column of the row names; only one that the lookup can point at."""
    name = attribute.name
    code = row.get(f"{name.removesuffix('id')}objecttypecode")
    told = (
        row.get(f"{attribute.property_name}{NAVIGATION_PROPERTY}"),
        _BY_CODE.get(code) if isinstance(code, int) else code,
        row.get(f"{name}type"),
        row.get(f"_{name}_type"),
    )
    for word in told:
        table = str(word or "").lower().removeprefix(f"{name}_")
        if table in attribute.targets:
            return table
    return None
