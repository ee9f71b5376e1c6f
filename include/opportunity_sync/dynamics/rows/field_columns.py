"""The values of one field to Arrow columns, in the way of its kind.

Most kinds become one column. A lookup becomes an id and, where it may point to several tables, the
table's name; a choice becomes its code and its label, several choices their codes and labels.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from opportunity_sync.dynamics.rows.arrow_columns import (
    ARROW_TYPES,
    ArrowColumns,
    BadValue,
    bad_values_where,
    convert_one_by_one,
    describe_shape,
)
from opportunity_sync.dynamics.rows.guid_columns import build_guids
from opportunity_sync.dynamics.rows.value_parsers import (
    MOST_DIGITS,
    parse_codes,
    parse_date,
    parse_instant,
    parse_local_time,
    parse_number,
)
from opportunity_sync.model import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opportunity_sync.dynamics.rows.field_meanings import FieldMeaning
    from opportunity_sync.dynamics.rows.row_shape import Column, Slot

_PLAIN_NUMBER: Final = rf"^-?[0-9]{{1,{MOST_DIGITS}}}(\.[0-9]{{1,{MOST_DIGITS}}})?$"
_SECONDS: Final = pa.timestamp("s", tz="UTC")


def build_columns(slot: Slot, columns: Sequence[Column], meaning: FieldMeaning) -> ArrowColumns:
    """The columns of one field, from all columns of the page's rows."""
    if slot.field.kind is Kind.LOOKUP:
        types = None if slot.type_at is None else columns[slot.type_at]
        return _build_lookup(slot, columns[slot.at], types)
    if slot.field.kind is Kind.CHOICE:
        return _build_choice(columns[slot.at], meaning.labels)
    if slot.field.kind is Kind.CHOICES:
        return _build_choices(columns[slot.at], meaning.labels)
    if slot.field.kind is Kind.DATE:
        return _build_dates(columns[slot.at], meaning.zone)
    return _BUILDERS[slot.field.kind](columns[slot.at])


def _build_lookup(slot: Slot, written: Column, types: Column | None) -> ArrowColumns:
    found = build_guids(written)
    if types is None:
        return found
    (ids,) = found.arrays
    targets = pc.if_else(ids.is_valid(), types, None)
    bad_values = found.bad_values
    if slot.field.typed:
        untyped = pc.and_(ids.is_valid(), targets.is_null())
        bad_values += bad_values_where(untyped, "points to a row of a table that is not named")
    if slot.field.targets:
        allowed = pa.array(slot.field.targets, pa.string())
        elsewhere = pc.and_(targets.is_valid(), pc.invert(pc.is_in(targets, value_set=allowed)))
        problem = f"points to a row that is no {' or '.join(slot.field.targets)}"
        bad_values += bad_values_where(elsewhere, problem)
    return ArrowColumns((ids, targets), bad_values)


def _build_choice(codes: Column, labels: Mapping[int, str]) -> ArrowColumns:
    known = pa.array(list(labels.keys()), pa.int64())
    texts = pa.array(list(labels.values()), pa.string())
    return ArrowColumns((codes, texts.take(pc.index_in(codes, known, skip_nulls=True))))


def _build_choices(texts: Column, labels: Mapping[int, str]) -> ArrowColumns:
    """Codes as they come, joined by commas, and the labels of those that have one."""
    # Few combinations of options occur, so each is looked at once.
    spellings = texts.dictionary_encode()
    known = [parse_codes(text) for text in spellings.dictionary.to_pylist()]
    codes = [None if each is None else ",".join(map(str, each)) for each in known]
    named = ["; ".join(labels[code] for code in each or () if code in labels) for each in known]
    wrong = pa.array([at for at, each in enumerate(known) if each is None], pa.int32())
    is_wrong = pc.is_in(spellings.indices, value_set=wrong)
    columns = (
        pa.array(codes, pa.string()).take(spellings.indices),
        pa.array([text or None for text in named], pa.string()).take(spellings.indices),
    )
    return ArrowColumns(columns, bad_values_where(is_wrong, "is no list of options"))


def _take_as_it_is(column: Column) -> ArrowColumns:
    return ArrowColumns((column,))


def _build_money(values: Sequence[Any]) -> ArrowColumns:
    """Plain decimal text, digit for digit; exponents are written out."""
    written = pa.array(list(map(bytes, values)), pa.binary()).cast(pa.string())
    texts = pc.if_else(pc.equal(written, pa.scalar("null")), None, written)
    if pc.all(pc.match_substring_regex(texts, _PLAIN_NUMBER)).as_py() is not False:
        return ArrowColumns((texts,))
    return convert_one_by_one(texts.to_pylist(), parse_number, "is not a number of a sensible size")


