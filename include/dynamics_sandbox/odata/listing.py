"""Which rows a query finds, in order, from a position on.

Without options this is the table's own key order. With a filter or an order the matching keys are
collected (by index where the filter allows), sorted, and kept while pages of the same query are
read and nothing changes, so that a pass over a million rows sorts once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from functools import total_ordering
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.odata.dataverse_error import bad_query
from dynamics_sandbox.odata.filters import compile_filter
from dynamics_sandbox.odata.literals import Kind, comparable_value
from dynamics_sandbox.odata.property_paths import PropertyPaths
from dynamics_sandbox.organisation.row_store import Row, RowStore, sort_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dynamics_sandbox.odata.comparisons import Filter, Operand
    from dynamics_sandbox.odata.page_tokens import Position
    from dynamics_sandbox.odata.query_options import Query
    from dynamics_sandbox.organisation.organisation import Organisation

_KEPT_LISTINGS = 8


@total_ordering
class _Descending:
    """A sort element that orders the other way round."""

    __slots__ = ("element",)

    def __init__(self, element: tuple[Any, ...]) -> None:
        self.element = element

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and self.element == other.element

    def __lt__(self, other: _Descending) -> bool:
        return other.element < self.element

    def __hash__(self) -> int:
        return hash(self.element)


class Listing:
    """A query's rows in order; entries are keys, or order values followed by the key."""

    def __init__(self, entries: Sequence[Any], orders: Sequence[tuple[Operand, bool]]) -> None:
        """Entries must be sorted."""
        self.entries = entries
        self._orders = orders

    def keep_keys(self, keys: frozenset[bytes]) -> Listing:
        """The same rows as far as they are among these."""
        kept = [entry for entry in self.entries if (entry[-1] if self._orders else entry) in keys]
        return Listing(kept, self._orders)

    def page(self, position: Position, size: int) -> tuple[list[bytes], bool]:
        """Up to `size` keys after a position, and whether there are more."""
        start = 0 if position.last is None else bisect_right(self.entries, self._marker(position))
        chosen = self.entries[start : start + size]
        keys = [entry[-1] for entry in chosen] if self._orders else list(chosen)
        return keys, start + size < len(self.entries)

    def _marker(self, position: Position) -> Any:
        key = sort_key(position.last or "")
        if not self._orders:
            return key
        if len(position.values) != len(self._orders):
            raise bad_query("Malformed XML in the Paging Cookie")
        elements = (
            _element(
                None if text is None else comparable_value(text, operand.kind),
                operand,
                descending=descending,
            )
            for text, (operand, descending) in zip(position.values, self._orders, strict=True)
        )
        return (*elements, key)

    def values_of(self, row: Row) -> tuple[str | None, ...]:
        """What a row is ordered by, as text for the cookie."""
        found = (operand.read(row) for operand, _ in self._orders)
        return tuple(None if value is None else str(value) for value in found)


def _element(value: Any, operand: Operand, *, descending: bool) -> Any:
    """One sort element: null first, GUIDs in SQL Server's order."""
    if value is None:
        element: tuple[Any, ...] = (0,)
    else:
        element = (1, sort_key(value) if operand.kind is Kind.GUID else value)
    return _Descending(element) if descending else element


class Listings:
    """Listings of the queries in progress."""

    def __init__(self, organisation: Organisation) -> None:
        """Find rows in this organisation."""
        self._organisation = organisation
        self._kept: OrderedDict[tuple[Any, ...], tuple[int, Listing]] = OrderedDict()

    def find(self, set_name: str, query: Query, *, is_first: bool) -> Listing:
        """The listing of a query; first pages look afresh, later ones may use what was kept."""
        organisation = self._organisation
        store = organisation.stores[set_name]
        hidden = organisation.hidden.get(set_name)
        if not query.filter and not query.orderby and not hidden:
            return Listing(store.order, ())
        name = (set_name, query.filter, query.orderby, tuple(query.aliases.items()))
        generation, kept = self._kept.get(name, (-1, None))
        if kept is None or is_first or generation != organisation.generation:
            kept = self._look(store, query, hidden or frozenset())
            self._kept[name] = (organisation.generation, kept)
        self._kept.move_to_end(name)
        if len(self._kept) > _KEPT_LISTINGS:
            self._kept.popitem(last=False)
        return kept

    def find_within(self, set_name: str, query: Query, keys: frozenset[bytes]) -> Listing:
        """The rows of a query among these; they are few, so nothing is kept."""
        hidden = self._organisation.hidden.get(set_name, ())
        found = self._look(self._organisation.stores[set_name], query, hidden)
        return found.keep_keys(keys)

    def _look(self, store: RowStore, query: Query, hidden: Iterable[str]) -> Listing:
        columns = PropertyPaths(self._organisation, store)
        orders = [(columns.order(path), descending) for path, descending in query.orderby]
        made = self._filter(query, columns)
        keys: Iterable[bytes] = store.order
        if made is not None:
            keys = matching_keys(store, made)
        gone = {sort_key(row_id) for row_id in hidden}
        found = [key for key in keys if key not in gone] if gone else list(keys)
        if not orders:
            return Listing(sorted(found), ())
        rows = store.rows
        return Listing(sorted((*_elements(rows[key], orders), key) for key in found), orders)

    def _filter(self, query: Query, columns: PropertyPaths) -> Filter | None:
        if query.filter is None:
            return None
        return compile_filter(
            query.filter, columns.resolve, aliases=query.aliases, now=self._organisation.now
        )


def _elements(row: Row, orders: Sequence[tuple[Operand, bool]]) -> list[Any]:
    return [
        _element(operand.read(row), operand, descending=descending)
        for operand, descending in orders
    ]


def matching_keys(store: RowStore, made: Filter) -> list[bytes]:
    """Keys of the rows that pass a filter, found through an index where it names one."""
    rows, test = store.rows, made.test
    return [key for key in _candidates(store, made) if key in rows and test(rows[key])]


def _candidates(store: RowStore, made: Filter) -> Iterable[bytes]:
    by_value: Callable[[str, Any], Iterable[bytes]] = store.with_value
    for column, values in made.values.items():
        if column == store.table.key:
            return {sort_key(value) for value in values if value}
        if column.startswith("_") and all(values):
            return {key for value in set(values) for key in by_value(column, value)}
    if "modifiedon" in made.bounds:
        first, last = made.bounds["modifiedon"]
        return [key for _, key in store.between("modifiedon", first, last)]
    return store.order
