"""Rows as Dataverse gives them: chosen columns, annotations as `Prefer` asks.

A row costs about a microsecond per column, so the plan of what to read is made once per
page.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from dynamics_sandbox.odata.property_paths import (
    find_readable,
    is_answered,
    primary_name,
    related_row,
)
from dynamics_sandbox.odata.query_options import Expand, Preferences, navigation, navigation_name
from dynamics_sandbox.organisation.row_store import NULL
from dynamics_sandbox.schema.attribute import FORMATTED_VALUE, LOOKUP_TABLE, Attribute
from dynamics_sandbox.schema.attribute_types import MULTI_SELECT
from dynamics_sandbox.schema.security_tables import ReadUnmasked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dynamics_sandbox.organisation.organisation import Organisation
    from dynamics_sandbox.organisation.row_store import Row, RowStore

NAVIGATION_OF: Final = "@Microsoft.Dynamics.CRM.associatednavigationproperty"
_CURRENCY: Final = "_transactioncurrencyid_value"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request wants of each row; without a selection that is every column."""

    select: Sequence[str] = ()
    preferences: Preferences = field(default_factory=Preferences)
    unmasked: ReadUnmasked = ReadUnmasked.NOT_ALLOWED  # for how many rows it asks without masks


class Projection:
    """What of a table's rows goes into the answer."""

    def __init__(self, organisation: Organisation, store: RowStore, wanted: Wanted) -> None:
        """Check the selected columns and lay out the answer."""
        self._organisation = organisation
        self._store = store
        self._wanted = wanted
        self.names = self._choose_columns(wanted.select)
        self._plan: list[tuple[str, int]] = []
        self._maybe: list[str] = []
        self._extras: list[tuple[str, Callable[[Row], str | None]]] = []
        self._converted: list[tuple[str, Callable[[Any], Any]]] = []
        for name in self.names:
            self._lay_out(name)
        self._output = tuple(name for name, _ in self._plan)
        self._take = itemgetter(*(place for _, place in self._plan), NULL)
        self._key = store.position[store.table.key]
        self._garbled = organisation.garbled.get(store.table.set_name, {})
        self._version = store.position.get("versionnumber", NULL)
        self._expanded: list[tuple[str, Callable[[Row], Any]]] = []

    def _choose_columns(self, select: Sequence[str]) -> list[str]:
        known = self._store.by_property
        if not select:
            return [name for name, defined in known.items() if self._is_known(defined)]
        names = list(dict.fromkeys(select))
        has_money = any(known[name].type == "Money" for name in names if name in known)
        if has_money and _CURRENCY in known and _CURRENCY not in names:
            names.append(_CURRENCY)
        if self._store.table.key not in names:
            names.append(self._store.table.key)
        return names

    def _is_known(self, defined: Attribute) -> bool:
        shown = self._organisation.attribute(self._store.table.set_name, defined.name)
        return bool(shown and is_answered(shown) and shown.property_name == defined.property_name)

    def _lay_out(self, name: str) -> None:
        attribute, place = find_readable(self._organisation, self._store, name)
        self._plan.append((name, place))
        convert = self._organisation.conversion(
            self._store.table.set_name, attribute.name, self._wanted.unmasked
        )
        if convert is not None:
            self._converted.append((name, convert))
        if place == NULL:  # nothing to annotate
            return
        if attribute.is_lookup:
            self._annotate_lookup(name, attribute)
        elif self._wanted.preferences.wants(FORMATTED_VALUE[1:]):
            label = _value_label(place, convert, _formatter(attribute))
            self._extras.append((f"{name}{FORMATTED_VALUE}", label))

    def _annotate_lookup(self, name: str, attribute: Attribute) -> None:
        wants = self._wanted.preferences.wants
        if wants(FORMATTED_VALUE[1:]):
            self._extras.append((f"{name}{FORMATTED_VALUE}", self._lookup_label(name)))
        if wants(NAVIGATION_OF[1:]):
            self._extras.append((f"{name}{NAVIGATION_OF}", self._navigation(name, attribute)))
        if wants(LOOKUP_TABLE[1:]):
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
        return Projection(self._organisation, store, replace(self._wanted, select=select))

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

    def _lookup_label(self, name: str) -> Callable[[Row], str | None]:
        held, kind = self._store.position[name], self._store.position[f"{name}{LOOKUP_TABLE}"]
        given = self._store.position.get(f"{name}{FORMATTED_VALUE}", NULL)
        return lambda row: primary_name(self._organisation, row[kind], row[held]) or row[given]


def _value_label(
    place: int,
    convert: Callable[[Any], Any] | None,
    shape: Callable[[Any], str | None] | None,
) -> Callable[[Row], str | None]:
    """The formatted value of a column, in the language and time zone of the organisation."""

    def label(row: Row) -> str | None:
        value = row[place] if convert is None else convert(row[place])
        return None if value is None or shape is None else shape(value)

    return label


def _formatter(attribute: Attribute) -> Callable[[Any], str | None] | None:
    options = attribute.options
    if options is None:
        return _SHAPES.get(attribute.type)
    if attribute.type == MULTI_SELECT:
        return lambda value: "; ".join(options.get(int(code), code) for code in value.split(","))
    return lambda value: options.get(int(value))


_SHAPES: Final[Mapping[str, Callable[[Any], str]]] = {
    "Money": lambda value: f"${value:,.2f}",
    "Decimal": lambda value: f"{value:,}",
    "Integer": lambda value: f"{value:,}",
    "BigInt": lambda value: f"{value:,}",
    "DateTime": str,
    "EntityName": str.capitalize,
}
