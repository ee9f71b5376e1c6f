"""Which table a lookup points at, where an export left that out.

Other columns of the row can say it (the object type beside it, the name of the navigation
property), the rows of the folder can (one of them has the id), and a lookup that has one target
needs no word. What none of them tells gets the name of no table, so that the sync refuses the row:
a guess would associate the wrong record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamics_sandbox.exports.export_files import guid_of
from dynamics_sandbox.schema.attribute import LOOKUP_TABLE, Attribute
from dynamics_sandbox.schema.standard_tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dynamics_sandbox.schema.table import Table

NAVIGATION_PROPERTY = "@Microsoft.Dynamics.CRM.associatednavigationproperty"
_UNTOLD = "unknown"
_Row = dict[str, Any]
_BY_CODE = {table.object_type_code: table.name for table in TABLES.values()}


def name_tables(
    tables: Mapping[str, Table], rows: Mapping[str, list[_Row]]
) -> Iterable[tuple[str, int, str]]:
    """Put a lookup's table beside it; give the set, row and column of those that nothing tells."""
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
    """Whether the lookup has its table now, or needs no word."""
    column = attribute.property_name
    value, note = row.get(column), f"{column}{LOOKUP_TABLE}"
    if not isinstance(row.get(note), str):
        row.pop(note, None)
    if value is None or note in row:
        return True
    targets = attribute.targets
    table = _table_in_row(row, attribute) or holder.get(value)
    if table is None and len(targets) == 1:
        [table] = targets
    row[note] = table or _UNTOLD  # a live answer names a table beside every lookup
    is_faulty = guid_of(value) is None  # which is told already
    return bool(table) or is_faulty or not targets


def _table_in_row(row: _Row, attribute: Attribute) -> str | None:
    """The table that another column of the row names; only one that the lookup can point at."""
    name = attribute.name
    code = row.get(f"{name.removesuffix('id')}objecttypecode")
    if attribute.type == "Owner":  # Dataverse fills one of these two beside it
        return "team" if row.get("_owningteam_value") else "systemuser"
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
