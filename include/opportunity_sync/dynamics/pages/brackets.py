"""JSON told apart by commas and brackets alone, where some value in it is no JSON.

A row with a `NaN` stops every parser, and its neighbours are good. The brackets, outside of texts,
still tell where one row ends and the next begins.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN: Final = re.compile(
    rb'\s+|"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s\[\]{},:"]+',
    re.DOTALL,
)
_CLOSING: Final = {b"{": b"}", b"[": b"]"}
_CLOSERS: Final = frozenset(_CLOSING.values())
_NAME: Final = re.compile(rb'\s*("[^"\\]*(?:\\.[^"\\]*)*")\s*:\s*', re.DOTALL)


def split_members(text: bytes) -> list[tuple[str, bytes]]:
    """Name and value, to the byte, of each member of an object whose values may be no JSON.

    Raises:
        ValueError: it is no object, or its brackets do not match.
    """
    if not text.lstrip().startswith(b"{"):
        raise ValueError("it is no object")
    found = []
    for part in split_parts(text):
        name = _NAME.match(part)
        if name is None:
            raise ValueError("a member has no name")
        found.append((str(json.loads(name[1])), part[name.end() :].rstrip()))
    return found


def split_parts(text: bytes) -> list[bytes]:
    """What the outermost brackets hold, told apart by commas and brackets alone.

    Raises:
        ValueError: the brackets do not match, or something stands between or behind the parts.
    """
    awaited: list[bytes] = []
    parts: list[bytes] = []
    start, is_closed = 0, False
    for at, mark in _find_tokens(text):
        if is_closed and mark not in {b",", *awaited[-1:]}:
            _refuse_shape()
        _match_bracket(awaited, mark)
        if mark in _CLOSING and len(awaited) == 1:
            start = at + 1
        is_closed = len(awaited) <= 1 and mark in _CLOSERS
        if not awaited or (mark == b"," and len(awaited) == 1):
            parts.append(text[start:at].strip())
            start = at + 1
    if awaited:
        _refuse_shape()
    return _drop_only_blank(parts)


def split_rows(text: bytes) -> list[bytes]:
    """The rows of an array, each to the byte; a row need not be JSON.

    Raises:
        ValueError: as `split_parts`, or two rows ran into each other.
    """
    rows = split_parts(text)
    # No row but an object has a brace in it, unless something ran into it.
    if any(b"{" in row and not row.startswith(b"{") for row in rows):
        _refuse_shape()
    return rows


def _find_tokens(text: bytes) -> Iterator[tuple[int, bytes]]:
    """Where each token starts, and the token; only blanks are left out."""
    end = 0
    for token in _TOKEN.finditer(text):
        if token.start() != end:
            _refuse_shape()
        end = token.end()
        if not token[0].isspace():
            yield token.start(), token[0]
    if end != len(text) or end == 0:
        _refuse_shape()


def _match_bracket(awaited: list[bytes], mark: bytes) -> None:
    """Keep in `awaited` the closing brackets that have yet to come, the innermost last."""
    if mark in _CLOSING:
        awaited.append(_CLOSING[mark])
    elif awaited and mark == awaited[-1]:
        awaited.pop()
    elif mark in _CLOSERS or not awaited:
        _refuse_shape()


def _drop_only_blank(parts: list[bytes]) -> list[bytes]:
    if parts == [b""]:
        return []
    if b"" in parts:
        _refuse_shape()
    return parts


def _refuse_shape() -> NoReturn:
    raise ValueError("its brackets do not match")
