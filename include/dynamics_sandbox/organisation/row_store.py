"""The rows of one table in memory, in the order in which Dataverse hands them out.

A million rows have to serve within seconds, so a row is a tuple over a fixed layout (which also
makes every answer a snapshot) and the order by key is kept as a sorted list. Dataverse orders a
`uniqueidentifier` as SQL Server does, by its last group first, not as text. Indexes by column
value and by `modifiedon` are built when a query first needs them.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from dynamics_sandbox.schema.attribute import FORMATTED_VALUE, LOOKUP_TABLE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from dynamics_sandbox.schema.table import Table

_EXACT = frozenset({"Money", "Decimal"})
NULL = -1  # the place of the null with which every row ends
_AFTER_ALL = b"\xff" * 17
_CHUNK = 10_000

Row: TypeAlias = tuple[Any, ...]


def sort_key(row_id: str) -> bytes:
    """The place of a GUID in SQL Server's order of `uniqueidentifier`; what is none comes last."""
    try:
        raw = bytes.fromhex(row_id.replace("-", ""))
    except ValueError:  # a lookup of somebody's folder can hold anything
        return _AFTER_ALL + row_id.encode("utf-8", "surrogatepass")
    return raw[10:] + raw[8:10] + raw[7:5:-1] + raw[5:3:-1] + raw[3::-1]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deleted row as the change feed tells of it."""

    version: int
    row_id: str


class RowStore:
    """One table's rows, ordered by key, with the indexes that its queries need."""

    def __init__(self, table: Table, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        """Take the rows over as they are; a column that the table lacks is a `ValueError`."""
        self.tombstones: list[Tombstone] = []
        self.rows: dict[bytes, Row] = {}
        self.order: list[bytes] = []
        self._indexes: dict[str, dict[Any, set[bytes]]] = {}
        self._sorted: dict[str, list[tuple[Any, bytes]]] = {}
        self._lay_out(table, ())
        waiting = iter(rows)
        while chunk := list(islice(waiting, _CHUNK)):
            self._make_room(set().union(*chunk))
            self.rows.update((sort_key(row[table.key]), self._pack(row)) for row in chunk)
        self.order = sorted(self.rows)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.rows)

    def _lay_out(self, table: Table, used: Collection[str]) -> None:
        """Columns that no row fills take no room: their place is that of the null at the end."""
        self.table = table
        attributes = table.attributes.values()
        self.by_property = {attribute.property_name: attribute for attribute in attributes}
        lookups = [name for name, attribute in self.by_property.items() if attribute.is_lookup]
        beside = [f"{name}{mark}" for name in lookups for mark in (LOOKUP_TABLE, FORMATTED_VALUE)]
        self.position = dict.fromkeys((*self.by_property, *beside), NULL)
        self._only_target = {
            f"{name}{LOOKUP_TABLE}": (name, self.by_property[name].targets[0])
            for name in lookups
            if len(self.by_property[name].targets) == 1
        }
        self.columns: tuple[str, ...] = ()
        self._exact: tuple[str, ...] = ()
        self._make_room(used)

    def _make_room(self, names: Collection[str]) -> None:
        """Give columns about to be filled a place; rows that are there hold null in it."""
        implied = [mark for mark, (name, _) in self._only_target.items() if name in names]
        wanted = dict.fromkeys((*names, *implied))
        added = [name for name in wanted if self.position.get(name) == NULL]
        if not added:
            return
        for name in added:
            self.position[name] = len(self.columns)
            self.columns = (*self.columns, name)
        self._exact = tuple(
            name
            for name in self.columns
            if name in self.by_property and self.by_property[name].type in _EXACT
        )
        room = (None,) * len(added)
        self.rows = {key: (*row, *room) for key, row in self.rows.items()}

    def _pack(self, row: Mapping[str, Any]) -> Row:
        """The tuple of a row; it ends with a null that stands in for what is never filled."""
        unknown = row.keys() - self.position.keys()
        if surplus := sorted(name for name in unknown if "@" not in name):
            message = f"table {self.table.name} has no column {', '.join(surplus)}"
            raise ValueError(message)
        exact = {
            name: Decimal(repr(row[name]))
            for name in self._exact
            if isinstance(row.get(name), float)
        }
        implied = {
            mark: target
            for mark, (name, target) in self._only_target.items()
            if row.get(name) is not None and row.get(mark) is None
        }
        full = {**row, **exact, **implied} if exact or implied else row
        return (*map(full.get, self.columns), None)

    def as_dict(self, row: Row) -> dict[str, Any]:
        """A row with all its properties and the annotations that have a value."""
        pairs = zip(self.columns, row, strict=False)
        filled = {name: value for name, value in pairs if value is not None or "@" not in name}
        return {**dict.fromkeys(self.by_property), **filled}

    def get(self, row_id: str) -> dict[str, Any] | None:
        """One row, or nothing."""
        row = self.rows.get(sort_key(row_id))
        return None if row is None else self.as_dict(row)

    def put(self, row: Mapping[str, Any]) -> None:
        """Add or replace a row."""
        self._make_room([name for name, value in row.items() if value is not None])
        key, packed = sort_key(row[self.table.key]), self._pack(row)
        if key in self.rows:
            self._unindex(key, self.rows[key])
        else:
            insort(self.order, key)
        self.rows[key] = packed
        self._index(key, packed)

    def remove(self, row_id: str, *, version: int) -> None:
        """Take a row out and leave a tombstone for the change feed."""
        key = sort_key(row_id)
        self._unindex(key, self.rows.pop(key))
        del self.order[bisect_left(self.order, key)]
        self.tombstones.append(Tombstone(version, row_id))

    def change_table(self, table: Table) -> None:
        """Re-lay all rows for a table that gained or lost an attribute; no version moves."""
        rows, before = self.rows, self.position
        kept = {attribute.property_name for attribute in table.attributes.values()}
        used = [name for name in self.columns if name.partition("@")[0] in kept]
        self.rows = {}
        self._lay_out(table, used)
        places = [before.get(name, NULL) for name in self.columns]
        self.rows = {key: (*[row[place] for place in places], None) for key, row in rows.items()}
        self._indexes.clear()
        self._sorted.clear()

    def _index(self, key: bytes, row: Row) -> None:
        for column, index in self._indexes.items():
            value = row[self.position[column]]
            if value is not None:
                index[value].add(key)
        for column, entries in self._sorted.items():
            insort(entries, (row[self.position[column]], key))

    def _unindex(self, key: bytes, row: Row) -> None:
        for column, index in self._indexes.items():
            index[row[self.position[column]]].discard(key)
        for column, entries in self._sorted.items():
            del entries[bisect_left(entries, (row[self.position[column]], key))]

    def with_value(self, column: str, value: Any) -> set[bytes]:
        """Keys of the rows that hold this value, which is not null."""
        if column not in self._indexes:
            place, index = self.position[column], defaultdict(set)
            for key, row in self.rows.items():
                if row[place] is not None:
                    index[row[place]].add(key)
            self._indexes[column] = index
        return self._indexes[column].get(value, set())

    def between(self, column: str, first: Any, last: Any) -> list[tuple[Any, bytes]]:
        """Value and key of the rows with `first <= value <= last`; for columns never null."""
        if column not in self._sorted:
            place = self.position[column]
            self._sorted[column] = sorted((row[place], key) for key, row in self.rows.items())
        entries = self._sorted[column]
        start = bisect_left(entries, (first, b""))
        end = bisect_left(entries, (last, _AFTER_ALL))
        return entries[start:end]

    def tombstones_between(self, after: int, upto: int) -> list[Tombstone]:
        """Deletions after one version, up to another, of rows still gone; each id once."""
        last = {stone.row_id: stone for stone in self.tombstones if after < stone.version <= upto}
        return [stone for stone in last.values() if sort_key(stone.row_id) not in self.rows]
