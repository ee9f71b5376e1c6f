"""Values of one column, as the response writes them, to Arrow: fast for good ones, exact for bad.

Whole columns are checked and converted at once. Only when that fails are the values looked at
one by one, so that a single malformed date or GUID costs its own row and not the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from opportunity_sync.model import Kind

if TYPE_CHECKING:
    from opportunity_sync.dynamics.rows.row_shape import Slot

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
_MOST_DIGITS: Final = 40  # before the point, and behind it
_PLAIN_NUMBER: Final = rf"^-?[0-9]{{1,{_MOST_DIGITS}}}(\.[0-9]{{1,{_MOST_DIGITS}}})?$"
_WRITTEN_NUMBER: Final = r"-?\d+(\.\d+)?([eE][+-]?\d+)?"
_SECONDS: Final = pa.timestamp("s", tz="UTC")


@dataclass(frozen=True, slots=True)
class BadValue:
    """One bad value: its row in the page, and its shape (never the value itself)."""

    row: int
    problem: str


@dataclass(frozen=True, slots=True)
class ArrowColumns:
    """The Arrow columns that one field becomes, and the rows whose values are no good."""

    arrays: tuple[pa.Array[Any], ...]
    faults: tuple[BadValue, ...] = ()


Convert = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class FieldMeaning:
    """What is known of a field's values beside its kind: its labels, the zone its days are in."""

    labels: Mapping[int, str]
    zone: tzinfo | None = None


def build_columns(
    slot: Slot, values: Sequence[Sequence[Any]], meaning: FieldMeaning
) -> ArrowColumns:
    """The columns of one field; `values` are all columns of the page's rows."""
    if slot.field.kind is Kind.LOOKUP:
        types = None if slot.type_at is None else values[slot.type_at]
        return _build_lookup(slot, values[slot.at], types)
    if slot.field.kind is Kind.CHOICE:
        return _build_choice(values[slot.at], meaning.labels)
    if slot.field.kind is Kind.DATE:
        return _build_dates(values[slot.at], meaning.zone)
    return _BUILDERS[slot.field.kind](values[slot.at])


# Not constants: pyarrow imports pandas to look at a Python value, and most tasks need none.
@cache
def _known_instants() -> tuple[Any, Any]:
    """What Python, PostgreSQL and SQLite's texts of four digits all know, in UTC."""
    kind = pa.timestamp("us", tz="UTC")
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    return pa.scalar(datetime(1, 1, 1, tzinfo=UTC), kind), pa.scalar(last, kind)


@cache
def _known_days() -> tuple[Any, Any]:
    """Likewise, of dates."""
    return pa.scalar(date.min, pa.date32()), pa.scalar(date.max, pa.date32())


def build_guids(values: Sequence[str | None]) -> ArrowColumns:
    """Lower-case GUIDs of 36 characters; all at once as one grid of bytes where they are good."""
    texts = pa.array(values, pa.string())
    lowered = _lower_guids(texts)
    if lowered is not None:
        return ArrowColumns((lowered,))
    return _convert_one_by_one(values, _parse_guid, "is not a GUID")


def _lower_guids(texts: pa.StringArray) -> pa.Array[Any] | None:
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


def _build_lookup(
    slot: Slot, values: Sequence[str | None], types: Sequence[str | None] | None
) -> ArrowColumns:
    found = build_guids(values)
    if types is None:
        return found
    (ids,) = found.arrays
    targets = pc.if_else(ids.is_valid(), pa.array(types, pa.string()), None)
    faults = found.faults
    if slot.field.typed:
        untyped = pc.and_(ids.is_valid(), targets.is_null())
        faults += _bad_values_at(untyped, "points to a row of a table that is not named")
    if slot.field.targets:
        allowed = pa.array(slot.field.targets, pa.string())
        elsewhere = pc.and_(targets.is_valid(), pc.invert(pc.is_in(targets, value_set=allowed)))
        faults += _bad_values_at(
            elsewhere, f"points to a row that is no {' or '.join(slot.field.targets)}"
        )
    return ArrowColumns((ids, targets), faults)


def _bad_values_at(is_bad: pa.Array[Any], problem: str) -> tuple[BadValue, ...]:
    return tuple(BadValue(row, problem) for row in pc.indices_nonzero(is_bad).to_pylist())


def _build_choice(values: Sequence[int | None], labels: Mapping[int, str]) -> ArrowColumns:
    codes = pa.array(values, pa.int64())
    known = pa.array(list(labels.keys()), pa.int64())
    texts = pa.array(list(labels.values()), pa.string())
    return ArrowColumns((codes, texts.take(pc.index_in(codes, known, skip_nulls=True))))


def has_nul(table: pa.Table) -> bool:
    """Whether a text has U+0000: one look at the columns' bytes, far cheaper than at the JSON."""
    chunks = (
        chunk for column in table.columns if column.type == pa.string() for chunk in column.chunks
    )
    buffers = (chunk.buffers()[2] for chunk in chunks)
    return any(buffer is not None and b"\0" in buffer.to_pybytes() for buffer in buffers)


