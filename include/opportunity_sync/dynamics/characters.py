"""Characters that JSON can carry and the stores cannot: U+0000 and halves of surrogate pairs.

PostgreSQL refuses the one, UTF-8 has no form for the other, and the JSON decoder stops at both
kinds of half. They become U+FFFD, the replacement character, and are counted. A page is only
rewritten when it holds one of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    import msgspec

Value = TypeVar("Value")

_SUSPECT: Final = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_HIGH: Final = rb"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW: Final = rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
# A backslash counts only after an even number of others: `\\u0000` is text about an escape.
_ESCAPE: Final = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:(" + _HIGH + _LOW + rb")|\\u0000|" + _HIGH + b"|" + _LOW + b")"
)
_BARE_HALF: Final = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}".encode()


def cleaned(body: bytes) -> tuple[bytes, int]:
    """The JSON text with every such escape replaced, and how many there were."""
    if _SUSPECT.search(body) is None:
        return body, 0
    replaced = 0

    def replacement(found: re.Match[bytes]) -> bytes:
        nonlocal replaced
        if found[2]:
            return found[0]
        replaced += 1
        return found[1] + rb"\ufffd"

    text = _ESCAPE.sub(replacement, body)
    return text, replaced


def without_unstorable(body: bytes) -> tuple[bytes, int]:
    """As `cleaned`, also for halves written as if UTF-8 had a form for them."""
    text, escapes = cleaned(body)
    text, halves = _BARE_HALF.subn(_REPLACEMENT, text)
    return text, escapes + halves


def decoded(decoder: msgspec.json.Decoder[Value], body: bytes) -> Value:
    """Decode, and only where that fails look for such characters and try again.

    Raises:
        ValueError: the text is not whole JSON of the decoder's shape.
    """
    try:
        return decoder.decode(body)
    except ValueError:
        text, replaced = without_unstorable(body)
        if replaced == 0:
            raise
    return decoder.decode(text)
