"""Rows as Dataverse gives them: chosen columns, annotations as `Prefer` asks.

A row costs about a microsecond per column, so the plan of what to read is made once per
page.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.odata.property_paths import primary_name, readable, related_row
from dynamics_sandbox.odata.query_options import Expand, Preferences, navigation, navigation_name
from dynamics_sandbox.schema.attribute import FORMATTED_VALUE, LOOKUP_TABLE, Attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dynamics_sandbox.organisation.organisation import Organisation
    from dynamics_sandbox.organisation.row_store import Row, RowStore

NAVIGATION_OF = "@Microsoft.Dynamics.CRM.associatednavigationproperty"
_CURRENCY = "_transactioncurrencyid_value"


class Projection:
    """What of a table's rows goes into the answer."""

    def __init__(
        self,
        organisation: Organisation,
        store: RowStore,
        *,
        select: Sequence[str],
        preferences: Preferences,
    ) -> None:
        """Check the selected columns and lay out the answer; an empty `select` means all."""
        self._organisation = organisation
        self._store = store
        self.names = self._chosen(select)
        self._preferences = preferences
        self._plan: list[tuple[str, int]] = []
        self._maybe: list[str] = []
        self._extras: list[tuple[str, Callable[[Row], str | None]]] = []
        for name in self.names:
            attribute, place = readable(organisation, store, name)
            self._annotate(name, attribute)
            self._plan.append((name, place))
        self._output = tuple(name for name, _ in self._plan)
        self._take = itemgetter(*(place for _, place in self._plan), -1)
        set_name = store.table.set_name
        conversions = ((name, self._conversion(name)) for name in self.names)
        self._converted = [(name, convert) for name, convert in conversions if convert]
        self._key, self._garbled = (
            store.position[store.table.key],
            organisation.garbled.get(set_name, {}),
        )
        self._version = store.position.get("versionnumber", -1)
        self._expanded: list[tuple[str, Callable[[Row], Any]]] = []

    def _chosen(self, select: Sequence[str]) -> list[str]:
        if not select:
            return [
                name
                for name, attribute in self._store.by_property.items()
                if self._is_known(attribute)
            ]
        names = list(dict.fromkeys(select))
        money = any(
            self._store.by_property.get(name, _NO_ATTRIBUTE).type == "Money" for name in names
        )
        if money and _CURRENCY in self._store.by_property and _CURRENCY not in names:
            names.append(_CURRENCY)
        if self._store.table.key not in names:
            names.append(self._store.table.key)
        return names

    def _is_known(self, defined: Attribute) -> bool:
        shown = self._organisation.attribute(self._store.table.set_name, defined.name)
        return bool(
            shown and shown.is_valid_for_read and shown.property_name == defined.property_name
        )

    def _conversion(self, name: str) -> Callable[[Any], Any] | None:
        attribute = self._store.by_property[name]
        return self._organisation.conversion(self._store.table.set_name, attribute.name)

    def _annotate(self, name: str, attribute: Attribute) -> None:
        preferences = self._preferences
        if preferences.wants(FORMATTED_VALUE[1:]):
            self._extras.append((f"{name}{FORMATTED_VALUE}", self._label(name, attribute)))
        if not attribute.is_lookup:
            return
        if preferences.wants(NAVIGATION_OF[1:]):
            self._extras.append((f"{name}{NAVIGATION_OF}", self._navigation(name, attribute)))
        if preferences.wants(LOOKUP_TABLE[1:]):
            mark = f"{name}{LOOKUP_TABLE}"
            self._plan.append((mark, self._store.position[mark]))
            self._maybe.append(mark)

    def expand(self, expands: Iterable[Expand]) -> None:
        """Follow single-valued navigation properties."""
        for expand in expands:
            lookup, target = navigation(self._store.table, expand.navigation)
            targets = [
                name
                for name in ([target] if target else lookup.targets)
                if name in self._organisation.set_of
            ]
            inner = {name: self._target(name, expand.select) for name in targets}
            self._expanded.append((expand.navigation, self._follow(lookup.property_name, inner)))

    def _target(self, table: str, select: Sequence[str]) -> Projection:
        store = self._organisation.stores[self._organisation.set_of[table]]
        return Projection(self._organisation, store, select=select, preferences=self._preferences)

    def _follow(self, name: str, inner: dict[str, Projection]) -> Callable[[Row], Any]:
        held, kind = self._store.position[name], self._store.position[f"{name}{LOOKUP_TABLE}"]

        def follow(row: Row) -> Any:
            if row[kind] not in inner:
                return None
            other = related_row(self._organisation, self._organisation.set_of[row[kind]], row[held])
            return None if other is None else inner[row[kind]].render(other)

        return follow

    def render(self, row: Row) -> dict[str, Any]:
        """One row of the answer."""
        rendered: dict[str, Any] = {"@odata.etag": f'W/"{row[self._version]}"'}
        for name, read in self._extras:
            if (text := read(row)) is not None:
                rendered[name] = text
        rendered.update(zip(self._output, self._take(row), strict=False))
        for name, convert in self._converted:
            rendered[name] = convert(rendered[name])
        if self._garbled:
            rendered.update(self._garbled.get(row[self._key], {}))
        for name in self._maybe:
            if rendered[name] is None:
                del rendered[name]
        for name, follow in self._expanded:
            rendered[name] = follow(row)
        return rendered

    def _navigation(self, name: str, attribute: Attribute) -> Callable[[Row], str | None]:
        kind = self._store.position[f"{name}{LOOKUP_TABLE}"]
        return lambda row: navigation_name(attribute, row[kind]) if row[kind] else None

    def _label(self, name: str, attribute: Attribute) -> Callable[[Row], str | None]:
        """The formatted value of a column, in the language and time zone of the organisation."""
        place = readable(self._organisation, self._store, name)[1]
        if attribute.is_lookup:
            return self._lookup_label(name)
        options = attribute.options
        if options is not None:
            return lambda row: None if row[place] is None else options.get(int(row[place]))
        shape = _SHAPES.get(attribute.type)
        return lambda row: None if row[place] is None or shape is None else shape(row[place])

    def _lookup_label(self, name: str) -> Callable[[Row], str | None]:
        held, kind = self._store.position[name], self._store.position[f"{name}{LOOKUP_TABLE}"]
        given = self._store.position.get(f"{name}{FORMATTED_VALUE}", -1)
        return lambda row: primary_name(self._organisation, row[kind], row[held]) or row[given]


_NO_ATTRIBUTE = Attribute("", "String")
_SHAPES: dict[str, Callable[[Any], str]] = {
    "Money": lambda value: f"${value:,.2f}",
    "Decimal": lambda value: f"{value:,}",
    "Integer": lambda value: f"{value:,}",
    "BigInt": lambda value: f"{value:,}",
    "DateTime": str,
}