def _plain_builder(kind: Kind) -> Callable[[Sequence[Any]], ArrowColumns]:
    return lambda values: ArrowColumns((pa.array(values, ARROW_TYPES[kind]),))


def _build_money(values: Sequence[Any]) -> ArrowColumns:
    """Plain decimal text, digit for digit; exponents are written out."""
    written = pa.array(list(map(bytes, values)), pa.binary()).cast(pa.string())
    texts = pc.if_else(pc.equal(written, pa.scalar("null")), None, written)
    if pc.all(pc.match_substring_regex(texts, _PLAIN_NUMBER)).as_py() is not False:
        return ArrowColumns((texts,))
    return _convert_one_by_one(
        texts.to_pylist(), _parse_number, "is not a number of a sensible size"
    )


def _build_instants(values: Sequence[str | None]) -> ArrowColumns:
    texts = pa.array(values, pa.string())
    try:
        return _refuse_out_of_calendar(_cast_to_seconds(texts), _known_instants())
    except pa.ArrowInvalid:
        pass
    try:
        return _refuse_out_of_calendar(
            _cast_to_seconds(pc.replace_substring_regex(texts, r"\.\d+", "")), _known_instants()
        )
    except pa.ArrowInvalid:
        return _convert_one_by_one(
            values, _parse_instant, "is not an instant", kind=ARROW_TYPES[Kind.INSTANT]
        )


def _cast_to_seconds(texts: Any) -> pa.Array[Any]:
    seconds: pa.Array[Any] = texts.cast(_SECONDS).cast(ARROW_TYPES[Kind.INSTANT])
    return seconds


def _build_dates(values: Sequence[str | None], zone: tzinfo | None) -> ArrowColumns:
    """Days as written; of an instant its day in the zone or, without one, the day it names."""
    texts = pa.array(values, pa.string())
    try:
        return _refuse_out_of_calendar(texts.cast(pa.date32()), _known_days())
    except pa.ArrowInvalid:
        pass
    # A day of a zone is an instant of few spellings, so each is converted once.
    spelled = texts.dictionary_encode()
    convert = partial(_parse_date, zone=zone)
    problem = "is not a date"
    known = _convert_one_by_one(spelled.dictionary.to_pylist(), convert, problem, kind=pa.date32())
    wrong = pa.array([fault.row for fault in known.faults], pa.int32())
    is_wrong = pc.is_in(spelled.indices, value_set=wrong)
    faults = tuple(
        BadValue(row, _describe_shape(problem, values[row]))
        for row in pc.indices_nonzero(is_wrong).to_pylist()
    )
    return ArrowColumns((known.arrays[0].take(spelled.indices),), faults)


def _refuse_out_of_calendar(
    built: pa.Array[Any], bounds: tuple[pa.Scalar[Any], pa.Scalar[Any]]
) -> ArrowColumns:
    """The column, its values out of bounds as faults: no store has a year 0 or 10000."""
    first, last = bounds
    is_out = pc.or_(pc.less(built, first), pc.greater(built, last))
    if not pc.any(is_out).as_py():
        return ArrowColumns((built,))
    inside = pc.if_else(is_out, None, built)
    return ArrowColumns((inside,), _bad_values_at(is_out, "is before the year 1 or after 9999"))


_BUILDERS: Final[Mapping[Kind, Callable[[Sequence[Any]], ArrowColumns]]] = {
    Kind.TEXT: _plain_builder(Kind.TEXT),
    Kind.INTEGER: _plain_builder(Kind.INTEGER),
    Kind.BOOLEAN: _plain_builder(Kind.BOOLEAN),
    Kind.MONEY: _build_money,
    Kind.INSTANT: _build_instants,
}


def _convert_one_by_one(
    values: Sequence[str | None],
    convert: Convert,
    problem: str,
    *,
    kind: pa.DataType | None = None,
) -> ArrowColumns:
    good: list[Any] = []
    faults = []
    for row, text in enumerate(values):
        try:
            good.append(None if text is None else convert(text))
        except (ValueError, ArithmeticError):
            good.append(None)
            faults.append(BadValue(row, _describe_shape(problem, text)))
    return ArrowColumns((pa.array(good, kind or pa.string()),), tuple(faults))


def _describe_shape(problem: str, text: str | None) -> str:
    return f"{problem} (a text of {len(text or '')} characters)"


def _parse_guid(text: str) -> str:
    if _GUID.fullmatch(text.lower()) is None:
        raise ValueError
    return text.lower()


def _parse_instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC).replace(microsecond=0)


def _parse_date(text: str, zone: tzinfo | None) -> date:
    if len(text) == len("2026-02-03"):
        return date.fromisoformat(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return (moment.astimezone(zone) if zone else moment).date()


def _parse_number(text: str) -> str:
    if len(text) > 4 * _MOST_DIGITS or re.fullmatch(_WRITTEN_NUMBER, text, re.ASCII) is None:
        raise ValueError
    number = Decimal(text)
    if number.adjusted() >= _MOST_DIGITS or int(number.as_tuple().exponent) < -_MOST_DIGITS:
        raise ValueError
    return f"{number:f}"
