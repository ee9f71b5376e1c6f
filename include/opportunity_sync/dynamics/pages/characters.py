"""Characters that no store can take: U+0000, halves of surrogate pairs, broken UTF-8.

PostgreSQL refuses the first, UTF-8 has no form for the second, and the JSON decoder stops at all
of them. But they spoil one text and not the page. So each becomes U+FFFD, the replacement
character, and is counted. Only a page that holds one of them is rewritten.
"""

from __future__ import annotations

import re
from typing import Final

_SUSPECT: Final = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_HIGH: Final = rb"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW: Final = rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
# A backslash counts only after an even number of others: `\\u0000` is text about an escape.
_ESCAPE: Final = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:(" + _HIGH + _LOW + rb")|\\u0000|" + _HIGH + b"|" + _LOW + b")"
)
_BARE_HALF: Final = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}".encode()
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def replace_escapes(body: bytes) -> tuple[bytes, int]:
    """The JSON text with every escape of such a character replaced, and how many there were."""
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


def replace_unstorable(body: bytes) -> tuple[bytes, int]:
    """The JSON text without such characters, escaped or as bytes, and how many there were.

    As bytes they are U+0000, halves written as if UTF-8 had a form for them, and whatever else is
    no UTF-8. A byte order mark before the text is taken off and not counted.
    """
    text, escapes = replace_escapes(body.removeprefix(_BYTE_ORDER_MARK))
    text, halves = _BARE_HALF.subn(_REPLACEMENT, text)
    text, wrong = _replace_wrong_utf8(text)
    nuls = text.count(b"\0")
    return text.replace(b"\0", _REPLACEMENT), escapes + halves + wrong + nuls


def _replace_wrong_utf8(text: bytes) -> tuple[bytes, int]:
    try:
        text.decode()
    except UnicodeDecodeError:
        was = text.decode(errors="ignore").count("\N{REPLACEMENT CHARACTER}")
        mended = text.decode(errors="replace")
        return mended.encode(), mended.count("\N{REPLACEMENT CHARACTER}") - was
    return text, 0
