"""The parts of an Airflow connection as people really give them: pasted, masked, half filled in.

A form posts empty texts and nulls for what was left alone and 0 for a port without a number, and
a pasted secret ends in a line break that nobody sees. Here the parts are made what was meant;
what can't be meant is refused by the name of its field, never by its value.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from airflow.sdk.log import mask_secret

from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from airflow.sdk import Connection

SHORTEST_LINE = 16  # of a key in PEM that is masked by itself: shorter ones could be words
HIGHEST_PORT = 65535


def mask(secret: str, *, login: str = "") -> None:
    """Hide a secret in every log from here on, also as URLs, JSON and Basic headers spell it."""
    lines = [line.strip() for line in secret.splitlines() if len(line.strip()) >= SHORTEST_LINE]
    for spelled in (secret, secret.rstrip("\r\n"), *lines):
        mask_secret(spelled)
        mask_secret(quote(spelled, safe=""))
        mask_secret(quote_plus(spelled))
        mask_secret(json.dumps(spelled)[1:-1])
    mask_secret(base64.b64encode(f"{login}:{secret}".encode()).decode())


def extra_of(found: Connection) -> dict[str, Any]:
    """What the extra holds; a form's empty fields are none."""
    extra: Any = found.extra_dejson
    if not isinstance(extra, dict):
        raise not_valid(found, "extra is no JSON object")
    return {str(name): value for name, value in extra.items() if value not in (None, "")}


def text_of(found: Connection, part: str) -> str:
    """A part without the blanks around it, a secret without a line break at its end."""
    value: str = getattr(found, part) or ""
    value = value.rstrip("\r\n") if part == "password" else value.strip()
    if not value.isprintable():
        raise not_valid(found, f"{part} holds a line break or another character that can't be seen")
    return value


def port_of(found: Connection) -> int | None:
    """The port; 0, which a form posts for none, is none."""
    port = found.port or None
    if port is not None and not 0 < port <= HIGHEST_PORT:
        raise not_valid(found, f"port must be from 1 to {HIGHEST_PORT}, or 0 for the usual one")
    return port


def not_valid(found: Connection, fault: str) -> ConfigError:
    """The error that names a fault of a connection."""
    return ConfigError(
        f"Connection '{found.conn_id}' of type '{found.conn_type}' is not valid: {fault}.",
        next_step="correct it (Admin -> Connections, or where it is kept); README, 'A real "
        "organisation', shows examples.",
    )
