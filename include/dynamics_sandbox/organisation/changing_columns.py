"""Columns that a customer adds, drops, secures or makes anew, and metadata answers with holes.

Rows keep the values of a column that is away, so that it can come back. No version moves by any of
this, as in Dataverse.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.organisation.conversions import fitted, masked
from dynamics_sandbox.organisation.held_rows import HeldRows
from dynamics_sandbox.schema.attribute import Attribute
from dynamics_sandbox.schema.custom_columns import MARKETO_COLUMNS, SYNC_FILTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dynamics_sandbox.schema.table import Table

_CUSTOM = {attribute.name: attribute for attribute in (SYNC_FILTER, *MARKETO_COLUMNS)}


@dataclass(slots=True)
class ColumnState:
    """How a column differs from its definition in the schema."""

    is_dropped: bool = False
    is_masked: bool = False
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

    def drop_column(self, set_name: str, name: str) -> None:
        """Take a column out of the organisation; `restore_column` brings its values back."""
        self._state(set_name, name).is_dropped = True

    def secure_column(self, set_name: str, name: str, *, masked: bool = False) -> None:
        """Put a column under column security: it reads as null, or as a masked text."""
        shown = replace(self._defined(set_name, name), is_secured=True)
        state = self._state(set_name, name)
        state.shown_as, state.is_masked = shown, masked

    def retype_column(self, set_name: str, name: str, kind: str, **properties: Any) -> None:
        """Make a column anew with another type; the values are made to fit it.

        `kind` and the properties are those of `Attribute`: `date_only=False` makes of a date a
        time of the user's zone, midnight of UTC.
        """
        attribute = replace(self._defined(set_name, name), type=kind, **properties)
        self._state(set_name, name).shown_as = attribute

    def leave_out_of_metadata(self, set_name: str, name: str, times: int | None = 1) -> None:
        """Let so many metadata answers lack a column that queries know; None: until restored."""
        self._state(set_name, name).missing_answers = times

    def garble_metadata(self, set_name: str, name: str, **properties: Any) -> None:
        """Give properties of a column's metadata other values, fitting or not."""
        self._state(set_name, name).metadata.update(properties)

    def restore_column(self, set_name: str, name: str) -> None:
        """Bring a column back as the schema has it, with its values."""
        with self.lock:
            self._columns.pop((set_name, name), None)
            self._note_new_metadata()

    def add_column(
        self, set_name: str, name: str, kind: str | None = None, **properties: Any
    ) -> None:
        """Add a column that no row fills yet; the known custom ones need no more than a name."""
        plain = _CUSTOM.get(name) if kind is None else Attribute(name, kind)
        if plain is None:
            message = f"{name} needs a type"
            raise ValueError(message)
        with self.lock:
            store = self.stores[set_name]
            attributes = {**store.table.attributes, name: replace(plain, **properties)}
            store.change_table(replace(store.table, attributes=attributes))
            self._note_new_metadata()

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

    def conversion(self, set_name: str, name: str) -> Callable[[Any], Any] | None:
        """How the values of a column differ from those that the rows hold, if they do."""
        state = self._columns.get((set_name, name))
        if state is None or state.shown_as is None:
            return None
        shown = state.shown_as
        if state.is_masked:
            return masked
        if shown.type == self._defined(set_name, name).type and shown.type != "DateTime":
            return None
        return partial(fitted, shown)

    def is_hidden(self, set_name: str, name: str) -> bool:
        """Whether column security makes a column read as null."""
        attribute, state = self.attribute(set_name, name), self._columns.get((set_name, name))
        is_masked = state is not None and state.is_masked
        return bool(attribute and attribute.is_secured and not is_masked)

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

    def _defined(self, set_name: str, name: str) -> Attribute:
        return self.stores[set_name].table.attributes[name]

    def _state(self, set_name: str, name: str) -> ColumnState:
        self._defined(set_name, name)
        with self.lock:
            self._note_new_metadata()
            return self._columns.setdefault((set_name, name), ColumnState())

    def drop_attribute(self, set_name: str, name: str) -> None:
        """Take a column out of a table."""
        self._change_attributes(
            set_name, lambda known: {key: known[key] for key in known if key != name}
        )

    def add_attribute(self, set_name: str, attribute: Attribute) -> None:
        """Add a column to a table, or replace its definition; existing rows hold null."""
        self._change_attributes(set_name, lambda known: {**known, attribute.name: attribute})

    def _change_attributes(self, set_name: str, change: Any) -> None:
        with self.lock:
            store = self.stores[set_name]
            self._note_new_metadata()
            store.change_table(replace(store.table, attributes=change(store.table.attributes)))
