"""Which attribute a column of an export must be, judged by its name and values.

An export holds rows but no metadata, and organisations add columns and choice values of their
own. A column unknown to the standard tables gets the type its values show; a standard one is
widened where the rows hold more than it allows (a custom status reason, another target table), so
that metadata and rows never contradict each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.exports.export_files import guid_of
from dynamics_sandbox.exports.written_values import DATE, INSTANT, as_boolean, as_number, is_whole
from dynamics_sandbox.schema import choices
from dynamics_sandbox.schema.attribute import Attribute, Behaviour
from dynamics_sandbox.schema.custom_columns import MARKETO_COLUMNS, SYNC_FILTER

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Mapping

_FIRST_CUSTOM_OPTION = 100_000_000
_LONGEST_STRING = 400
_KNOWN = {attribute.property_name: attribute for attribute in (SYNC_FILTER, *MARKETO_COLUMNS)}


@dataclass(frozen=True, slots=True)
class Observed:
    """What an export shows of one column: its property name, values other than null, and notes."""

    property_name: str
    values: Collection[Any]
    targets: frozenset[str] = frozenset()
    labels: Mapping[int, str] = field(default_factory=dict)
    has_base_twin: bool = False


def infer_attribute(observed: Observed) -> Attribute:
    """A column that no standard table has, from its name and its values as they are written.

    Those that many organisations have in common are of one type, whatever their values look like.
    """
    name, values = observed.property_name, observed.values
    if name in _KNOWN:
        return _KNOWN[name]
    if name.startswith("_") and name.endswith("_value"):
        return Attribute(name.removeprefix("_").removesuffix("_value"), "Lookup")
    kinds = {type(value) for value in values}
    if bool in kinds and all(as_boolean(value) is not None for value in values):
        return Attribute(name, "Boolean", options=choices.YES_NO)
    if observed.has_base_twin or name.endswith("_base"):
        return Attribute(name, "Money", precision=4)
    if kinds & {int, Decimal} and all(as_number(value) is not None for value in values):
        return _number(observed, has_no_decimals=kinds <= {int, str})
    return _text(observed)


def widen_attribute(attribute: Attribute, observed: Observed) -> Attribute:
    """The column as these values need it; they are of its type by now."""
    if attribute.options is not None:
        return replace(attribute, options=_with_labels(attribute, observed))
    if attribute.is_lookup:
        extra = sorted(observed.targets.difference(attribute.targets))
        return replace(attribute, targets=(*attribute.targets, *extra))
    if attribute.max_length is not None:
        longest = max((len(value) for value in observed.values), default=0)
        return replace(attribute, max_length=max(attribute.max_length, longest))
    return attribute


def _number(observed: Observed, *, has_no_decimals: bool) -> Attribute:
    name = observed.property_name
    numbers = [as_number(value) or Decimal(0) for value in observed.values]
    if not has_no_decimals or not all(map(is_whole, numbers)):
        return Attribute(name, "Double", precision=5)
    is_custom = any(number >= _FIRST_CUSTOM_OPTION for number in numbers)
    if observed.labels or name.endswith("code") or is_custom:
        return Attribute(name, "Picklist", options={})
    return Attribute(name, "Integer")


def _text(observed: Observed) -> Attribute:
    name, values = observed.property_name, observed.values
    if values and all(guid_of(value) for value in values):
        return Attribute(name, "Uniqueidentifier")
    if values and (is_all(DATE, values) or is_all(INSTANT, values)):
        behaviour = Behaviour.DATE_ONLY if is_all(DATE, values) else Behaviour.USER_LOCAL
        return Attribute(name, "DateTime", behaviour=behaviour)
    texts = [value for value in values if isinstance(value, str)]
    is_memo = any(len(text) > _LONGEST_STRING or "\n" in text for text in texts)
    return Attribute(name, "Memo" if is_memo else "String", max_length=2000 if is_memo else 100)


def is_all(pattern: re.Pattern[str], values: Collection[Any]) -> bool:
    """Whether every value is a text of this form."""
    return all(isinstance(value, str) and pattern.fullmatch(value) for value in values)


def _with_labels(attribute: Attribute, observed: Observed) -> Mapping[int, str]:
    """The options and those that the rows use besides, labelled as the rows show them.

    A row's own label wins: it is what the organisation calls the option, in its language.
    """
    known = {**(attribute.options or {}), **observed.labels}
    if attribute.type != "Boolean":
        for value in sorted(set(observed.values)):
            known.setdefault(value, f"{attribute.name} {value}")
    return known
