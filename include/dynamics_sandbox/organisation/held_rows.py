"""The rows of every table, the counter of their versions, and the clock that stamps them.

Versions are organisation-wide and only grow. Tests change an organisation while the server serves
it, so every method holds one lock. Times are whole seconds of UTC; the clock can be set.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.organisation.row_store import RowStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dynamics_sandbox.schema.table import Table


def instant(moment: datetime | str) -> str:
    """The wire form of a time: UTC, whole seconds."""
    parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return parsed.astimezone(UTC).replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")


class HeldRows:
    """Rows by table, as they are now."""

    def __init__(
        self, tables: Mapping[str, Table], rows: Mapping[str, Iterable[Mapping[str, Any]]]
    ) -> None:
        """Hold these rows in these tables, both by the name of the entity set."""
        self.lock = threading.RLock()
        self.stores = {name: RowStore(table, rows.get(name, ())) for name, table in tables.items()}
        self.set_of = {store.table.name: name for name, store in self.stores.items()}
        self.version = max((_newest_version(store) for store in self.stores.values()), default=0)
        self.generation = 0  # counts every change, so that what was kept of before is not used
        self.metadata_version = 1
        self._fixed_now: datetime | None = None

    @property
    def now(self) -> datetime:
        """The organisation's clock, in whole seconds of UTC."""
        moment = self._fixed_now or datetime.now(UTC)
        return moment.replace(microsecond=0)

    @now.setter
    def now(self, moment: datetime | str | None) -> None:
        parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        self._fixed_now = None if parsed is None else parsed.astimezone(UTC)

    def next_version(self) -> int:
        """A new version number."""
        self.version += 1
        self.generation += 1
        return self.version

    def restore_version_counter(self, version: int) -> None:
        """Set the counter back, as an organisation restored from a backup has it."""
        with self.lock:
            self.version = version

    def rows(self, set_name: str) -> list[dict[str, Any]]:
        """Every row of a table as it is now, in key order, hidden ones too."""
        with self.lock:
            store = self.stores[set_name]
            return [store.as_dict(store.rows[key]) for key in store.order]

    def row(self, set_name: str, row_id: str) -> dict[str, Any]:
        """One row; a `KeyError` where it is not there."""
        with self.lock:
            found = self.stores[set_name].get(row_id)
        if found is None:
            message = f"{set_name}({row_id}) does not exist"
            raise KeyError(message)
        return found

    def _first_id(self, set_name: str) -> str | None:
        store = self.stores.get(set_name)
        if not store or not store.order:
            return None
        return str(store.rows[store.order[0]][store.position[store.table.key]])

    def _note_new_metadata(self) -> None:
        self.generation += 1
        self.metadata_version += 1


def _newest_version(store: RowStore) -> int:
    place = store.position.get("versionnumber")
    if place is None:
        return 0
    return max((row[place] or 0 for row in store.rows.values()), default=0)
