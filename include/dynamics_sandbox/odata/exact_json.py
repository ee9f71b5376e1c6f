"""JSON as Dataverse writes it: decimals keep their digits, any text can travel.

U+0000 and lone surrogates, which UTF-8 can't carry, become escapes.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import orjson


def to_json(body: Any) -> bytes:
    """JSON bytes with exact numbers; text that UTF-8 can't carry becomes escapes."""
    try:
        return orjson.dumps(body, default=_write_decimal)
    except orjson.JSONEncodeError:
        return orjson.dumps(_escape_texts(body), default=_write_decimal)


def _write_decimal(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}")
    raise TypeError(type(value).__name__)


def _escape_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _escape_texts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_escape_texts(item) for item in value]
    if isinstance(value, str) and not value.isascii():
        return orjson.Fragment(json.dumps(value))
    return value