def _build_instants(texts: Column) -> ArrowColumns:
    """Instants of whole seconds, UTC: first as they mostly are, then without their fractions."""
    kind = ARROW_TYPES[Kind.INSTANT]
    for read in (_read_seconds, _read_seconds_of_fractions):
        try:
            return _refuse_outside(read(texts).cast(kind), _calendar_of_instants())
        except pa.ArrowInvalid:
            continue
    return convert_one_by_one(texts.to_pylist(), parse_instant, "is not an instant", kind=kind)


def _build_local_times(texts: Column) -> ArrowColumns:
    """Times of no zone: what is written, whatever zone an answer names beside it."""
    # A date alone the cast would take for midnight, so it is made to fail.
    timed = pc.replace_substring_regex(texts, r"^[^T]*$", "no time")
    bare = pc.replace_substring_regex(timed, r"(\.\d+)?(Z|[+-]\d\d:\d\d)?$", "")
    kind = ARROW_TYPES[Kind.LOCAL_TIME]
    try:
        times = bare.cast(pa.timestamp("s")).cast(kind)
    except pa.ArrowInvalid:
        problem = "is not a date and time"
        return convert_one_by_one(texts.to_pylist(), parse_local_time, problem, kind=kind)
    first, last = (bound.cast(kind) for bound in _calendar_of_instants())
    return _refuse_outside(times, (first, last))


def _read_seconds(texts: Any) -> Any:
    return texts.cast(_SECONDS)


def _read_seconds_of_fractions(texts: Any) -> Any:
    return _read_seconds(pc.replace_substring_regex(texts, r"\.\d+", ""))


def _build_dates(texts: Column, zone: tzinfo | None) -> ArrowColumns:
    """Days as written; of an instant its day in the zone or, without one, the day it names."""
    try:
        return _refuse_outside(texts.cast(pa.date32()), _calendar_of_days())
    except pa.ArrowInvalid:
        pass
    # Where days come as instants, many rows share one spelling, so each is converted once.
    spellings = texts.dictionary_encode()
    parse = partial(parse_date, zone=zone)
    problem = "is not a date"
    days = convert_one_by_one(spellings.dictionary.to_pylist(), parse, problem, kind=pa.date32())
    wrong = pa.array([bad.row for bad in days.bad_values], pa.int32())
    is_wrong = pc.is_in(spellings.indices, value_set=wrong)
    bad_values = tuple(
        BadValue(row, describe_shape(problem, texts[row].as_py()))
        for row in pc.indices_nonzero(is_wrong).to_pylist()
    )
    return ArrowColumns((days.arrays[0].take(spellings.indices),), bad_values)


# Not constants: pyarrow imports pandas to look at a Python value, and most tasks need none.
@cache
def _calendar_of_instants() -> tuple[Any, Any]:
    """The first and the last instant that Python, PostgreSQL and SQLite's texts all know, UTC."""
    kind = pa.timestamp("us", tz="UTC")
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    return pa.scalar(datetime(1, 1, 1, tzinfo=UTC), kind), pa.scalar(last, kind)


@cache
def _calendar_of_days() -> tuple[Any, Any]:
    """Likewise, of days."""
    return pa.scalar(date.min, pa.date32()), pa.scalar(date.max, pa.date32())


def _refuse_outside(
    built: pa.Array[Any], calendar: tuple[pa.Scalar[Any], pa.Scalar[Any]]
) -> ArrowColumns:
    """The column, with the values outside the calendar as bad: no store has a year 0 or 10000."""
    first, last = calendar
    is_out = pc.or_(pc.less(built, first), pc.greater(built, last))
    if not pc.any(is_out).as_py():
        return ArrowColumns((built,))
    inside = pc.if_else(is_out, None, built)
    return ArrowColumns((inside,), bad_values_where(is_out, "is before the year 1 or after 9999"))


_BUILDERS: Final[Mapping[Kind, Callable[[Column], ArrowColumns]]] = {
    Kind.TEXT: _take_as_it_is,
    Kind.INTEGER: _take_as_it_is,
    Kind.BOOLEAN: _take_as_it_is,
    Kind.DECIMAL: _build_money,
    Kind.MONEY: _build_money,
    Kind.DOUBLE: _take_as_it_is,
    Kind.INSTANT: _build_instants,
    Kind.LOCAL_TIME: _build_local_times,
    Kind.GUID: build_guids,
}
