"""What a delete or a merge does to the rows around: data, read by one loop.

From the cascade tables of Microsoft's table reference: deleting an account or contact deletes the
opportunities whose customer it is and its connections, while other lookups to it are only nulled
(RemoveLink); a merge re-points opportunities, contacts and connections to the survivor. Whether
these system-made changes move `modifiedon` is not documented; here they move the version only,
the harder case for a reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamics_sandbox.schema.attribute import LOOKUP_TABLE

if TYPE_CHECKING:
    from dynamics_sandbox.organisation.organisation import Organisation

_DELETES_ROW = frozenset(
    {
        ("opportunities", "_customerid_value"),
        ("connections", "_record1id_value"),
        ("connections", "_record2id_value"),
    }
)
_MERGE_MOVES = frozenset(
    {
        ("opportunities", "_customerid_value"),
        ("opportunities", "_parentaccountid_value"),
        ("opportunities", "_parentcontactid_value"),
        ("contacts", "_parentcustomerid_value"),
        ("accounts", "_parentaccountid_value"),
        ("accounts", "_primarycontactid_value"),
        ("connections", "_record1id_value"),
        ("connections", "_record2id_value"),
    }
)


def after_delete(organisation: Organisation, table: str, row_id: str) -> None:
    """Delete or unlink the rows that pointed at a deleted one."""
    for set_name, column, child in _rows_pointing_at(organisation, table, row_id):
        if (set_name, column) in _DELETES_ROW:
            if organisation.stores[set_name].get(child):
                organisation.delete(set_name, child)
        elif organisation.stores[set_name].get(child):
            organisation.update(set_name, child, {column: None}, touch="version")


def after_merge(organisation: Organisation, table: str, *, loser: str, winner: str) -> None:
    """Point the loser's children at the winner."""
    for set_name, column, child in _rows_pointing_at(organisation, table, loser):
        if (set_name, column) in _MERGE_MOVES and child != winner:
            values: dict[str, Any] = {column: winner, f"{column}{LOOKUP_TABLE}": table}
            organisation.update(set_name, child, values, touch="version")


def _rows_pointing_at(
    organisation: Organisation, table: str, row_id: str
) -> list[tuple[str, str, str]]:
    """Set, column and id of every row with a lookup to this one."""
    found = []
    for set_name, store in organisation.stores.items():
        for column in store.by_property:
            targets = store.by_property[column].targets
            if table not in targets or f"{column}{LOOKUP_TABLE}" not in store.position:
                continue
            kind, key = store.position[f"{column}{LOOKUP_TABLE}"], store.position[store.table.key]
            rows = (store.rows[place] for place in store.with_value(column, row_id))
            found += [(set_name, column, row[key]) for row in rows if row[kind] in {table, None}]
    return found
