"""Pages of JSON to typed Arrow tables, with the rows that can't be taken beside them.

A row is refused by itself: for a wrong type, for a missing key, for a value that a store has no
room for, or because it is no JSON. Every other row of its page comes through. What is valid is
decided here for all: rules and stores take whatever comes out. A page whose envelope is not whole
is no page at all. That is an error of the response, and the page is read again.
"""

from __future__ import annotations

import gc
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa

from opportunity_sync.dynamics.pages.characters import replace_unstorable
from opportunity_sync.dynamics.pages.envelope import (
    MALFORMED,
    Envelope,
    EnvelopeError,
    read_lenient_envelope,
    read_strict_envelope,
)
from opportunity_sync.dynamics.pages.progress import Progress
from opportunity_sync.dynamics.rows.arrow_columns import ARROW_TYPES, has_nul
from opportunity_sync.dynamics.rows.field_columns import build_columns
from opportunity_sync.dynamics.rows.field_meanings import meanings_by_column
from opportunity_sync.dynamics.rows.guid_columns import build_guids
from opportunity_sync.dynamics.rows.refused_rows import (
    RefusalReason,
    find_unidentified,
    find_unusable,
    mistyped_row_error,
    reasons_of,
    refuse_rows,
    repeated_member_error,
)
from opportunity_sync.dynamics.rows.row_shape import KEY_AT, VERSION_AT, Column, RowShape
from opportunity_sync.dynamics.rows.tombstones import read_deleted_ids, split_tombstones
from opportunity_sync.errors import DataError, ResponseError
from opportunity_sync.model import VERSION, VERSION_SOURCE, Entity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opportunity_sync.dynamics.plan import Plan

_STEP_IF_BROKEN: Final = (
    "wait: the next try reads the page again; if it stays, find out who answers in Dataverse's "
    "place (a proxy or gateway?)"
)
_ESCAPED_NAME: Final = re.compile(rb'\\u00[2-7][0-9a-fA-F][\w@.\\]*"\s*:')


@dataclass(frozen=True, slots=True)
class DecodedPage:
    """One page: its good rows, its refused ones, and what came beside them.

    `table` has the entity's staged columns. `deleted_ids` are the keys of change tracking's
    tombstones. `replaced` counts the characters that became U+FFFD. While `unidentified` is not 0,
    a record that is not on the page may be there all the same: among the refused rows whose id
    nobody can read.
    """

    table: pa.Table
    refused: list[DataError]
    next_link: str | None
    delta_link: str | None
    deleted_ids: list[str]
    replaced: int = 0

    @property
    def unidentified(self) -> int:
        """How many rows of the page were refused and have no readable id."""
        return sum(error.record_id is None for error in self.refused)


def staged_schema(entity: Entity) -> pa.Schema:
    """The Arrow schema of an entity's staged frame."""
    return pa.schema([(column.name, ARROW_TYPES[column.kind]) for column in entity.staged_columns])


