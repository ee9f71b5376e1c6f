"""A Dynamics organisation in memory: rows that change as Dataverse changes them.

A delete cascades as the table reference says, a merge keeps the loser and moves its children, every
connection is written twice. The classes that it extends hold the rows and change what is around
them: columns, rights, clocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import NAMESPACE_OID, uuid4, uuid5

from dynamics_sandbox.exports.export_folder import load_folder
from dynamics_sandbox.made.generate import generate
from dynamics_sandbox.organisation.cascades import after_delete, after_merge
from dynamics_sandbox.organisation.held_rows import instant
from dynamics_sandbox.organisation.surroundings import Surroundings
from dynamics_sandbox.schema.attribute import FORMATTED_VALUE, LOOKUP_TABLE
from dynamics_sandbox.schema.standard_tables import TABLES

if TYPE_CHECKING:
    from datetime import datetime

    from dynamics_sandbox.organisation.row_store import RowStore
    from dynamics_sandbox.schema.table import Table

Rows = Mapping[str, Iterable[Mapping[str, Any]]]


class Touch(StrEnum):
    """What a change moves besides the columns it names."""

    ALL = "all"  # versionnumber and modifiedon
    VERSION = "version"  # versionnumber only: rollups, cascades
    NOTHING = "nothing"  # neither: calculated columns


class Organisation(Surroundings):
    """The rows of every table and the one who reads them."""

    def __init__(
        self,
        tables: Mapping[str, Table] | None = None,
        rows: Rows | None = None,
        *,
        identity: str | None = None,
    ) -> None:
        """Serve these rows in these tables (the standard ones); `identity` fixes its id."""
        super().__init__(tables or TABLES, rows or {})
        self.business_unit_id = str(uuid5(NAMESPACE_OID, "dynamics-sandbox-business-unit"))
        self._recycle_bin: dict[tuple[str, str], dict[str, Any]] = {}
        self.organisation_id = self._first_id("organizations") or self._write_own_row(identity)

    @classmethod
    def from_folder(cls, path: str | Path) -> Self:
        """An organisation of the Web API JSON files in a folder."""
        return cls(*load_folder(Path(path)), identity=str(Path(path).resolve()))

    @classmethod
    def generated(cls, *, seed: int, opportunities: int) -> Self:
        """A realistic organisation made from a seed."""
        return cls(*generate(seed=seed, opportunities=opportunities))

    @classmethod
    def empty(cls) -> Self:
        """The standard tables without rows."""
        return cls()

    def _write_own_row(self, identity: str | None) -> str:
        """Write the row of the organisation itself, which every organisation has."""
        if "organizations" not in self.stores:
            return str(uuid4())
        made = str(uuid5(NAMESPACE_OID, identity) if identity else uuid4())
        row = {
            "organizationid": made,
            "name": "Sandbox",
            "languagecode": 1033,
            "expirechangetrackingindays": 7,
        }
        known = self.stores["organizations"].by_property
        return self.create("organizations", {name: row[name] for name in row if name in known})

    @property
    def change_tracking_days(self) -> int:
        """How long a delta token is good for, from the organisation's own row."""
        row = (
            self.stores["organizations"].get(self.organisation_id)
            if "organizations" in self.stores
            else None
        )
        days = (row or {}).get("expirechangetrackingindays")
        return 7 if days is None else int(days)

    def create(
        self, set_name: str, values: Mapping[str, Any], *, modified_at: datetime | str | None = None
    ) -> str:
        """Add a row and give its id; `modified_at` back-dates it as an import can."""
        with self.lock:
            store = self.stores[set_name]
            stamp = instant(modified_at or self.now)
            row_id = str(values.get(store.table.key) or uuid4()).lower()
            defaults = {"createdon": stamp, "modifiedon": stamp, "statecode": 0, "statuscode": 1}
            known = {name: value for name, value in defaults.items() if name in store.by_property}
            fixed = {store.table.key: row_id, "versionnumber": self.next_version()}
            store.put({**known, **self._with_types(store, values), **fixed})
            return row_id

    def _with_types(self, store: RowStore, values: Mapping[str, Any]) -> dict[str, Any]:
        """Lookups named by a bare id get the table that holds it; a cleared one loses its table."""
        full = dict(values)
        for name, value in values.items():
            attribute = store.by_property.get(name)
            if attribute is None or not attribute.is_lookup:
                continue
            full.setdefault(f"{name}{FORMATTED_VALUE}", None)
            if f"{name}{LOOKUP_TABLE}" not in values:
                full[f"{name}{LOOKUP_TABLE}"] = (
                    None if value is None else self._table_holding(value, attribute.targets)
                )
        return full

    def _table_holding(self, row_id: str, targets: Iterable[str]) -> str | None:
        choices = [name for name in targets if name in self.set_of]
        holding = (name for name in choices if self.stores[self.set_of[name]].get(row_id))
        return next(holding, choices[0] if choices else None)

    def update(
        self,
        set_name: str,
        row_id: str,
        values: Mapping[str, Any],
        *,
        modified_at: datetime | str | None = None,
        touch: Touch | str = Touch.ALL,
    ) -> None:
        """Change a row; `touch` says whether its version and `modifiedon` move with it."""
        with self.lock:
            row = {**self.row(set_name, row_id), **self._with_types(self.stores[set_name], values)}
            if touch == Touch.ALL:
                row["modifiedon"] = instant(modified_at or self.now)
            if touch != Touch.NOTHING and "versionnumber" not in values:
                row["versionnumber"] = self.next_version()
            self.generation += 1
            self.stores[set_name].put(row)

    def delete(self, set_name: str, row_id: str) -> None:
        """Delete a row with what cascades from it; a row that isn't there is a `KeyError`."""
        with self.lock:
            self._recycle_bin[set_name, row_id] = self.row(set_name, row_id)
            self.stores[set_name].remove(row_id, version=self.next_version())
            after_delete(self, self.stores[set_name].table.name, row_id)

    def restore(self, set_name: str, row_id: str) -> None:
        """Bring a deleted row back as it was, but for a new version, as the recycle bin does."""
        with self.lock:
            self.create(set_name, self._recycle_bin.pop((set_name, row_id)))

    def merge(self, set_name: str, loser: str, winner: str) -> None:
        """Merge an account or contact into another: the loser stays, its children move."""
        with self.lock:
            table = self.stores[set_name].table.name
            marks = {"merged": True, "_masterid_value": winner, "statecode": 1, "statuscode": 2}
            self.update(set_name, loser, {**marks, f"_masterid_value{LOOKUP_TABLE}": table})
            after_merge(self, table, loser=loser, winner=winner)

    def deactivate(self, set_name: str, row_id: str) -> None:
        """Set a row inactive."""
        self.update(set_name, row_id, {"statecode": 1, "statuscode": 2})

    def connect(self, opportunity_id: str, contact_id: str, role_id: str | None) -> tuple[str, str]:
        """Connect a contact to an opportunity in a role; gives the ids of both mirrored rows."""
        with self.lock:
            first, second = str(uuid4()), str(uuid4())
            ends = (("opportunity", opportunity_id, None), ("contact", contact_id, role_id))
            self.create("connections", self._connection(first, second, ends))
            self.create("connections", self._connection(second, first, ends[::-1]))
            return first, second

    def _connection(
        self, own: str, twin: str, ends: tuple[tuple[str, str, str | None], ...]
    ) -> dict[str, Any]:
        row: dict[str, Any] = {
            "connectionid": own,
            "_relatedconnectionid_value": twin,
            "ismaster": ends[0][0] == "opportunity",
        }
        for number, (table, row_id, role) in enumerate(ends, start=1):
            row[f"_record{number}id_value"] = row_id
            row[f"_record{number}id_value{LOOKUP_TABLE}"] = table
            row[f"_record{number}roleid_value"] = role
            row[f"record{number}objecttypecode"] = self.stores[
                self.set_of[table]
            ].table.object_type_code
        known = self.stores["connections"].by_property
        return {name: value for name, value in row.items() if name.partition("@")[0] in known}
