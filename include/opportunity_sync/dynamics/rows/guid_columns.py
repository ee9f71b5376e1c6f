"""Columns of GUIDs: checked and lowered as one grid of bytes where all of them are good.

Dataverse writes every GUID with 36 characters, so the bytes of a column stand in rows of 36. One
pass over them costs a fraction of what a regular expression for each value would.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from opportunity_sync.dynamics.guids import is_guid
from opportunity_sync.dynamics.rows.arrow_columns import ArrowColumns, convert_one_by_one

_LENGTH: Final = 36
_DASHES: Final = (8, 13, 18, 23)
_DASH: Final = ord("-")
# Every byte to its lower case, those that no GUID has to zero.
_LOWER: Final = bytes(
    character if chr(character) in "0123456789abcdef-" else 0
    for character in bytes(range(256)).lower()
)


def build_guids(texts: pa.StringArray) -> ArrowColumns:
    """One column of GUIDs in lower case."""
    lowered = _lower_all(texts)
    if lowered is not None:
        return ArrowColumns((lowered,))
    return convert_one_by_one(texts.to_pylist(), _parse_guid, "is not a GUID")


def _lower_all(texts: pa.StringArray) -> pa.Array[Any] | None:
    """The column in lower case; None where one of its values is no GUID."""
    count = len(texts) - texts.null_count
    validity, offsets, data = texts.buffers()
    if offsets is None or data is None or count == 0:
        return texts if count == 0 else None
    lengths = np.diff(np.frombuffer(memoryview(offsets), np.int32, len(texts) + 1))
    size = int(lengths.sum())
    if size != count * _LENGTH or int(np.max(lengths)) != _LENGTH:
        return None
    lowered = bytes(memoryview(data)[:size]).translate(_LOWER)
    dashed = np.frombuffer(lowered, np.uint8).reshape(count, _LENGTH)[:, _DASHES]
    has_only_digits = b"\0" not in lowered and lowered.count(b"-") == count * len(_DASHES)
    if not (has_only_digits and (dashed == _DASH).all()):
        return None
    buffers = [validity, offsets, pa.py_buffer(lowered)]
    return pa.Array.from_buffers(pa.string(), len(texts), buffers, texts.null_count)


def _parse_guid(text: str) -> str:
    lowered = text.lower()
    if not is_guid(lowered):
        raise ValueError
    return lowered
