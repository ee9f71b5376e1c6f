"""How a query's property paths reach values: through a row, and through lookups to other rows.

One resolver serves `$filter` and `$orderby`. What may not be read (a secured column, a hidden
row) reads as null, as it does in Dataverse.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.odata.comparisons import Operand
from dynamics_sandbox.odata.dataverse_error import not_supported, unknown_property
from dynamics_sandbox.odata.literals import Kind, kind_of
from dynamics_sandbox.odata.query_options import navigation
from dynamics_sandbox.organisation.column_security import Access
from dynamics_sandbox.organisation.row_store import NULL, Row, RowStore, sort_key
from dynamics_sandbox.schema.attribute import LOOKUP_TABLE, Attribute

if TYPE_CHECKING:
    from collections.abc import Callable

    from dynamics_sandbox.organisation.organisation import Organisation

_PATH_STEPS = 2


def is_answered(attribute: Attribute) -> bool:
    """Whether queries know a column at all."""
    return attribute.is_valid_for_read and attribute.is_property


def find_readable(organisation: Organisation, store: RowStore, name: str) -> tuple[Attribute, int]:
    """A property's attribute and its place in a row; unknown ones are a 400."""
    defined = store.by_property.get(name)
    set_name = store.table.set_name
    attribute = None if defined is None else organisation.attribute(set_name, defined.name)
    if attribute is None or not is_answered(attribute) or attribute.property_name != name:
        raise unknown_property(name, store.table.name)
    if organisation.column_access(set_name, attribute.name) is Access.NOTHING:
        return attribute, NULL
    return attribute, store.position[name]


def related_row(organisation: Organisation, set_name: str, row_id: str | None) -> Row | None:
    """The row a lookup leads to, if it is there and may be seen."""
    if row_id is None or row_id in organisation.hidden.get(set_name, ()):
        return None
    return organisation.stores[set_name].rows.get(sort_key(row_id))


class PropertyPaths:
    """The property paths of one table."""

    def __init__(self, organisation: Organisation, store: RowStore) -> None:
        """Resolve against this table of the organisation."""
        self._organisation = organisation
        self._store = store

    def resolve(self, path: tuple[str, ...]) -> Operand:
        """A property of the row, or of a row one lookup away."""
        if len(path) == 1:
            attribute, place = find_readable(self._organisation, self._store, path[0])
            column = path[0] if place != NULL else None
            return Operand(_reader(attribute, place), kind_of(attribute), column)
        if len(path) > _PATH_STEPS:
            raise not_supported("A property path over several lookups")
        return self._through_lookup(*path)

    def _through_lookup(self, name: str, column: str) -> Operand:
        organisation, store = self._organisation, self._store
        lookup, target = navigation(store.table, name)
        if target not in organisation.set_of:
            raise unknown_property(name, store.table.name)
        set_name = organisation.set_of[target]
        attribute, place = find_readable(organisation, organisation.stores[set_name], column)
        inner = _reader(attribute, place)
        held, kind = (
            store.position[lookup.property_name],
            store.position[f"{lookup.property_name}{LOOKUP_TABLE}"],
        )

        def read(row: Row) -> Any:
            other = related_row(organisation, set_name, row[held]) if row[kind] == target else None
            return None if other is None else inner(other)

        return Operand(read, kind_of(attribute))

    def order(self, path: str) -> Operand:
        """What a path is ordered by: a lookup by the name of the row it leads to."""
        operand = self.resolve(tuple(path.split("/")))
        attribute = self._store.by_property.get(path)
        if attribute is None or not attribute.is_lookup:
            return operand
        kind = self._store.position[f"{path}{LOOKUP_TABLE}"]
        read = operand.read
        return Operand(lambda row: self._name_of(row[kind], read(row)), Kind.TEXT)

    def _name_of(self, table: str | None, row_id: str | None) -> str | None:
        name = primary_name(self._organisation, table, row_id)
        return None if name is None else name.casefold()


def primary_name(organisation: Organisation, table: str | None, row_id: str | None) -> str | None:
    """The primary name of the row a lookup leads to."""
    set_name = organisation.set_of.get(table or "")
    row = related_row(organisation, set_name, row_id) if set_name else None
    if set_name is None or row is None:
        return None
    store = organisation.stores[set_name]
    name = row[store.position[store.table.primary_name]]
    return None if name is None else str(name)


def _reader(attribute: Attribute, place: int) -> Callable[[Row], Any]:
    """Read a value in the form that filters compare."""
    if kind_of(attribute) is Kind.TEXT:
        return lambda row: None if row[place] is None else row[place].casefold()
    if attribute.type == "Double":
        return lambda row: None if row[place] is None else Decimal(str(row[place]))
    return lambda row: row[place]
