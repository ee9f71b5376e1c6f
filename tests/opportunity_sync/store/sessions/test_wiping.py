"""Foreign text is cleaned before anybody reads it."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

import pytest

from opportunity_sync.store.sessions.wiping import wipe_secret, wipe_values

SECRET = "p@ss wörd/'\"\\+"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET),
        repr(SECRET),
        SECRET.replace("\\", "\\\\").replace("'", "\\'"),
    ],
)
def test_a_secret_is_wiped_however_it_is_written(form: str) -> None:
    """Libraries quote what they are given in their own ways."""
    wiped = wipe_secret(f"user=u password={form} host=h", SECRET)
    assert "***" in wiped
    for piece in ("p@ss", "p%40ss", "ss w", "rd/"):
        assert piece not in wiped


def test_a_short_secret_garbles_no_word() -> None:
    """Where it stands by itself it is wiped all the same."""
    assert wipe_secret("extra password=x x@host", "x") == "extra password=*** ***@host"


def test_only_visible_characters_are_passed_on() -> None:
    """Nothing that turns or hides the text around it, or ends the line."""
    assert wipe_secret("a\u202eb\x1b[31mc\u200bd\ne\u2066", None) == "ab[31mcde"


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ('invalid input syntax for type integer: "Erika"', "invalid input syntax for type integer"),
        ('value "99999" is out of range for type integer',
         "value (a value) is out of range for type integer"),
        ('date/time field value out of range: "2020-13-45"', "date/time field value out of range"),
        ("valeur « Erika » invalide", "valeur (a value) invalide"),
        ("Syntax f\u00fcr Typ integer: \u201eErika\u201c", "Syntax f\u00fcr Typ integer"),
        ("value too long for type character varying(3)",
         "value too long for type character varying(3)"),
        ('malformed "Erika', "malformed (a value)"),
    ],
)  # fmt: skip
def test_a_value_is_cut_out_of_a_sentence(sentence: str, expected: str) -> None:
    """In whatever language the database speaks."""
    assert expected == wipe_values(sentence)
