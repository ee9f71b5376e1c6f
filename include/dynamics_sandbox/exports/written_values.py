"""Values as people and their tools write them, to values as the Web API writes them.

Exports pass through spreadsheets, scripts and databases, each of which writes numbers as text,
`12.0` for 12, 0 for No, an empty text for null, a time with a zone of its own. What is certain is
converted. What is not is a fault of its row, and stays as it is written: the sync then meets it
as it would meet it in Dynamics, refuses that row and takes the others.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from dynamics_sandbox.exports.export_files import guid_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dynamics_sandbox.schema.attribute import Attribute

DATE = re.compile(r"\d{4}-\d\d-\d\d")
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)", re.ASCII)
MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]00:00(:00(\.0+)?)?(Z|[+-]00:?00)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d{1,3})?", re.ASCII)
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_LARGEST = 2**63
_MOST_DIGITS = 40


class ValueFaultError(ValueError):
    """A value that its column can't have; the message tells its form, never the value."""


def as_number(value: object) -> Decimal | None:
    """The number that a value is or is written for."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return Decimal(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        with suppress(InvalidOperation):
            return Decimal(value.strip())
    return None


def is_whole(number: Decimal) -> bool:
    """Whether a number has no decimals, of whatever size it is."""
    return number == number.to_integral_value()


def as_boolean(value: object) -> bool | None:
    """The Yes or No that a value is or is written for."""
    number = as_number(value)
    word = str(int(number)) if number in {0, 1} else str(value).strip().lower()
    return value if isinstance(value, bool) else _WORDS.get(word)


def convert_value(value: Any, attribute: Attribute) -> Any:
    """The value as the Web API writes it for this column; a `ValueFaultError` where it isn't."""
    if attribute.is_lookup:
        return _guid(value, attribute)
    convert: Callable[[Any, Attribute], Any] = _CONVERTERS.get(attribute.type, _text)
    return convert(value, attribute)


def as_served(value: Any) -> str:
    """A faulty value in a form that the server can hold, compare and write."""
    return str(value)


def _guid(value: Any, _attribute: Attribute) -> str:
    guid = guid_of(value)
    if guid is None:
        raise ValueFaultError(f"must be a GUID but holds {_form(value)}; correct it.")
    return guid


def _boolean(value: Any, _attribute: Attribute) -> bool:
    answer = as_boolean(value)
    if answer is None:
        raise ValueFaultError(f"holds {_form(value)}, neither true nor false; correct it.")
    return answer


def _whole_number(value: Any, attribute: Attribute) -> int:
    if type(value) is int and abs(value) < _LARGEST:
        return value
    number = as_number(value)
    if number is None or not is_whole(number):
        raise ValueFaultError(f"is {attribute.type} but holds {_form(value)}; correct it.")
    if not -_LARGEST <= number < _LARGEST:
        raise ValueFaultError("holds a number of more than 64 bits; correct it.")
    return int(number)


def _amount(value: Any, attribute: Attribute) -> Decimal:
    number = as_number(value)
    if number is None:
        raise ValueFaultError(f"is {attribute.type} but holds {_form(value)}; correct it.")
    if number and abs(number.adjusted()) > _MOST_DIGITS:
        raise ValueFaultError(f"holds a number of more than {_MOST_DIGITS} digits; correct it.")
    return number


def _double(value: Any, attribute: Attribute) -> Any:
    number = _amount(value, attribute)
    return value if isinstance(value, int) else number


def _text(value: Any, _attribute: Attribute) -> str:
    """Postal codes and phone numbers often lose their quotes."""
    if isinstance(value, bool):
        raise ValueFaultError("is a text but holds true or false; correct it.")
    if isinstance(value, Decimal) and abs(value.adjusted()) > _MOST_DIGITS:
        raise ValueFaultError(f"holds a number of more than {_MOST_DIGITS} digits; correct it.")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _moment(value: Any, attribute: Attribute) -> str:
    text = value.strip() if isinstance(value, str) else ""
    return _date(text, value) if attribute.is_date else _instant(text, value)


def _date(text: str, value: Any) -> str:
    midnight = MIDNIGHT.fullmatch(text)
    day = midnight[1] if midnight else text
    if DATE.fullmatch(day):
        with suppress(ValueError):
            return date.fromisoformat(day).isoformat()
    raise ValueFaultError(f"must be a date (2026-02-03) but holds {_form(value)}; correct it.")


def _instant(text: str, value: Any) -> str:
    full = f"{text}T00:00:00Z" if DATE.fullmatch(text) else text
    if INSTANT.fullmatch(full):
        with suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(full).astimezone(UTC)
            return moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"
    raise ValueFaultError(
        f"must be a time with its zone (2026-02-03T04:05:06Z) but holds {_form(value)}; correct it."
    )


def _form(value: object) -> str:
    """What a value looks like, without saying it."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a text"
    return "a whole number" if isinstance(value, int) else "a number with decimals"


_CONVERTERS: Final[Mapping[str, Callable[[Any, Attribute], Any]]] = {
    "Boolean": _boolean,
    "Money": _amount,
    "Decimal": _amount,
    "Double": _double,
    "DateTime": _moment,
    "Uniqueidentifier": _guid,
    **dict.fromkeys(("Integer", "BigInt", "Picklist", "State", "Status"), _whole_number),
}
