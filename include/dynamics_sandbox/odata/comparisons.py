"""Comparisons of a `$filter`: a property with a literal, or with another property of the row.

A type mismatch is a 400. Null equals null only, is unequal to everything else, and is never less
or greater. Beside its test a comparison gives the conditions that an index can use.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from odata_query import ast

from dynamics_sandbox.odata.dataverse_error import bad_query
from dynamics_sandbox.odata.literals import Kind, literal_value
from dynamics_sandbox.organisation.row_store import sort_key

Test = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Operand:
    """A property as a filter sees it: how to read it from a row, its kind, and its own name."""

    read: Callable[[Any], Any]
    kind: Kind
    column: str | None = None  # set where it is a column of the row itself


@dataclass(slots=True)
class Filter:
    """A predicate, and conditions that every row passing it must meet, for an index."""

    test: Test
    values: dict[str, Sequence[Any]] = field(default_factory=dict)  # column is one of
    bounds: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # first <= column <= last
    by_clock: bool = False


_COMPARE: Mapping[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_OPERATOR_NAMES: Mapping[type, str] = {
    ast.Eq: "Equal", ast.NotEq: "NotEqual", ast.Lt: "LessThan", ast.LtE: "LessThanOrEqual",
    ast.Gt: "GreaterThan", ast.GtE: "GreaterThanOrEqual",
}  # fmt: skip


def compare_columns(kind: type, left: Operand, right: Operand) -> Filter:
    if left.kind is not right.kind:
        raise _mismatch(kind, left.kind, right.kind)
    return Filter(_pair_test(kind, left.read, right.read))


def compare_value(kind: type, operand: Operand, node: Any) -> Filter:
    """A property against a literal."""
    value = literal_value(node, operand.kind)
    if value is None and not isinstance(node, ast.Null):
        raise _mismatch(kind, operand.kind, type(node).__name__)
    read = operand.read
    if operand.kind is Kind.GUID and kind in _COMPARE and value is not None:
        read, value = _in_guid_order(read), sort_key(value)
    made = Filter(_pair_test(kind, read, lambda _row: value))
    if operand.column and value is not None:
        if kind is ast.Eq and operand.kind is not Kind.TEXT:
            made.values[operand.column] = [value]
        elif operand.kind is Kind.INSTANT:
            low, high = ("", value) if kind in {ast.Lt, ast.LtE} else (value, "9999")
            made.bounds = {} if kind is ast.NotEq else {operand.column: (low, high)}
    return made


def _in_guid_order(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda row: None if (value := read(row)) is None else sort_key(value)


def _mismatch(kind: type, left: str, right: str) -> Exception:
    return bad_query(
        "A binary operator with incompatible types was detected. "
        f"Found operand types '{left}' and '{right}' for operator kind '{_OPERATOR_NAMES[kind]}'."
    )


def _pair_test(kind: type, left: Callable[[Any], Any], right: Callable[[Any], Any]) -> Test:
    if kind is ast.Eq:
        return lambda row: bool(left(row) == right(row))
    if kind is ast.NotEq:
        return lambda row: bool(left(row) != right(row))
    compare = _COMPARE[kind]

    def is_ordered(row: Any) -> bool:
        first, second = left(row), right(row)
        return first is not None and second is not None and compare(first, second)

    return is_ordered
