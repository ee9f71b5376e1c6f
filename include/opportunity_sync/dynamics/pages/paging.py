"""Pages of a table: following `@odata.nextLink` without being led astray by it.

The link is the only sign that more rows follow. So an answer must prove that it is whole before its
link, or the lack of one, is believed. A link that was seen before would loop for ever, and so would
ever-new links to the same rows. A link to another host would carry the token there. All of these
are refused.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urljoin, urlsplit

from opportunity_sync.dynamics.pages.envelope import (
    MALFORMED,
    Envelope,
    EnvelopeError,
    ParseRows,
    read_envelope,
)
from opportunity_sync.dynamics.pages.progress import Progress
from opportunity_sync.errors import ConfigError
from opportunity_sync.http.addresses import DEFAULT_PORTS, origin_of, same_origin

if TYPE_CHECKING:
    from datetime import datetime

    from opportunity_sync.http.answer import Answer

log = logging.getLogger(__name__)

ANNOTATIONS: Final = 'odata.include-annotations="Microsoft.Dynamics.CRM.lookuplogicalname"'
TRACK_CHANGES: Final = "odata.track-changes"
_LOOKUP_TYPE: Final = b"@Microsoft.Dynamics.CRM.lookuplogicalname"
_SET_LOOKUP: Final = re.compile(rb'"_\w+_value"\s*:\s*"')
_APPLIED: Final = "Preference-Applied"
_INCLUDE: Final = "odata.include-annotations"
_DAMAGED: Final = "\N{REPLACEMENT CHARACTER}"
_API_PATH: Final = "/api/data/"


@dataclass(frozen=True, slots=True)
class Page:
    """One whole page: its JSON bytes, where it came from and where the next one is.

    `number` counts from 1 within one reading; `server_date` is the server's clock, UTC. Both links
    are whole URLs of the organisation's Web API. `delta_link` is for later changes.
    """

    body: bytes = field(repr=False)
    envelope: Envelope = field(repr=False)
    url: str
    number: int
    next_link: str | None
    server_date: datetime | None
    request_id: str | None
    delta_link: str | None = None


class Trail:
    """One reading: what it asks of every page, and the links that it has followed, each once."""

    def __init__(
        self, first_url: str, prefer: tuple[str, ...], parse_rows: ParseRows | None = None
    ) -> None:
        self.prefer = prefer
        self._parse_rows = parse_rows
        self._seen = {_canonical_link(first_url)}
        self._pages = 0
        self._progress = Progress(urlsplit(first_url).path.rpartition("/")[2])

    def prove_page(self, answer: Answer) -> Page:
        """The answer as a page, once it is proven to be one.

        Raises:
            ResponseError: it is cut short, has no rows array, reports an error, ignored a
                preference, has a next link that was followed before, or is one of many pages with
                the rows of earlier ones, or none.
            ConfigError: its next link leaves the organisation's host.
        """
        envelope = _require_envelope(answer, self._parse_rows)
        _require_preferences(answer, self.prefer, envelope)
        link = self._next_link(answer, envelope.next_link)
        sample = envelope.sample
        self._progress.note_page([] if sample is None else [sample], is_last=link is None)
        self._pages += 1
        return Page(
            body=answer.body,
            envelope=envelope,
            url=answer.url,
            number=self._pages,
            next_link=link,
            server_date=answer.server_date,
            request_id=answer.request.request_id,
            delta_link=self._delta_link(answer, envelope.delta_link),
        )

    def note_followed(self, link: str) -> None:
        """Remember a link as followed."""
        self._seen.add(_canonical_link(link))

    def _next_link(self, answer: Answer, link: str | None) -> str | None:
        if link is None:
            return None
        whole = _whole_url(answer, link)
        require_own_link(whole, answer.url)
        if _canonical_link(whole) in self._seen:
            raise answer.error("The link to the next page was followed before: it is a circle.")
        return whole

    def _delta_link(self, answer: Answer, link: str | None) -> str | None:
        """The link for later changes, unless nobody could follow it: every later run would fail."""
        if link is None:
            return None
        whole = _whole_url(answer, link)
        if is_own_link(whole, answer.url):
            return whole
        log.warning(
            "The link for later changes can't be followed and is dropped: %s The next run reads "
            "the table whole.",
            _fault_of_link(whole, answer.url),
        )
        return None


def is_own_link(link: str, organization_url: str) -> bool:
    """Whether a link is one of the organisation's Web API, to the letter."""
    return _fault_of_link(link, organization_url) is None


