"""What changes around the rows: who may read them, clocks, change tracking, the answers themselves.

A role loses a privilege; one clock is ahead of another; change tracking is switched off; an answer
holds what nobody can read. No version moves by any of this, as in Dataverse.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson

from dynamics_sandbox.organisation.column_security import ColumnSecurity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from dynamics_sandbox.schema.table import Table

DEPTHS = ("None", "Basic", "Local", "Deep", "Global")


class Surroundings(ColumnSecurity):
    """Rows, and what a reader meets around them."""

    def __init__(
        self, tables: Mapping[str, Table], rows: Mapping[str, Iterable[Mapping[str, Any]]]
    ) -> None:
        """Begin with everything readable, one clock, and rows that come as they are."""
        super().__init__(tables, rows)
        self.read_depth = dict.fromkeys(self.set_of, "Global")
        self.team_depth: dict[str, str] = {}
        self.hidden: dict[str, set[str]] = {}
        self.garbled: dict[str, dict[str, dict[str, Any]]] = {}
        self.oldest_delta_version = 0
        self.oldest_version_of: dict[str, int] = {}
        self.organisation_id = ""
        self._skew = timedelta()
        self._skewed_answers: int | None = 0

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
            now = self.now
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
            self._note_new_metadata()

    def expire_delta_tokens(self) -> None:
        """Make every delta token handed out so far too old."""
        self.oldest_delta_version = self.next_version()

    def hide(self, set_name: str, *row_ids: str) -> None:
        """Take the reader's access to rows away, without any trace in them."""
        with self.lock:
            self.generation += 1
            self.hidden.setdefault(set_name, set()).update(row_ids)

    def show(self, set_name: str, *row_ids: str) -> None:
        """Give the reader access to rows again."""
        with self.lock:
            self.generation += 1
            self.hidden.get(set_name, set()).difference_update(row_ids)

    def switch_identity(self, organisation_id: str) -> str:
        """Answer as another organisation; gives the id so far, to switch back."""
        with self.lock:
            before, self.organisation_id = self.organisation_id, organisation_id
            return before


def _check_depth(depth: str) -> None:
    if depth not in DEPTHS:
        message = f"{depth} is none of {', '.join(DEPTHS)}"
        raise ValueError(message)
