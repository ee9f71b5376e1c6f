"""The query functions of `Microsoft.Dynamics.CRM` that the sandbox knows.

Each entry makes a test of a column's value from the given values, the column's kind and the time.
The rest of the sixty or so functions is refused by name, never ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from dynamics_sandbox.odata.dataverse_error import bad_query
from dynamics_sandbox.odata.literals import Kind

ValueTest: TypeAlias = Callable[[Any], bool]
Maker: TypeAlias = Callable[[Sequence[Any], Kind, datetime], ValueTest]

_BOTH_ENDS = 2


def _in(values: Sequence[Any], _kind: Kind, _now: datetime) -> ValueTest:
    known = frozenset(values)
    return lambda value: value in known


def _not_in(values: Sequence[Any], _kind: Kind, _now: datetime) -> ValueTest:
    known = frozenset(values)
    return lambda value: value is not None and value not in known


def _between(values: Sequence[Any], _kind: Kind, _now: datetime) -> ValueTest:
    if len(values) != _BOTH_ENDS:
        raise bad_query("The function Between needs two values.")
    low, high = values
    return lambda value: value is not None and low <= value <= high


def _not_between(values: Sequence[Any], kind: Kind, now: datetime) -> ValueTest:
    inside = _between(values, kind, now)
    return lambda value: value is not None and not inside(value)


def _day(values: Sequence[Any]) -> str:
    if len(values) != 1:
        raise bad_query("The function needs one date.")
    return str(values[0])[:10]


def _on(values: Sequence[Any], _kind: Kind, _now: datetime) -> ValueTest:
    day = _day(values)
    return lambda value: value is not None and value[:10] == day


def _on_or_after(values: Sequence[Any], _kind: Kind, _now: datetime) -> ValueTest:
    day = _day(values)
    return lambda value: value is not None and value[:10] >= day


def _on_or_before(values: Sequence[Any], _kind: Kind, _now: datetime) -> ValueTest:
    day = _day(values)
    return lambda value: value is not None and value[:10] <= day


def _today(_values: Sequence[Any], kind: Kind, now: datetime) -> ValueTest:
    return _on([now.isoformat()], kind, now)


def _yesterday(_values: Sequence[Any], kind: Kind, now: datetime) -> ValueTest:
    return _on([(now - timedelta(days=1)).isoformat()], kind, now)


QUERY_FUNCTIONS: Mapping[str, Maker] = {
    "In": _in,
    "NotIn": _not_in,
    "Between": _between,
    "NotBetween": _not_between,
    "On": _on,
    "OnOrAfter": _on_or_after,
    "OnOrBefore": _on_or_before,
    "Today": _today,
    "Yesterday": _yesterday,
}
