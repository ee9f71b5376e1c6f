"""A row's value as a column of another type, or a mask over it, would give it.

Dataverse makes a retyped column anew; here its values are made to fit, so that the column can
change its type back and forth under the same rows.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dynamics_sandbox.schema.attribute import Attribute

MASK = "***"
_SOME_DAY = "2026-01-01"


def masked(value: Any) -> str | None:
    """A text with little left of it; of other values nothing."""
    return f"{value[:1]}{MASK}" if isinstance(value, str) else None


def fitted(attribute: Attribute, value: Any) -> Any:
    """The value as this column would have it; null stays null."""
    if value is None:
        return None
    if attribute.type == "DateTime":
        return _time(value, date_only=attribute.date_only)
    return _MAKERS.get(attribute.type, str)(value)


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float | Decimal) else len(str(value))


def _time(value: Any, *, date_only: bool) -> str:
    text = value if isinstance(value, str) and value[4:5] == "-" else _SOME_DAY
    day = text[: len(_SOME_DAY)]
    if date_only:
        return day
    return text if "T" in text else f"{day}T00:00:00Z"


_MAKERS: Mapping[str, Callable[[Any], Any]] = {
    "Boolean": bool,
    "Integer": _number,
    "BigInt": _number,
    "Picklist": _number,
    "State": _number,
    "Status": _number,
    "Money": lambda value: Decimal(_number(value)),
    "Decimal": lambda value: Decimal(_number(value)),
    "Double": lambda value: float(_number(value)),
}
