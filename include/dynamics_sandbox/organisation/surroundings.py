"""What changes around the rows: columns, metadata, privileges, clocks, change tracking.

A customer drops a column, secures it or makes it anew with another type; metadata answers have
holes; a role loses a privilege; one clock is ahead of another. Rows keep the values of a column
that is away, so that it can come back. No version moves by any of this, as in Dataverse.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from dynamics_sandbox.organisation.conversions import fitted, masked
from dynamics_sandbox.schema.attribute import Attribute
from dynamics_sandbox.schema.custom_columns import MARKETO_COLUMNS, SYNC_FILTER

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from dynamics_sandbox.organisation.row_store import RowStore
    from dynamics_sandbox.schema.table import Table

DEPTHS = ("None", "Basic", "Local", "Deep", "Global")
_CUSTOM = {attribute.name: attribute for attribute in (SYNC_FILTER, *MARKETO_COLUMNS)}


@dataclass(slots=True)
class ColumnState:
    """How a column differs from its definition in the schema."""

    is_dropped: bool = False
    is_masked: bool = False
    shown_as: Attribute | None = None
    missing_answers: int | None = 0  # metadata answers to come that lack it; None: all
    metadata: dict[str, Any] = field(default_factory=dict)


class Surroundings:
    """The part of an organisation that is not its rows."""

    lock: threading.RLock
    stores: dict[str, RowStore]
    set_of: dict[str, str]
    generation: int
    organisation_id: str
    now: Any

    def __init__(self) -> None:
        """Begin with everything as the schema has it."""
        self.read_depth: dict[str, str] = {}
        self.team_depth: dict[str, str] = {}
        self.metadata_version = 1
        self.oldest_version_of: dict[str, int] = {}
        self.garbled: dict[str, dict[str, dict[str, Any]]] = {}
        self._columns: dict[tuple[str, str], ColumnState] = {}
        self._skew = timedelta()
        self._skewed_answers: int | None = 0

    def next_version(self) -> int:
        """A new version number."""
        raise NotImplementedError

    # Columns

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
            self._moved()

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
            self._moved()

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
            self._moved()
            return self._columns.setdefault((set_name, name), ColumnState())

    def _moved(self) -> None:
        self.generation += 1
        self.metadata_version += 1

    # Values

    def garble(
        self,
        set_name: str,
        row_id: str,
        values: Mapping[str, Any] | None = None,
        *,
        raw: Mapping[str, str] | None = None,
    ) -> None:
        """Let properties or annotations of one row come with any JSON value, or as raw JSON.

        Each character of the texts in `raw` is one byte, so that they can hold what is no UTF-8.
        """
        pieces = {
            name: orjson.Fragment(text.encode("latin-1")) for name, text in (raw or {}).items()
        }
        with self.lock:
            row = self.garbled.setdefault(set_name, {}).setdefault(row_id, {})
            row.update({**(values or {}), **pieces})
            self.generation += 1

    def mend(self, set_name: str, row_id: str) -> None:
        """Let a row come as it is again."""
        with self.lock:
            self.garbled.get(set_name, {}).pop(row_id, None)
            self.generation += 1

    # Privileges, clocks, change tracking, identity

    def set_read_depth(self, table: str, depth: str) -> None:
        """Give the reader's own roles this depth of the read privilege; "None" takes it away."""
        _check_depth(depth)
        with self.lock:
            self.read_depth[table] = depth
            self.generation += 1

    def set_team_depth(self, table: str, depth: str) -> None:
        """Give the roles of the reader's teams this depth of the read privilege."""
        _check_depth(depth)
        with self.lock:
            self.team_depth[table] = depth
            self.generation += 1

    def depth(self, table: str) -> str:
        """What own roles and teams add up to."""
        depths = (kind.get(table, "None") for kind in (self.read_depth, self.team_depth))
        return max(depths, key=DEPTHS.index)

    def skew_clock(self, seconds: float, answers: int | None = None) -> None:
        """Put the clock behind the `Date` header ahead of the one that stamps rows (or behind).

        `answers`: only that of so many answers; None: until it is set again.
        """
        with self.lock:
            self._skew = timedelta(seconds=seconds)
            self._skewed_answers = answers

    def server_date(self) -> datetime:
        """What the next answer says in its `Date` header."""
        with self.lock:
            now: datetime = self.now
            if self._skewed_answers == 0:
                return now
            if self._skewed_answers is not None:
                self._skewed_answers -= 1
            return now + self._skew

    def set_change_tracking(self, set_name: str, *, enabled: bool) -> None:
        """Switch a table's change tracking; tokens from before it was off are too old."""
        with self.lock:
            store = self.stores[set_name]
            if enabled and not store.table.change_tracking:
                self.oldest_version_of[set_name] = self.next_version()
            store.change_table(replace(store.table, change_tracking=enabled))
            self._moved()

    def switch_identity(self, organisation_id: str) -> str:
        """Answer as another organisation; gives the id so far, to switch back."""
        with self.lock:
            before, self.organisation_id = self.organisation_id, organisation_id
            return before


def _check_depth(depth: str) -> None:
    if depth not in DEPTHS:
        message = f"{depth} is none of {', '.join(DEPTHS)}"
        raise ValueError(message)
