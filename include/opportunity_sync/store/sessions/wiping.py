"""What must not be read in a log: passwords, values of rows, characters that hide or turn text.

Messages of databases are foreign text. They come into a task's log, into `sync_run` and before
the eyes of whoever may see Airflow, so they are cleaned once, where they are taken.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote, quote_plus

_SHORT = 6  # a secret that short can be part of a word by chance

_QUOTED = re.compile(r"\"[^\"]*\"?|'[^']*'?|«[^»]*»?|»[^«]*«?|„[^“]*“?|“[^”]*”?")


def wipe_secret(text: str, secret: str | None) -> str:
    """The visible characters of a text, without a secret in any form that libraries write it in."""
    text = "".join(character for character in text if character.isprintable())
    for form in _forms(secret) if secret else ():
        whole_word = rf"(?<!\w){re.escape(form)}(?!\w)"
        pattern = re.escape(form) if len(form) >= _SHORT else whole_word
        text = re.sub(pattern, "***", text)
    return text


def _forms(secret: str) -> list[str]:
    """As it is, in a URL, in JSON, in a connection string, in Python: the longest first."""
    escaped = secret.replace("\\", "\\\\").replace("'", "\\'")
    forms = {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        escaped,
        repr(secret)[1:-1],
    }
    return sorted(forms, key=len, reverse=True)


def wipe_values(sentence: str) -> str:
    """A database's sentence about a value, without the value: it stands in quotes or at the end."""
    return _QUOTED.sub("(a value)", re.split(":\\s|\uff1a", sentence)[0]).strip().rstrip(".:")
