"""No spelling of a secret survives, and what is left of a foreign text is one visible line."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest

from opportunity_sync.errors import ConfigError, DataError, Request, TransientError, visible_text
from opportunity_sync.http.wiping import wipe_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

SECRETS = [
    "Qx8~w.3Vn_zP5-kRt7LmY2bHc9",
    'a"b\\c/d&e<f>g+h i=j%k',
    "pässwörd-ñandú-東京",
    "line one\nline two of it",
    "sixsix",
]


def as_basic(secret: str) -> str:
    """What HTTP's Basic scheme sends."""
    return "Basic " + base64.b64encode(f"client-id:{secret}".encode()).decode()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "for a URL": lambda secret: quote(secret, safe=""),
    "for a URL in lower case": lambda secret: quote(secret, safe="").lower(),
    "for a form": quote_plus,
    "as JSON": json.dumps,
    "as JSON with slashes": lambda secret: json.dumps(secret).replace("/", "\\/"),
    "as JSON of all characters": lambda secret: json.dumps(secret, ensure_ascii=False),
    "as HTML": html.escape,
    "in base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "in base64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "in base64 behind one byte": lambda secret: base64.b64encode(f"x{secret}".encode()).decode(),
    "as Basic": as_basic,
    "over two lines": lambda secret: f"{secret[:3]}\r\n  {secret[3:]}",
    "with marks of no width": "\u200b".join,
    "with blanks": " ".join,
}


@pytest.mark.parametrize("secret", SECRETS, ids=repr)
@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_no_spelling_of_a_secret_is_shown(secret: str, spell: Callable[[str], str]) -> None:
    """Whoever echoes it, and however: not even half of it is left, and the rest stays."""
    text = wipe_secrets(f"Refused: ({spell(secret)}); please try another.", [secret])
    folded = "".join(text.split()).lower()
    bare = "".join(secret.split()).lower()
    half = max(4, len(bare) // 2)
    spelt = "".join(visible_text(spell(secret)).split()).lower()
    assert "***" in text
    assert not [at for at in range(len(bare) - half + 1) if bare[at : at + half] in folded]
    assert spelt not in folded
    assert text.startswith("Refused: (")
    assert text.endswith("please try another.")


@pytest.mark.parametrize("part", [slice(0, 12), slice(5, 15), slice(-10, None)], ids=str)
def test_a_part_of_a_secret_is_not_shown_either(part: slice) -> None:
    """Services cut what they echo."""
    echo = SECRETS[0][part]
    assert echo not in wipe_secrets(f"Invalid secret '{echo}...'", [SECRETS[0]])


def test_the_lines_of_a_key_are_wiped_one_by_one() -> None:
    """But not the words of its first line, which say what it is."""
    lines = ["-----BEGIN PRIVATE KEY-----", "MIIabcdefghijk", "lmnopqrstuvw", "-----END KEY-----"]
    text = wipe_secrets(f"No private key begins with {lines[1]} nor {lines[2]}", ["\n".join(lines)])
    assert text == "No private key begins with *** nor ***"


@pytest.mark.parametrize("secret", ["x", "a1", "", "e", "pass"])
def test_a_short_secret_garbles_no_word(secret: str) -> None:
    """It is wiped where it stands alone."""
    text = "An example: expected values, a1b2 and passwords, next to axes"
    assert wipe_secrets(text, [secret]) == text
    assert wipe_secrets("the secret was 'x'.", ["x"]) == "the secret was '***'."


@pytest.mark.parametrize(
    "token",
    ["Bearer abc.def", "eyJhbGciOi.eyJzdWIi.c2ln", "access_token=pqr", "Basic QWxhZGRpbjpvcGVuIHN"],
)
def test_what_looks_like_a_token_is_wiped(token: str) -> None:
    """Also one that is not ours; a word that begins alike stays."""
    assert wipe_secrets(f"got {token} here") in {"got *** here", "got access*** here"}
    assert wipe_secrets("Basic authentication is off") == "Basic authentication is off"


FOREIGN = "a\r\n2026-01-01 ERROR\x1b[31m\u202eevil\u2066 \x00\x9b\u200b\ufeffb\u2028c\ud800d"


@pytest.mark.parametrize(
    "text",
    [
        wipe_secrets(FOREIGN),
        visible_text(FOREIGN),
        str(ConfigError(FOREIGN, next_step=FOREIGN)),
        str(TransientError(FOREIGN, request=Request(FOREIGN, FOREIGN, 400, FOREIGN, FOREIGN))),
        str(DataError(FOREIGN, entity="contact", record_id=FOREIGN, field=FOREIGN)),
        ConfigError(FOREIGN, next_step=FOREIGN).problem,
        ConfigError(FOREIGN, next_step=FOREIGN).next_step,
    ],
    ids=range(7),
)
def test_only_visible_characters_of_foreign_texts_are_shown(text: str) -> None:
    """No line is forged, no terminal is told anything, nothing reads backwards."""
    assert text.isprintable()
    assert "evil" in text


def test_a_visible_text_stays_as_it_is() -> None:
    """In any language."""
    assert visible_text("Ünïcode, 東京 and 🙂 stay") == "Ünïcode, 東京 and 🙂 stay"


def test_a_text_without_end_is_cut() -> None:
    """A stack trace belongs into the log of who wrote it."""
    assert len(wipe_secrets("x" * 10_000_000, SECRETS)) < 500
