"""Makes texts of other systems fit to be shown: one short visible line, without any secret.

Services echo what they were sent: as it was, encoded for a URL, as JSON or in base64, broken over
lines, or only in part. So every run of eight characters that is part of a secret is taken out. A
secret too short for that could be part of any word, and counts only where it stands alone.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

from opportunity_sync.errors import visible_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LONGEST_LOOKED_AT: Final = 20_000
_LONGEST_MESSAGE: Final = 400
_RUN: Final = 8
_SHORT: Final = 6
_TOKEN: Final = re.compile(
    r"(?i)\bBearer\s+\S+|\bBasic\s+[\w+/-]{16,}=*|\beyJ[\w-]+\.[\w-]+\.[\w-]*|_token=[^&\s\"]+"
)
_ARMOUR: Final = re.compile(r"-----[^-]*-----")  # the first and the last line of a PEM text
_OFFSETS: Final = ((0, 0), (1, 2), (2, 3))  # bytes before it, and base64 characters they touch


def wipe_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """The text in one visible line of bounded length, without anything of the secrets."""
    text = text[:_LONGEST_LOOKED_AT]
    for secret in secrets:
        without = _wipe_word if len(secret) < _SHORT else _wipe_runs
        text = without(text, secret)
    text = _TOKEN.sub("***", visible_text(text))
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}..."


def _wipe_word(text: str, secret: str) -> str:
    return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text) if secret else text


def _wipe_runs(text: str, secret: str) -> str:
    runs = {run for spelling in _spellings_of(secret) for run in _runs_of(_compact_text(spelling))}
    if not runs:
        return text
    places = [place for place, character in enumerate(text) if _is_compared(character)]
    compact = _compact_text(text)
    is_secret = bytearray(len(text))
    for length in {len(run) for run in runs}:
        for start in range(len(compact) - length + 1):
            if compact[start : start + length] in runs:
                first, last = places[start], places[start + length - 1]
                is_secret[first : last + 1] = b"\1" * (last + 1 - first)
    shown = "".join("\0" if is_secret[place] else text[place] for place in range(len(text)))
    return re.sub("\0+", "***", shown)


def _runs_of(spelling: str) -> Iterator[str]:
    length = min(_RUN, len(spelling))
    if length >= _SHORT:
        for start in range(len(spelling) - length + 1):
            yield spelling[start : start + length]


def _compact_text(text: str) -> str:
    """Without what a line break, a bidi mark or another case could hide it by."""
    return "".join(map(_fold_case, filter(_is_compared, text)))


def _fold_case(character: str) -> str:
    folded = character.casefold()
    return folded if len(folded) == 1 else character  # each stays at its place


def _is_compared(character: str) -> bool:
    return character.isprintable() and not character.isspace()


def _spellings_of(secret: str) -> Iterator[str]:
    bare = _ARMOUR.sub("", secret)
    yield bare
    yield from (quote(bare, safe=""), quote_plus(bare), quote(bare))
    for is_ascii in (True, False):
        escaped = json.dumps(bare, ensure_ascii=is_ascii)[1:-1]
        yield from (escaped, escaped.replace("/", "\\/"))
    yield html.escape(bare)
    for before, touched in _OFFSETS:
        encoded = b64encode(b"\0" * before + bare.encode("utf-8", "replace")).decode()
        encoded = encoded.rstrip("=")[touched:-1]
        yield from (encoded, encoded.replace("+", "-").replace("/", "_"))
