"""Pages of JSON to typed Arrow tables, bad rows kept apart.

A row that cannot be taken (a wrong type, no key, a malformed GUID) is refused by itself, and
every other row of its page comes through. A page that is not whole JSON is no page at all: that
is an error of the response, to be read again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa

from opportunity_sync.dynamics.characters import cleaned, without_bare_halves
from opportunity_sync.dynamics.columns import ARROW_TYPES, columns_of, guids
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
    from collections.abc import Sequence

    from opportunity_sync.dynamics.plan import Plan

_DELETED: Final = "/$deletedEntity"


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
    replaced: int


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
        text, replaced = cleaned(body)
        try:
            page, refused = self._parsed(text)
        except UnicodeDecodeError:
            text, halves = without_bare_halves(text)
            replaced += halves
            page, refused = self._parsed_again(text)
        except msgspec.DecodeError as error:
            raise _broken(self.entity, error) from error
        rows, tombstones = _apart(page.value)
        table, faulty = self._table(rows)
        deleted, unknown = deleted_ids(self.entity, tombstones)
        return DecodedPage(
            table=table,
            refused=[*refused, *faulty, *unknown],
            next_link=page.next_link,
            delta_link=page.delta_link,
            deleted_ids=deleted,
            replaced=replaced,
        )

    def _parsed_again(self, text: bytes) -> tuple[Any, list[DataError]]:
        try:
            return self._parsed(text)
        except ValueError as error:
            raise _broken(self.entity, error) from error

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

    def _table(self, rows: Sequence[tuple[Any, ...]]) -> tuple[pa.Table, list[DataError]]:
        if not rows:
            return self.schema.empty_table(), []
        values = tuple(zip(*rows, strict=True))
        found, faults = self._columns(values)
        arrays = [
            found[field.name] if field.name in found else pa.nulls(len(rows), field.type)
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


def _apart(rows: Sequence[Any]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Rows and tombstones, each taken apart into its values."""
    live: list[tuple[Any, ...]] = []
    tombstones: list[tuple[Any, ...]] = []
    for row in map(msgspec.structs.astuple, rows):
        context = row[CONTEXT_AT]
        is_deleted = context is not None and context.endswith(_DELETED)
        (tombstones if is_deleted else live).append(row)
    return live, tombstones


def _broken(entity: Entity, error: Exception) -> ResponseError:
    return ResponseError(
        f"A page of {entity.set_name} is not the JSON it should be ({error}).",
        next_step="nothing: the task is retried by itself, and reads the page again",
    )
