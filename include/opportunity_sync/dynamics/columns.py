"""Values of one column, as the response writes them, to Arrow: fast for good ones, exact for bad.

Whole columns are checked and converted at once. Only when that fails are the values looked at
one by one, so that a single malformed date or GUID costs its own row and not the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from opportunity_sync.entities import Kind

if TYPE_CHECKING:
    from opportunity_sync.dynamics.rows import Slot

ARROW_TYPES: Final[Mapping[Kind, pa.DataType]] = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.MONEY: pa.string(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.INSTANT: pa.timestamp("us", tz="UTC"),
    Kind.DATE: pa.date32(),
}
_GUID_LENGTH: Final = 36
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DASHES: Final = (8, 13, 18, 23)
_DASH: Final = ord("-")
# Every byte to its lower case, those that no GUID has to zero.
_LOWER: Final = bytes(
    character if chr(character) in "0123456789abcdef-" else 0
    for character in bytes(range(256)).lower()
)
_PLAIN_NUMBER: Final = r"^-?[0-9]+(\.[0-9]+)?$"
_MOST_DIGITS: Final = 40
_SECONDS: Final = pa.timestamp("s", tz="UTC")


@dataclass(frozen=True, slots=True)
class Fault:
    """One bad value: its row in the page, and its shape (never the value itself)."""

    row: int
    problem: str


@dataclass(frozen=True, slots=True)
class Columns:
    """The Arrow columns that one field becomes, and the rows whose values are no good."""

    arrays: tuple[pa.Array[Any], ...]
    faults: tuple[Fault, ...] = ()


Convert = Callable[[str], Any]


def columns_of(slot: Slot, values: Sequence[Sequence[Any]], labels: Mapping[int, str]) -> Columns:
    """The columns of one field; `values` are all columns of the page's rows."""
    if slot.field.kind is Kind.LOOKUP:
        types = None if slot.type_at is None else values[slot.type_at]
        return _lookup(values[slot.at], types)
    if slot.field.kind is Kind.CHOICE:
        return _choice(values[slot.at], labels)
    return _BUILDERS[slot.field.kind](values[slot.at])


def guids(values: Sequence[str | None]) -> Columns:
    """Lower-case GUIDs of 36 characters; all at once as one grid of bytes where they are good."""
    texts = pa.array(values, pa.string())
    lowered = _lowered_guids(texts)
    if lowered is not None:
        return Columns((lowered,))
    return _one_by_one(values, _guid, "is not a GUID")


def _lowered_guids(texts: pa.StringArray) -> pa.Array[Any] | None:
    count = len(texts) - texts.null_count
    validity, offsets, data = texts.buffers()
    if offsets is None or data is None or count == 0:
        return texts if count == 0 else None
    lengths = np.diff(np.frombuffer(memoryview(offsets), np.int32, len(texts) + 1))
    size = int(lengths.sum())
    if size != count * _GUID_LENGTH or int(np.max(lengths)) != _GUID_LENGTH:
        return None
    lowered = bytes(memoryview(data)[:size]).translate(_LOWER)
    dashed = np.frombuffer(lowered, np.uint8).reshape(count, _GUID_LENGTH)[:, _DASHES]
    has_only_digits = b"\0" not in lowered and lowered.count(b"-") == count * len(_DASHES)
    if not (has_only_digits and (dashed == _DASH).all()):
        return None
    buffers = [validity, offsets, pa.py_buffer(lowered)]
    return pa.Array.from_buffers(pa.string(), len(texts), buffers, texts.null_count)


def _lookup(values: Sequence[str | None], types: Sequence[str | None] | None) -> Columns:
    found = guids(values)
    if types is None:
        return found
    (ids,) = found.arrays
    targets = pc.if_else(ids.is_valid(), pa.array(types, pa.string()), None)
    untyped = pc.indices_nonzero(pc.and_(ids.is_valid(), targets.is_null())).to_pylist()
    faults = tuple(Fault(row, "points to a row of a table that is not named") for row in untyped)
    return Columns((ids, targets), (*found.faults, *faults))


