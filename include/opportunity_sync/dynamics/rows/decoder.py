"""Pages of JSON to typed Arrow tables, bad rows kept apart.

A row that cannot be taken (a wrong type, no key, a value that a store has no room for, no JSON) is
refused by itself, and every other row of its page comes through. What is decided here is decided
for all: rules and stores take whatever comes out. A page whose envelope is not whole is no page at
all: that is an error of the response, to be read again.
"""

from __future__ import annotations

import gc
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

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
from opportunity_sync.dynamics.rows.arrow_columns import (
    ARROW_TYPES,
    FieldMeaning,
    build_columns,
    build_guids,
    has_nul,
)
from opportunity_sync.dynamics.rows.refused_rows import (
    RefusalReason,
    find_unidentified,
    find_unusable,
    is_tombstone,
    mistyped_row_error,
    read_deleted_ids,
    reasons_of,
    refuse_rows,
    repeated_member_error,
)
from opportunity_sync.dynamics.rows.row_shape import CONTEXT_AT, KEY_AT, VERSION_AT, RowShape
from opportunity_sync.errors import ConfigError, DataError, ResponseError
from opportunity_sync.model import VERSION, VERSION_SOURCE, Entity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opportunity_sync.dynamics.plan import EntityPlan, Plan

_ESCAPED_NAME: Final = re.compile(rb'\\u00[2-7][0-9a-fA-F][\w@.\\]*"\s*:')

_Values = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class DecodedPage:
    """One page: its good rows, its refused ones, and what came beside them.

    `table` has the entity's staged columns. `deleted_ids` are tombstones of change tracking.
    `replaced` counts characters that became U+FFFD. While `unidentified` is not 0, that a record is
    not on the page proves nothing: it can be among the refused rows whose id nobody can read.
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
        self._meanings_by_column = _meanings_by_column(entity, plan.of(entity))
        self._shape = RowShape.of(entity, plan.of(entity))
        self._row = msgspec.json.Decoder(self._shape.row)
        self._rows = msgspec.json.Decoder(list[self._shape.row])  # type: ignore[name-defined] # made from the plan
        self._progress = Progress(entity.set_name)

    def decode(self, body: bytes) -> DecodedPage:
        """The page's rows as a table.

        Raises:
            ResponseError: the page is not whole, has no array of rows, names an error, or is one of
                many that brought nothing new.
        """
        try:
            page = self._decode_page(body)
        except MALFORMED as error:
            raise _broken_page_error(self.entity, error) from error
        keys = page.table.column(self.entity.key_column).to_pylist()
        self._progress.note([*keys, *page.deleted_ids], is_last=page.next_link is None)
        return page

    def _decode_page(self, body: bytes) -> DecodedPage:
        """The page as it came or, only where that fails, without what no store can take."""
        try:
            page = self._build_page(read_strict_envelope(body))
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
            values, tombstones = _split_tombstones(rows)
            table, faulty = self._build_table(values)
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
        """All rows at once; one by one only where some row is no good."""
        try:
            rows = self._rows.decode(envelope.rows)
            if not self._may_repeat_members(envelope.rows, len(rows)):
                return rows, []
        except msgspec.ValidationError:
            pass
        except MALFORMED:
            if not is_clean:
                raise
        good: list[Any] = []
        refused: list[DataError] = []
        for raw in envelope.split_rows():
            taken = self._parse_row(raw)
            (refused if isinstance(taken, DataError) else good).append(taken)
        return good, refused

    def _parse_row(self, raw: bytes) -> Any:
        """The row, or the error of one that cannot be taken."""
        try:
            row = self._row.decode(raw)
        except MALFORMED as error:
            return mistyped_row_error(self.entity, raw, error)
        return (
            repeated_member_error(self.entity, raw) if self._may_repeat_members(raw, 1) else None
        ) or row

    def _may_repeat_members(self, rows: bytes, count: int) -> bool:
        """Whether some row may name its key or its version twice: a look at the bytes, no proof."""
        names = (self.entity.key, VERSION_SOURCE)
        seen = max(rows.count(b'"%s"' % name.encode()) for name in names)
        return seen > count or _ESCAPED_NAME.search(rows) is not None

    def _build_table(self, values: _Values) -> tuple[pa.Table, list[DataError]]:
        if not values:
            # Not `empty_table`, which imports pandas, and mostly nothing at all has changed.
            return pa.Table.from_batches([], self.schema), []
        rows = len(values[KEY_AT])
        found, faults = self._build_columns(values)
        arrays = [
            found[field.name] if field.name in found else pa.nulls(rows, field.type)
            for field in self.schema
        ]
        return refuse_rows(self.entity, pa.table(arrays, schema=self.schema), faults)

    def _build_columns(
        self, values: Sequence[Sequence[Any]]
    ) -> tuple[dict[str, pa.Array[Any]], list[RefusalReason]]:
        keys = build_guids(values[KEY_AT])
        found = {
            self.entity.key_column: keys.arrays[0],
            VERSION.name: pa.array(values[VERSION_AT], pa.int64()),
        }
        faults = [
            *reasons_of(self.entity.key, keys.faults),
            *find_unidentified(self.entity, values),
        ]
        for slot in self._shape.slots:
            built = build_columns(slot, values, self._meanings_by_column[slot.field.column])
            names = (column.name for column in slot.field.columns)
            found.update(zip(names, built.arrays, strict=True))
            faults += [*reasons_of(slot.field.source, built.faults), *find_unusable(slot, built)]
        return found, faults


def _meanings_by_column(entity: Entity, plan: EntityPlan) -> dict[str, FieldMeaning]:
    return {
        field.column: FieldMeaning(
            plan.labels.get(field.column, {}),
            _load_zone(plan.zones[field.column]) if field.column in plan.zones else None,
        )
        for field in plan.fields(entity)
    }


def _load_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"This machine does not know the time zone {name}.",
            next_step="install the package tzdata, or set OPPORTUNITY_SYNC_TIME_ZONE to a name of "
            "the IANA time zone database, such as Europe/Berlin",
        ) from error


def _split_tombstones(rows: Sequence[Any]) -> tuple[_Values, list[tuple[Any, ...]]]:
    """The values of the rows, column by column, and the tombstones, one by one."""
    if not rows:
        return (), []
    values = tuple(zip(*map(msgspec.structs.astuple, rows), strict=True))
    if not any(values[CONTEXT_AT]):
        return values, []
    every = list(zip(*values, strict=True))
    live = [row for row in every if not is_tombstone(row[CONTEXT_AT])]
    return tuple(zip(*live, strict=True)), [row for row in every if is_tombstone(row[CONTEXT_AT])]


@contextmanager
def _pause_collection() -> Iterator[None]:
    """No garbage collection while a page is a million small objects, none of them in a cycle."""
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
        next_step="wait: the next try reads the page again; if it stays, find out who answers in "
        "Dataverse's place (a proxy or gateway?)",
    )
