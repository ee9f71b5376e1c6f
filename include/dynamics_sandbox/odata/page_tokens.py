"""Where a reader is: paging cookies and delta tokens, in Dataverse's shape.

A cookie is a keyset position (the last row's key and the values it was ordered by), never an
offset, so rows may come and go between pages. It is encoded three times over as Dataverse does;
one that was altered is refused with Dataverse's message. A delta token is `<version>!<time>`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from dynamics_sandbox.odata.dataverse_error import bad_query


@dataclass(frozen=True, slots=True)
class Position:
    """The place after the last row handed out."""

    page: int = 1
    last: str | None = None  # key of the last row
    values: tuple[str | None, ...] = ()  # what that row was ordered by, as text
    is_tracking: bool = False
    snapshot: int = 0  # tracking: the version at which the pass began
    after: int = 0  # delta: version of the last change handed out
    deleted: int = 0  # delta: how many deletions were handed out


def to_cookie(position: Position) -> str:
    """The `$skiptoken` of a position, encoded for the query string."""
    parts = [
        "<order " + ('lastnull="1"' if value is None else f'last="{_quote_value(value)}"') + " />"
        for value in position.values
    ]
    if position.is_tracking:
        parts.append(
            f'<track snapshot="{position.snapshot}" after="{position.after}" '
            f'deleted="{position.deleted}" />'
        )
    if position.last:
        last = "{" + position.last.upper() + "}"
        parts.append(f'<key last="{last}" first="{last}" />')
    inner = f'<cookie page="{position.page - 1}">{"".join(parts)}</cookie>'
    text = quote(quote(inner, safe=""), safe="")
    tracking = "True" if position.is_tracking else "False"
    return quote(
        f'<cookie pagenumber="{position.page}" pagingcookie="{text}" istracking="{tracking}" />',
        safe="",
    )


def _quote_value(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


_OUTER = re.compile(
    r'<cookie pagenumber="(\d{1,9})" pagingcookie="([^"]*)" istracking="(True|False)" />'
)
_INNER = re.compile(
    r'<cookie page="\d{1,9}">(?P<order>(?:<order (?:lastnull="1"|last="[^"]*") />)*)'
    r'(?:<track snapshot="(?P<snapshot>\d{1,19})" after="(?P<after>\d{1,19})" '
    r'deleted="(?P<deleted>\d{1,9})" />)?'
    r'(?:<key last="\{(?P<last>[0-9A-F-]{36})\}" first="[^"]*" />)?</cookie>'
)
_ORDER = re.compile(r'lastnull="1"|last="([^"]*)"')


def from_cookie(token: str) -> Position:
    """The position in a decoded `$skiptoken`."""
    outer = _OUTER.fullmatch(token)
    inner = _INNER.fullmatch(unquote(unquote(outer[2]))) if outer else None
    if outer is None or inner is None:
        raise bad_query("Malformed XML in the Paging Cookie")
    values = tuple(
        None if match[1] is None else unquote(match[1], errors="surrogatepass")
        for match in _ORDER.finditer(inner["order"])
    )
    return Position(
        page=int(outer[1]),
        last=inner["last"].lower() if inner["last"] else None,
        values=values,
        is_tracking=outer[3] == "True",
        snapshot=int(inner["snapshot"] or 0),
        after=int(inner["after"] or 0),
        deleted=int(inner["deleted"] or 0),
    )


def to_delta_token(version: int, moment: datetime) -> str:
    """The `$deltatoken` for changes after a version, encoded for the query string."""
    return quote(f"{version}!{moment:%m/%d/%Y %H:%M:%S}", safe="")


def from_delta_token(token: str) -> tuple[int, datetime]:
    """Version and time of a decoded `$deltatoken`."""
    version, _, time = token.partition("!")
    try:
        return int(version), datetime.strptime(time, "%m/%d/%Y %H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise bad_query("The delta token is not valid.") from error


def with_token(url: str, name: str, token: str) -> str:
    """A request's own URL with its place replaced, everything else untouched."""
    path, _, raw_query = url.partition("?")
    kept = [
        part
        for part in raw_query.split("&")
        if part and unquote(part.partition("=")[0]) not in {"$skiptoken", "$deltatoken"}
    ]
    if name == "$skiptoken":
        kept += [part for part in raw_query.split("&") if unquote(part).startswith("$deltatoken=")]
    return f"{path}?{'&'.join([*kept, f'{name}={token}'])}"