def _choice(values: Sequence[int | None], labels: Mapping[int, str]) -> Columns:
    codes = pa.array(values, pa.int64())
    known = pa.array(list(labels.keys()), pa.int64())
    texts = pa.array(list(labels.values()), pa.string())
    return Columns((codes, texts.take(pc.index_in(codes, known, skip_nulls=True))))


def holds_nul(table: pa.Table) -> bool:
    """Whether a text has U+0000: one look at the columns' bytes, far cheaper than at the JSON."""
    chunks = (
        chunk for column in table.columns if column.type == pa.string() for chunk in column.chunks
    )
    buffers = (chunk.buffers()[2] for chunk in chunks)
    return any(buffer is not None and b"\0" in buffer.to_pybytes() for buffer in buffers)


def _plain(kind: Kind) -> Callable[[Sequence[Any]], Columns]:
    return lambda values: Columns((pa.array(values, ARROW_TYPES[kind]),))


def _money(values: Sequence[Any]) -> Columns:
    """Plain decimal text, digit for digit; exponents are written out."""
    written = pa.array(list(map(bytes, values)), pa.binary()).cast(pa.string())
    texts = pc.if_else(pc.equal(written, pa.scalar("null")), None, written)
    if pc.all(pc.match_substring_regex(texts, _PLAIN_NUMBER)).as_py() is not False:
        return Columns((texts,))
    return _one_by_one(texts.to_pylist(), _number, "is not a number of a sensible size")


def _instants(values: Sequence[str | None]) -> Columns:
    texts = pa.array(values, pa.string())
    try:
        return Columns((_seconds(texts),))
    except pa.ArrowInvalid:
        pass
    try:
        return Columns((_seconds(pc.replace_substring_regex(texts, r"\.\d+", "")),))
    except pa.ArrowInvalid:
        return _one_by_one(values, _instant, "is not an instant", kind=ARROW_TYPES[Kind.INSTANT])


def _seconds(texts: Any) -> pa.Array[Any]:
    seconds: pa.Array[Any] = texts.cast(_SECONDS).cast(ARROW_TYPES[Kind.INSTANT])
    return seconds


def _dates(values: Sequence[str | None]) -> Columns:
    try:
        return Columns((pa.array(values, pa.string()).cast(pa.date32()),))
    except pa.ArrowInvalid:
        return _one_by_one(values, _date, "is not a date", kind=pa.date32())


_BUILDERS: Final[Mapping[Kind, Callable[[Sequence[Any]], Columns]]] = {
    Kind.TEXT: _plain(Kind.TEXT),
    Kind.INTEGER: _plain(Kind.INTEGER),
    Kind.BOOLEAN: _plain(Kind.BOOLEAN),
    Kind.MONEY: _money,
    Kind.INSTANT: _instants,
    Kind.DATE: _dates,
}


def _one_by_one(
    values: Sequence[str | None],
    convert: Convert,
    problem: str,
    *,
    kind: pa.DataType | None = None,
) -> Columns:
    good: list[Any] = []
    faults = []
    for row, text in enumerate(values):
        try:
            good.append(None if text is None else convert(text))
        except (ValueError, ArithmeticError):
            good.append(None)
            faults.append(Fault(row, f"{problem} (a text of {len(text or '')} characters)"))
    return Columns((pa.array(good, kind or pa.string()),), tuple(faults))


def _guid(text: str) -> str:
    if _GUID.fullmatch(text.lower()) is None:
        raise ValueError
    return text.lower()


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC).replace(microsecond=0)


def _date(text: str) -> date:
    if len(text) != len("2026-02-03"):
        raise ValueError
    return date.fromisoformat(text)


def _number(text: str) -> str:
    if re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", text) is None:
        raise ValueError
    number = Decimal(text)
    if abs(number.adjusted()) > _MOST_DIGITS:
        raise ValueError
    return f"{number:f}"
