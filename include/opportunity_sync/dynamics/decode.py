"""Pages of JSON to typed Arrow tables, bad rows kept apart.

A row that cannot be taken (a wrong type, no key, a malformed GUID) is refused by itself, and
every other row of its page comes through. A page that is not whole JSON is no page at all: that
is an error of the response, to be read again.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa

from opportunity_sync.dynamics.characters import without_unstorable
from opportunity_sync.dynamics.columns import ARROW_TYPES, columns_of, guids, holds_nul
from opportunity_sync.dynamics.faults import (
    NamedFault,
    deleted_ids,
    missing,
    mistyped,
    named,
    set_aside,
    unidentified,
)
from opportunity_sync.dynamics.rows import CONTEXT_AT, KEY_AT, VERSION_AT, RowShape
from opportunity_sync.entities import VERSION, Entity
from opportunity_sync.errors import DataError, ResponseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opportunity_sync.dynamics.plan import Plan

_DELETED: Final = "/$deletedEntity"

_Values = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class DecodedPage:
    """One page: its good rows, its refused ones, and what came beside them.

    `table` has the entity's staged columns. `deleted_ids` are tombstones of change tracking.
    `replaced` counts characters that became U+FFFD.
    """

    table: pa.Table
    refused: list[DataError]
    next_link: str | None
    delta_link: str | None
    deleted_ids: list[str]
    replaced: int = 0


def staged_schema(entity: Entity) -> pa.Schema:
    """The Arrow schema of an entity's staged frame."""
    return pa.schema([(column.name, ARROW_TYPES[column.kind]) for column in entity.staged_columns])


class PageDecoder:
    """Decodes the pages of one entity under one plan."""

    def __init__(self, entity: Entity, plan: Plan) -> None:
        self.entity = entity
        self.schema = staged_schema(entity)
        self._labels = plan.of(entity).labels
        self._shape = RowShape.of(entity, plan.of(entity))
        self._row = msgspec.json.Decoder(self._shape.row)
        self._page = msgspec.json.Decoder(_page_of(self._shape.row))

    def decode(self, body: bytes) -> DecodedPage:
        """The page's rows as a table.

        Raises:
            ResponseError: the page is not whole JSON, or has no array of rows.
        """
        try:
            page = self._taken(body)
        except ValueError as error:
            text, replaced = without_unstorable(body)
            if replaced == 0:
                raise _broken(self.entity, error) from error
            return self._cleaned(text, replaced)
        if holds_nul(page.table):
            return self._cleaned(*without_unstorable(body))
        return page

    def _cleaned(self, text: bytes, replaced: int) -> DecodedPage:
        try:
            return replace(self._taken(text), replaced=replaced)
        except ValueError as error:
            raise _broken(self.entity, error) from error

    def _taken(self, text: bytes) -> DecodedPage:
        with _collection_paused():
            page, refused = self._parsed(text)
            values, tombstones = _apart(page.value)
            table, faulty = self._table(values)
        deleted, unknown = deleted_ids(self.entity, tombstones)
        return DecodedPage(
            table=table,
            refused=[*refused, *faulty, *unknown],
            next_link=page.next_link,
            delta_link=page.delta_link,
            deleted_ids=deleted,
        )

    def _parsed(self, text: bytes) -> tuple[Any, list[DataError]]:
        """All rows at once; one by one only where some row has a value of a wrong type."""
        try:
            return self._page.decode(text), []
        except msgspec.ValidationError:
            page: Any = _raw_page.decode(text)
        good, refused = [], []
        for raw in page.value:
            try:
                good.append(self._row.decode(raw))
            except msgspec.ValidationError as error:
                refused.append(mistyped(self.entity, raw, error))
        page.value = good
        return page, refused

    def _table(self, values: _Values) -> tuple[pa.Table, list[DataError]]:
        if not values:
            # Not `empty_table`, which imports pandas, and mostly nothing at all has changed.
            return pa.Table.from_batches([], self.schema), []
        rows = len(values[KEY_AT])
        found, faults = self._columns(values)
        arrays = [
            found[field.name] if field.name in found else pa.nulls(rows, field.type)
            for field in self.schema
        ]
        return set_aside(self.entity, pa.table(arrays, schema=self.schema), faults)

    def _columns(
        self, values: Sequence[Sequence[Any]]
    ) -> tuple[dict[str, pa.Array[Any]], list[NamedFault]]:
        keys = guids(values[KEY_AT])
        found = {
            self.entity.key_column: keys.arrays[0],
            VERSION.name: pa.array(values[VERSION_AT], pa.int64()),
        }
        faults = [*named(self.entity.key, keys.faults), *unidentified(self.entity, values)]
        for slot in self._shape.slots:
            built = columns_of(slot, values, self._labels.get(slot.field.column, {}))
            names = (column.name for column in slot.field.columns)
            found.update(zip(names, built.arrays, strict=True))
            faults += [*named(slot.field.source, built.faults), *missing(slot, built)]
        return found, faults


def _page_of(row: Any) -> Any:
    return msgspec.defstruct(
        "Page",
        [
            ("value", list[row]),
            ("next_link", str | None, None),
            ("delta_link", str | None, None),
        ],
        rename={"next_link": "@odata.nextLink", "delta_link": "@odata.deltaLink"},
    )


_raw_page: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_page_of(msgspec.Raw))


def _apart(rows: Sequence[Any]) -> tuple[_Values, list[tuple[Any, ...]]]:
    """The values of the rows, column by column, and the tombstones, one by one."""
    if not rows:
        return (), []
    values = tuple(zip(*map(msgspec.structs.astuple, rows), strict=True))
    if not any(values[CONTEXT_AT]):
        return values, []
    every = list(zip(*values, strict=True))
    live = [row for row in every if not _is_tombstone(row)]
    return tuple(zip(*live, strict=True)), [row for row in every if _is_tombstone(row)]


def _is_tombstone(row: Sequence[Any]) -> bool:
    context = row[CONTEXT_AT]
    return context is not None and context.endswith(_DELETED)


@contextmanager
def _collection_paused() -> Iterator[None]:
    """No garbage collection while a page is a million small objects, none of them in a cycle."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _broken(entity: Entity, error: Exception) -> ResponseError:
    return ResponseError(
        f"A page of {entity.set_name} is not the JSON it should be ({error}).",
        next_step="nothing: the task is retried by itself, and reads the page again",
    )
