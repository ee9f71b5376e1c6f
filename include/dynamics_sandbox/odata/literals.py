"""Values of a filter on one scale: a literal and a column's value become comparable alike.

Text compares without case, GUIDs in lower case whether quoted or not, numbers as exact decimals,
instants as the wire's text in UTC (fractions of a second sort between two wire values).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from odata_query import ast

from dynamics_sandbox.odata.dataverse_error import bad_query

if TYPE_CHECKING:
    from dynamics_sandbox.schema.attribute import Attribute

_GUID = re.compile(r"\{?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?")


class Kind(StrEnum):
    """The type of an OData property, named as error messages name it."""

    TEXT = "Edm.String"
    NUMBER = "Edm.Decimal"
    BOOLEAN = "Edm.Boolean"
    GUID = "Edm.Guid"
    INSTANT = "Edm.DateTimeOffset"
    DATE = "Edm.Date"


def kind_of(attribute: Attribute) -> Kind:
    """The kind of an attribute's property."""
    edm = attribute.edm_type
    return Kind(edm) if edm in set(Kind) else Kind.NUMBER


def literal_value(node: Any, kind: Kind) -> Any:
    """A literal of the filter as a comparable value; nothing where its type does not fit."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = literal_value(node.operand, kind)
        return -inner if kind is Kind.NUMBER and inner is not None else None
    accepted = {
        Kind.TEXT: (ast.String,),
        Kind.NUMBER: (ast.Integer, ast.Float),
        Kind.BOOLEAN: (ast.Boolean,),
        Kind.GUID: (ast.GUID, ast.String),
        Kind.INSTANT: (ast.DateTime, ast.Date),
        Kind.DATE: (ast.Date,),
    }[kind]
    return comparable_value(node.val, kind) if isinstance(node, accepted) else None


def comparable_value(text: str, kind: Kind) -> Any:
    """The comparable form of a value written as text."""
    try:
        return _CONVERT[kind](text)
    except (ValueError, KeyError, InvalidOperation) as error:
        raise bad_query(f"The value '{text[:100]}' can't be converted to '{kind}'.") from error


def _guid(text: str) -> str:
    if not _GUID.fullmatch(text):
        raise ValueError(text)
    return text.strip("{}").lower()


def _boolean(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


def _instant(text: str) -> str:
    moment = datetime.fromisoformat(text)
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    wire = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{wire}~{moment.microsecond:06}" if moment.microsecond else wire


def _date(text: str) -> str:
    return date.fromisoformat(text[:10]).isoformat()


def _number(text: str) -> Decimal:
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError(text)
    return value


_CONVERT = {
    Kind.TEXT: str.casefold,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.GUID: _guid,
    Kind.INSTANT: _instant,
    Kind.DATE: _date,
}
