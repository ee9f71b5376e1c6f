"""Columns that a customer adds, drops or makes anew, and metadata answers with holes.

Rows keep the values of a column that is away, so that it can come back. No version moves by any of
this, as in Dataverse.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.organisation.conversions import fit_value
from dynamics_sandbox.organisation.held_rows import HeldRows
from dynamics_sandbox.schema.attribute import Attribute
from dynamics_sandbox.schema.custom_columns import MARKETO_COLUMNS, SYNC_FILTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from dynamics_sandbox.schema.table import Table

_CUSTOM = {attribute.name: attribute for attribute in (SYNC_FILTER, *MARKETO_COLUMNS)}
_OF_MONEY = (
    Attribute("transactioncurrencyid", "Lookup", targets=("transactioncurrency",)),
    Attribute("exchangerate", "Decimal", precision=12),
)


@dataclass(slots=True)
class ColumnState:
    """How a column differs from its definition in the schema."""

    is_dropped: bool = False
    shown_as: Attribute | None = None
    missing_answers: int | None = 0  # metadata answers to come that lack it; None: all
    metadata: dict[str, Any] = field(default_factory=dict)


class ChangingColumns(HeldRows):
    """Rows whose columns come, go and change."""

    def __init__(
        self, tables: Mapping[str, Table], rows: Mapping[str, Iterable[Mapping[str, Any]]]
    ) -> None:
        """Begin with every column as its table has it."""
        super().__init__(tables, rows)
        self._columns: dict[tuple[str, str], ColumnState] = {}

    def add_column(
        self, set_name: str, column: Attribute | str, kind: str | None = None, **properties: Any
    ) -> None:
        """Add a column that no row fills yet, or give one that is there another definition.

        A column by its name alone needs a type, unless it is one of the known custom ones. An
        amount brings its twin in base currency, and the currency where the table has none.
        """
        added = replace(_column(column, kind), **properties)
        with self.lock:
            self._columns.pop((set_name, added.name), None)
            known = self.stores[set_name].table.attributes
            companions = {item.name: item for item in _companions(added) if item.name not in known}
            self._define_columns(set_name, {**known, **companions, added.name: added})

    def remove_column(self, set_name: str, name: str) -> None:
        """Take a column out of a table for good, with its values."""
        with self.lock:
            self._definition_of(set_name, name)
            self._columns.pop((set_name, name), None)
            known = self.stores[set_name].table.attributes
            self._define_columns(set_name, {key: known[key] for key in known if key != name})

    def drop_column(self, set_name: str, name: str) -> None:
        """Take a column out of the organisation; `restore_column` brings its values back."""
        self._alter(set_name, name, is_dropped=True)

    def restore_column(self, set_name: str, name: str) -> None:
        """Bring a column back as the schema has it, with its values."""
        with self.lock:
            self._columns.pop((set_name, name), None)
            self._note_new_metadata()

    def retype_column(self, set_name: str, name: str, kind: str, **properties: Any) -> None:
        """Make a column anew with another type; the values are made to fit it.

        `kind` and the properties are those of `Attribute`: a date with the behaviour UserLocal is
        a time of the user's zone, midnight of UTC.
        """
        self._redefine(set_name, name, type=kind, **properties)

    def set_valid_for_read(self, set_name: str, name: str, *, valid: bool) -> None:
        """Say that a column can, or can't, be read; one that can't is unknown to queries."""
        self._redefine(set_name, name, is_valid_for_read=valid)

    def leave_out_of_metadata(self, set_name: str, name: str, times: int | None = 1) -> None:
        """Let so many metadata answers lack a column that queries know; None: until restored."""
        self._alter(set_name, name, missing_answers=times)

    def garble_metadata(self, set_name: str, name: str, **properties: Any) -> None:
        """Give properties of a column's metadata other values, fitting or not."""
        with self.lock:
            known = self.odd_metadata(set_name, name)
            self._alter(set_name, name, metadata={**known, **properties})

    def table(self, set_name: str) -> Table:
        """The table as the organisation shows it now: what its metadata names and queries know."""
        defined = self.stores[set_name].table
        shown = {name: self.attribute(set_name, name) for name in defined.attributes}
        attributes = {name: attribute for name, attribute in shown.items() if attribute}
        return replace(defined, attributes=attributes)

    def attribute(self, set_name: str, name: str) -> Attribute | None:
        """A column as the organisation shows it now, if it does."""
        state = self._columns.get((set_name, name))
        defined = self.stores[set_name].table.attributes.get(name)
        if state is None or defined is None:
            return defined
        return None if state.is_dropped else state.shown_as or defined

    def type_conversion(self, set_name: str, name: str) -> Callable[[Any], Any] | None:
        """What makes a value that a row holds fit the type that its column has now, if need be."""
        state = self._columns.get((set_name, name))
        if state is None or state.shown_as is None:
            return None
        shown = state.shown_as
        if shown.type == self._definition_of(set_name, name).type and shown.type != "DateTime":
            return None
        return partial(fit_value, shown)

    def takes_from_metadata(self, set_name: str, name: str) -> bool:
        """Whether a metadata answer lacks this column; each such answer is counted."""
        with self.lock:
            state = self._columns.get((set_name, name))
            if state is None or state.missing_answers == 0:
                return False
            if state.missing_answers is not None:
                state.missing_answers -= 1
            return True

    def odd_metadata(self, set_name: str, name: str) -> Mapping[str, Any]:
        """What differs in a column's metadata, by property."""
        state = self._columns.get((set_name, name))
        return {} if state is None else state.metadata

    def _definition_of(self, set_name: str, name: str) -> Attribute:
        return self.stores[set_name].table.attributes[name]

    def _define_columns(self, set_name: str, columns: Mapping[str, Attribute]) -> None:
        store = self.stores[set_name]
        store.change_table(replace(store.table, attributes=columns))
        self._note_new_metadata()

    def _redefine(self, set_name: str, name: str, **properties: Any) -> None:
        """Show a column with other properties, on top of those that differ already."""
        with self.lock:
            state = self._columns.get((set_name, name))
            shown = (state.shown_as if state else None) or self._definition_of(set_name, name)
            self._alter(set_name, name, shown_as=replace(shown, **properties))

    def _alter(self, set_name: str, name: str, **difference: Any) -> None:
        with self.lock:
            self._definition_of(set_name, name)
            state = self._columns.get((set_name, name), ColumnState())
            self._columns[set_name, name] = replace(state, **difference)
            self._note_new_metadata()


def _column(column: Attribute | str, kind: str | None) -> Attribute:
    if isinstance(column, Attribute):
        return column
    if kind is not None:
        return Attribute(column, kind)
    if column not in _CUSTOM:
        raise ValueError(f"{column} needs a type")
    return _CUSTOM[column]


def _companions(column: Attribute) -> Iterator[Attribute]:
    """What Dataverse adds to a table beside a new column."""
    if column.type == "Money" and not column.name.endswith("_base"):
        yield replace(column, name=f"{column.name}_base", precision=4)
        yield from _OF_MONEY
