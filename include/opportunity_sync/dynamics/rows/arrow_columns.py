"""The Arrow columns of one field, and beside them the values that are no good.

Whole columns are checked and converted at once, which is fast. Only where that fails are the values
looked at one by one, so that a single malformed date or GUID costs its own row and not the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from opportunity_sync.model import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ARROW_TYPES: Final[Mapping[Kind, pa.DataType]] = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.DECIMAL: pa.string(),
    Kind.MONEY: pa.string(),
    Kind.DOUBLE: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.INSTANT: pa.timestamp("us", tz="UTC"),
    Kind.LOCAL_TIME: pa.timestamp("us"),
    Kind.DATE: pa.date32(),
    Kind.GUID: pa.string(),
}


@dataclass(frozen=True, slots=True)
class BadValue:
    """One bad value: its row in the page, and its shape (never the value itself)."""

    row: int
    problem: str


@dataclass(frozen=True, slots=True)
class ArrowColumns:
    """The columns that one field becomes; a bad value is null in them."""

    arrays: tuple[pa.Array[Any], ...]
    bad_values: tuple[BadValue, ...] = ()


def convert_one_by_one(
    values: Sequence[str | None],
    parse: Callable[[str], Any],
    problem: str,
    *,
    kind: pa.DataType | None = None,
) -> ArrowColumns:
    """One column of what `parse` makes of each value; where it raises `ValueError`, a bad value."""
    good: list[Any] = []
    bad_values = []
    for row, text in enumerate(values):
        try:
            good.append(None if text is None else parse(text))
        except (ValueError, ArithmeticError):
            good.append(None)
            bad_values.append(BadValue(row, describe_shape(problem, text)))
    return ArrowColumns((pa.array(good, kind or pa.string()),), tuple(bad_values))


def describe_shape(problem: str, text: str | None) -> str:
    """The problem, and of the value no more than its length."""
    return f"{problem} (a text of {len(text or '')} characters)"


def bad_values_where(is_bad: pa.Array[Any], problem: str) -> tuple[BadValue, ...]:
    """One bad value for each row in which the column of booleans is true."""
    return tuple(BadValue(row, problem) for row in pc.indices_nonzero(is_bad).to_pylist())


def has_nul(table: pa.Table) -> bool:
    """Whether a text has U+0000: one look at the columns' bytes, far cheaper than at the JSON."""
    chunks = (
        chunk for column in table.columns if column.type == pa.string() for chunk in column.chunks
    )
    buffers = (chunk.buffers()[2] for chunk in chunks)
    return any(buffer is not None and b"\0" in buffer.to_pybytes() for buffer in buffers)
