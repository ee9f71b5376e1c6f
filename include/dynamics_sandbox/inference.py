"""Which attribute a column of an export must be, judged by its name and values.

An export holds rows but no metadata, and organisations add columns and choice values of their
own. A column unknown to the standard tables gets the type its values show; a standard one is
widened where the rows hold more than it allows (a custom status reason, another target table), so
that metadata and rows never contradict each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dynamics_sandbox import choices
from dynamics_sandbox.schema import Attribute

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_FIRST_CUSTOM_OPTION = 100_000_000
_LONGEST_STRING = 400

_ACCEPTED: Mapping[str, tuple[type, ...]] = {
    "Boolean": (bool,),
    "Money": (int, Decimal),
    "Decimal": (int, Decimal),
    "Double": (int, Decimal),
    **dict.fromkeys(("Integer", "BigInt", "Picklist", "State", "Status"), (int,)),
}


class ColumnError(ValueError):
    """A column's values fit no type, or not the type of the standard column."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What an export shows of one column: its property name, values other than null, and notes."""

    property_name: str
    values: Collection[Any]
    targets: frozenset[str] = frozenset()
    labels: Mapping[int, str] | None = None
    has_base_twin: bool = False


def is_guid(value: object) -> bool:
    return isinstance(value, str) and _GUID.fullmatch(value) is not None


def attribute_for(observed: Observed, standard: Attribute | None) -> Attribute:
    """The standard column widened to the values, or a new one made from them."""
    attribute = standard or _inferred(observed)
    _check(attribute, observed)
    if attribute.options is not None and attribute.type != "Boolean":
        return replace(attribute, options=_with_labels(attribute, observed))
    if attribute.is_lookup:
        extra = sorted(observed.targets.difference(attribute.targets))
        return replace(attribute, targets=(*attribute.targets, *extra))
    if attribute.type == "DateTime" and observed.values:
        return replace(attribute, date_only=_all_match(_DATE, observed.values))
    if attribute.max_length is not None:
        longest = max(map(len, observed.values), default=0)
        return replace(attribute, max_length=max(attribute.max_length, longest))
    return attribute


def _inferred(observed: Observed) -> Attribute:
    name = observed.property_name
    if name.startswith("_") and name.endswith("_value"):
        return Attribute(name.removeprefix("_").removesuffix("_value"), "Lookup")
    kinds = {type(value) for value in observed.values}
    if kinds == {bool}:
        return Attribute(name, "Boolean", options=choices.YES_NO)
    if observed.has_base_twin or name.endswith("_base"):
        return Attribute(name, "Money", precision=4)
    if kinds and kinds <= {int, Decimal}:
        return _number(observed, is_whole=kinds == {int})
    if kinds <= {str}:
        return _text(observed)
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise ColumnError(f"column {name} mixes values of the types {found}; give it one type.")


def _number(observed: Observed, *, is_whole: bool) -> Attribute:
    name = observed.property_name
    if not is_whole:
        return Attribute(name, "Double", precision=5)
    is_custom = any(value >= _FIRST_CUSTOM_OPTION for value in observed.values)
    if observed.labels or name.endswith("code") or is_custom:
        return Attribute(name, "Picklist", options={})
    return Attribute(name, "Integer")


def _text(observed: Observed) -> Attribute:
    name, values = observed.property_name, observed.values
    if values and _all_match(_GUID, values):
        return Attribute(name, "Uniqueidentifier")
    if values and (_all_match(_DATE, values) or _all_match(_INSTANT, values)):
        return Attribute(name, "DateTime")
    is_memo = any(len(value) > _LONGEST_STRING or "\n" in value for value in values)
    return Attribute(name, "Memo" if is_memo else "String", max_length=2000 if is_memo else 100)


def _all_match(pattern: re.Pattern[str], values: Collection[Any]) -> bool:
    return all(isinstance(value, str) and pattern.fullmatch(value) for value in values)


def _with_labels(attribute: Attribute, observed: Observed) -> Mapping[int, str]:
    """The options with those that the rows use besides, labelled as the export shows them."""
    known, seen = dict(attribute.options or {}), dict(observed.labels or {})
    for value in sorted(set(observed.values)):
        known.setdefault(value, seen.get(value, f"{attribute.name} {value}"))
    return known


def _check(attribute: Attribute, observed: Observed) -> None:
    accepted = _ACCEPTED.get(attribute.type, (str,))
    for value in observed.values:
        if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
            raise ColumnError(
                f"column {observed.property_name} is {attribute.type} but holds {value!r}; "
                "correct the value."
            )
    if attribute.type == "DateTime" and not (
        _all_match(_DATE, observed.values) or _all_match(_INSTANT, observed.values)
    ):
        raise ColumnError(
            f"column {attribute.name} must hold either only dates (2026-02-03) or only times "
            "(2026-02-03T04:05:06Z); correct the values."
        )