class PageDecoder:
    """Decodes the pages of one entity under one plan, in the order in which they come.

    Raises:
        ConfigError: this machine does not know a time zone of the plan.
    """

    def __init__(self, entity: Entity, plan: Plan) -> None:
        self.entity = entity
        self.schema = staged_schema(entity)
        self._meanings = meanings_by_column(entity, plan.of(entity))
        self._shape = RowShape.of(entity, plan.of(entity))
        self._row = msgspec.json.Decoder(self._shape.row)
        self._rows = msgspec.json.Decoder(list[self._shape.row])  # type: ignore[name-defined] # made from the plan
        self._progress = Progress(entity.set_name)
        self._names = {name: b'"%s"' % name.encode() for name in plan.of(entity).select(entity)}

    def parse_rows(self, rows: bytes | memoryview) -> list[Any]:
        """All rows of an array at once. Raises one of `MALFORMED` where one of them is no good."""
        parsed: list[Any] = self._rows.decode(rows)
        return parsed

    def decode(self, body: bytes, envelope: Envelope | None = None) -> DecodedPage:
        """The page's rows as a table; `envelope`, if its rows are parsed, saves reading it again.

        Raises:
            ResponseError: the page is not whole, has no array of rows, names an error, or is one of
                many that brought nothing new.
        """
        try:
            page = self._decode_page(body, envelope)
        except MALFORMED as error:
            raise _broken_page_error(self.entity, error) from error
        keys = page.table.column(self.entity.key_column).to_pylist()
        refused = [error.record_id for error in page.refused if error.record_id]
        came = [*keys, *refused, *page.deleted_ids]
        self._progress.note_page(came, is_last=page.next_link is None)
        return page

    def require_columns(self, body: bytes, page: DecodedPage) -> None:
        """Refuse a page that names a planned column in none of its rows.

        Dataverse writes null where there is no value. A column that is nowhere was left out by
        somebody, and would empty every stored value. The first row names all, so this is quick.

        Raises:
            ResponseError: a planned column is not there.
        """
        if not page.table.num_rows:
            return
        missing = [name for name, written in self._names.items() if written not in body]
        if missing and not _ESCAPED_NAME.search(body):
            raise ResponseError(
                f"No row of a page of {self.entity.set_name} names {', '.join(missing)}, which "
                "was asked for.",
                next_step=_STEP_IF_BROKEN,
            )

    def _decode_page(self, body: bytes, envelope: Envelope | None) -> DecodedPage:
        """The page as it came; only where that fails, without the characters no store can take."""
        try:
            if envelope is None or envelope.parsed is None:
                envelope = read_strict_envelope(body)
            page = self._build_page(envelope)
            if not has_nul(page.table):
                return page
        except EnvelopeError:
            raise
        except MALFORMED:
            pass
        text, replaced = replace_unstorable(body)
        return replace(
            self._build_page(read_lenient_envelope(text), is_clean=True), replaced=replaced
        )

    def _build_page(self, envelope: Envelope, *, is_clean: bool = False) -> DecodedPage:
        with _pause_collection():
            rows, refused = self._parse_rows(envelope, is_clean=is_clean)
            others, tombstones = split_tombstones(rows)
            table, faulty = self._build_table(others)
        deleted, unknown = read_deleted_ids(self.entity, tombstones)
        return DecodedPage(
            table=table,
            refused=[*refused, *faulty, *unknown],
            next_link=envelope.next_link,
            delta_link=envelope.delta_link,
            deleted_ids=deleted,
        )

    def _parse_rows(
        self, envelope: Envelope, *, is_clean: bool
    ) -> tuple[list[Any], list[DataError]]:
        """All rows at once; one by one only where one of them is no good."""
        try:
            rows = envelope.parsed
            if rows is None:
                rows = self.parse_rows(envelope.rows)
            if not self._may_repeat_members(envelope.text, len(rows)):
                return rows, []
        except msgspec.ValidationError:
            pass
        except MALFORMED:
            if not is_clean:
                raise
        good: list[Any] = []
        refused: list[DataError] = []
        for raw in envelope.split_rows():
            row = self._parse_row(raw)
            (refused if isinstance(row, DataError) else good).append(row)
        return good, refused

    def _parse_row(self, raw: bytes) -> Any:
        """The row, or the error of one that cannot be taken."""
        try:
            row = self._row.decode(raw)
        except MALFORMED as error:
            return mistyped_row_error(self.entity, raw, error)
        if self._may_repeat_members(raw, 1):
            return repeated_member_error(self.entity, raw) or row
        return row

    def _may_repeat_members(self, rows: bytes, count: int) -> bool:
        """Whether a row may name its key or its version twice: a look at the bytes, no proof."""
        names = (self.entity.key, VERSION_SOURCE)
        seen = max(rows.count(b'"%s"' % name.encode()) for name in names)
        return seen > count or _ESCAPED_NAME.search(rows) is not None

    def _build_table(self, rows: Sequence[Any]) -> tuple[pa.Table, list[DataError]]:
        if not rows:
            # Not `empty_table`, which imports pandas, and mostly nothing at all has changed.
            return pa.Table.from_batches([], self.schema), []
        found, reasons = self._build_columns(self._shape.columns_of(rows))
        arrays = [
            found[field.name] if field.name in found else pa.nulls(len(rows), field.type)
            for field in self.schema
        ]
        return refuse_rows(self.entity, pa.table(arrays, schema=self.schema), reasons)

    def _build_columns(
        self, columns: Sequence[Column]
    ) -> tuple[dict[str, pa.Array[Any]], list[RefusalReason]]:
        keys = build_guids(columns[KEY_AT])
        found = {
            self.entity.key_column: keys.arrays[0],
            VERSION.name: columns[VERSION_AT],
        }
        reasons = [
            *reasons_of(self.entity.key, keys.bad_values),
            *find_unidentified(self.entity, columns),
        ]
        for slot in self._shape.slots:
            built = build_columns(slot, columns, self._meanings[slot.field.column])
            names = (column.name for column in slot.field.columns)
            found.update(zip(names, built.arrays, strict=True))
            reasons += [
                *reasons_of(slot.field.source, built.bad_values),
                *find_unusable(slot, built),
            ]
        return found, reasons


@contextmanager
def _pause_collection() -> Iterator[None]:
    """Stop garbage collection while a page is a million small objects, none of them in a cycle."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _broken_page_error(entity: Entity, error: Exception) -> ResponseError:
    return ResponseError(
        f"A page of {entity.set_name} is not the JSON it should be ({error}).",
        next_step=_STEP_IF_BROKEN,
    )