def require_own_link(link: str, organization_url: str) -> None:
    """Refuse a link that leaves the organisation's Web API: the token goes nowhere else.

    Raises:
        ConfigError: the link is of another server, or of another path of this one.
    """
    fault = _fault_of_link(link, organization_url)
    if fault is not None:
        raise fault


def _fault_of_link(link: str, organization_url: str) -> ConfigError | None:
    """Why a link is not followed; None where it is one of the organisation's Web API."""
    # What urlsplit passes over at the ends, what no store holds or what stands for it, is in no
    # link of Dataverse.
    is_clean = link.isprintable() and link == link.strip() and _DAMAGED not in link
    if not is_clean or not same_origin(link, organization_url):
        return ConfigError(
            f"A link points to {_address_of(link) if is_clean else 'no address'}, not to "
            f"{_address_of(organization_url)}; it was not followed.",
            next_step="if that is another address of the same organisation, set it as the "
            "connection's host; otherwise find out who answers in Dataverse's place",
        )
    path = unquote(urlsplit(link).path)
    if not path.startswith(_API_PATH) or ".." in path or "\\" in path:
        return ConfigError(
            "A link leaves the Web API of the organisation; it was not followed.",
            next_step="find out who answers in Dataverse's place (a proxy or gateway?)",
        )
    return None


def _address_of(url: str) -> str:
    """Scheme, host and, where it is not the scheme's own, port, as messages name them."""
    origin = origin_of(url)
    if origin is None:
        return "no address"
    scheme, host, port = origin
    return f"{scheme}://{host}" + ("" if DEFAULT_PORTS.get(scheme) == port else f":{port}")


def _whole_url(answer: Answer, link: str) -> str:
    """The link as a whole URL: completed if it is relative, else to the letter."""
    try:
        return link if urlsplit(link).scheme else urljoin(answer.url, link)
    except ValueError as error:
        raise answer.error("A link of the page is no address.") from error


def _canonical_link(link: str) -> object:
    """The link as a value that is the same in whatever way its host is spelled."""
    parts = urlsplit(link)
    return origin_of(link), parts.path, parts.query


def _require_envelope(answer: Answer, parse_rows: ParseRows | None) -> Envelope:
    try:
        return read_envelope(answer.body, parse_rows)
    except EnvelopeError as error:
        raise answer.error(f"The page cannot be believed: {error}.") from error
    except MALFORMED as error:
        raise answer.error(f"The page is not whole JSON ({error}).") from error


def _require_preferences(answer: Answer, prefer: tuple[str, ...], envelope: Envelope) -> None:
    is_tracked = TRACK_CHANGES in prefer
    if is_tracked and envelope.next_link is None and envelope.delta_link is None:
        raise answer.error("The page has no link to a next page, nor one for later changes.")
    # Some answers claim the annotations and come without, and every lookup would lose its type.
    # Others, mostly those of change tracking, come with them and claim nothing.
    claimed = answer.headers.get(_APPLIED)
    for preference in prefer:
        name, _, value = preference.partition("=")
        counts = name == _INCLUDE and claimed is not None and not is_tracked
        if counts and not _is_applied(name, value.strip('"'), claimed or ""):
            raise answer.error(f"Dataverse did not apply the preference {name}.")
    is_untyped = ANNOTATIONS in prefer and _LOOKUP_TYPE not in answer.body
    if is_untyped and _SET_LOOKUP.search(answer.body):
        raise answer.error("The lookups of the page come without the names of their tables.")


def _is_applied(name: str, value: str, applied: str) -> bool:
    found = re.search(rf'{re.escape(name)}(?:="([^"]*)"|=([^,;\s]*))?', applied)
    if found is None:
        return False
    granted = (found[1] or found[2] or "").split(",")
    return not value or "*" in granted or set(value.split(",")) <= set(granted)
