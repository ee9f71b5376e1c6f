"""A row's value as a column of another type would give it.

Dataverse makes a retyped column anew; here its values are made to fit, so that the column can
change its type back and forth under the same rows.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dynamics_sandbox.schema.attribute import Attribute

_SOME_DAY: Final = "2026-01-01"


def fit_value(attribute: Attribute, value: Any) -> Any:
    """The value as this column would have it; null stays null."""
    if value is None:
        return None
    if attribute.type == "DateTime":
        return _time(value, is_date=attribute.is_date)
    return _MAKERS.get(attribute.type, str)(value)


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float | Decimal) else len(str(value))


def _time(value: Any, *, is_date: bool) -> str:
    text = value if isinstance(value, str) and value[4:5] == "-" else _SOME_DAY
    day = text[: len(_SOME_DAY)]
    if is_date:
        return day
    return text if "T" in text else f"{day}T00:00:00Z"


_MAKERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "Boolean": bool,
    **dict.fromkeys(("Integer", "BigInt", "Picklist", "State", "Status"), _number),
    "MultiSelectPicklist": lambda value: str(_number(value)),
    "Money": lambda value: Decimal(_number(value)),
    "Decimal": lambda value: Decimal(_number(value)),
    "Double": lambda value: float(_number(value)),
}
