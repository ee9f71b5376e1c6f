"""Pages of a table: following `@odata.nextLink` without ever being led astray by it.

The link is the only sign that more rows follow, so an answer must prove that it is whole
before its link, or the lack of one, is believed. A link that was seen before would loop for
ever; one to another host would carry the token there; both are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

import msgspec

from opportunity_sync.dynamics.characters import decoded
from opportunity_sync.dynamics.session import origin_of
from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from opportunity_sync.dynamics.exchange import Answer

ANNOTATIONS: Final = 'odata.include-annotations="Microsoft.Dynamics.CRM.lookuplogicalname"'
TRACK_CHANGES: Final = "odata.track-changes"
_LOOKUP_TYPE: Final = b"@Microsoft.Dynamics.CRM.lookuplogicalname"
_SET_LOOKUP: Final = re.compile(rb'"_\w+_value"\s*:\s*"')
_MUST_BE_APPLIED: Final = ("odata.include-annotations", TRACK_CHANGES)
_API_PATH: Final = "/api/data/"
_ROWS: Final = b'"value":['


@dataclass(frozen=True, slots=True)
class Page:
    """One whole page: its JSON bytes, where it came from and where the next one is.

    `number` counts from 1 within one reading; `server_date` is the server's clock, UTC.
    """

    body: bytes = field(repr=False)
    url: str
    number: int
    next_link: str | None
    server_date: datetime | None
    request_id: str | None


class _Envelope(msgspec.Struct):
    """What the paging loop needs of a page; the rows are walked over, not built."""

    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)


_decoder = msgspec.json.Decoder(_Envelope)


class Trail:
    """One reading: what is asked of every page, and the links so far; each is followed once."""

    def __init__(self, first_url: str, prefer: tuple[str, ...]) -> None:
        self.prefer = prefer
        self._seen = {first_url}
        self._pages = 0

    def page(self, answer: Answer) -> Page:
        """The answer as a page, once it is proven to be one.

        Raises:
            ResponseError: it is cut short, has no rows array, ignored a preference, or its next
                link was followed before.
            ConfigError: its next link leaves the organisation's host.
        """
        envelope = _envelope(answer)
        _require_preferences(answer, self.prefer)
        link = self._next(answer, envelope.next_link)
        self._pages += 1
        return Page(
            body=answer.body,
            url=answer.url,
            number=self._pages,
            next_link=link,
            server_date=answer.server_date,
            request_id=answer.request.request_id,
        )

    def follow(self, link: str) -> None:
        """Remember a link as followed."""
        self._seen.add(link)

    def _next(self, answer: Answer, link: str | None) -> str | None:
        if link is None:
            return None
        whole = urljoin(answer.url, link)
        require_own(whole, answer.url)
        if whole in self._seen:
            raise answer.broken("The link to the next page was followed before: it is a circle.")
        return whole


def require_own(link: str, organization_url: str) -> None:
    """Refuse a link that leaves the organisation's Web API; the token never goes there."""
    if origin_of(link) != origin_of(organization_url):
        raise ConfigError(
            f"A link points to {urlsplit(link).netloc}, not to "
            f"{urlsplit(organization_url).netloc}; it was not followed.",
            next_step="if that is another address of the same organisation, set it as the "
            "connection's host; otherwise find out who answers in Dataverse's place",
        )
    path = urlsplit(link).path
    if not path.startswith(_API_PATH) or ".." in path:
        raise ConfigError(
            "A link leaves the Web API of the organisation; it was not followed.",
            next_step="find out who answers in Dataverse's place (a proxy or gateway?)",
        )


def _envelope(answer: Answer) -> _Envelope:
    skimmed = _skimmed(answer.body)
    if skimmed is not None:
        return skimmed
    try:
        envelope = decoded(_decoder, answer.body)
    except ValueError as error:
        raise answer.broken(f"The page is not whole JSON ({error}).") from error
    rows = envelope.value
    if rows is msgspec.UNSET or not bytes(memoryview(rows)[:1]).startswith(b"["):
        raise answer.broken("The page has no array of rows.")
    return envelope


def _skimmed(body: bytes) -> _Envelope | None:
    """The envelope without a look at the rows, which are parsed once, by whoever takes them.

    What stands around the array must be whole JSON. Where it is not, because the page is cut short
    or brackets mislead, all of it is read. A cut just behind a `]}` within a text is left to the
    rows' decoder, which takes nothing of a page that is not whole.
    """
    start, end = body.find(_ROWS), body.rfind(b"]")
    if start < 0:
        return None
    try:
        envelope = _decoder.decode(body[: start + len(_ROWS)] + body[end:])
    except ValueError:
        return None
    return None if envelope.value is msgspec.UNSET else envelope


def _require_preferences(answer: Answer, prefer: tuple[str, ...]) -> None:
    applied = answer.headers.get("Preference-Applied", "")
    for preference in prefer:
        name, _, value = preference.partition("=")
        if name in _MUST_BE_APPLIED and not _is_applied(name, value.strip('"'), applied):
            raise answer.broken(f"Dataverse did not apply the preference {name}.")
    # Some answers claim the annotations and come without: every lookup would lose its type.
    is_untyped = ANNOTATIONS in prefer and _LOOKUP_TYPE not in answer.body
    if is_untyped and _SET_LOOKUP.search(answer.body):
        raise answer.broken("The lookups of the page come without the names of their tables.")


def _is_applied(name: str, value: str, applied: str) -> bool:
    found = re.search(rf'{re.escape(name)}(?:="([^"]*)"|=([^,;\s]*))?', applied)
    if found is None:
        return False
    granted = (found[1] or found[2] or "").split(",")
    return not value or "*" in granted or set(value.split(",")) <= set(granted)
