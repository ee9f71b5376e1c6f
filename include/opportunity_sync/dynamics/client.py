"""The Dataverse client: reads of one organisation that end in all rows or in an error.

It is handed a session and only ever sends GETs. Everything it yields has been proven whole
(`http/exchange`, `pages/paging`) and was tried again where that can help (`http/retries`). The next
page is already on its way while the caller works on the current one, never more than one ahead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import requests

from opportunity_sync.dynamics.error_answers import API_ROOT, DATAVERSE, is_missing_record
from opportunity_sync.dynamics.guids import is_guid
from opportunity_sync.dynamics.pages.envelope import read_object
from opportunity_sync.dynamics.pages.paging import ANNOTATIONS, Page, Trail, require_own_link
from opportunity_sync.dynamics.signin.signed_session import BearerAuth
from opportunity_sync.errors import AuthenticationError, QueryError
from opportunity_sync.http.abort import AbortTimer, Cancellation
from opportunity_sync.http.exchange import get_answer
from opportunity_sync.http.retries import RequestCounters, Retries, RetryPolicy

if TYPE_CHECKING:
    from opportunity_sync.dynamics.pages.envelope import ParseRows
    from opportunity_sync.http.answer import Answer
    from opportunity_sync.http.time_limits import TimeLimits
    from opportunity_sync.model import Entity
    from opportunity_sync.settings import Settings

log = logging.getLogger(__name__)

IDS_PER_REQUEST: Final = 100  # the most values of `In` is not documented; 500 is said to fail
_SAFE: Final = "$,()'=:/@*"

Params = Mapping[str, str]
Result = TypeVar("Result")


class DataverseClient:
    """Reads one organisation through a session; `counters` says what that took.

    `first_wait_seconds` is the back-off before the second attempt where the server names none.
    """

    def __init__(
        self,
        session: requests.Session,
        organization_url: str,
        *,
        settings: Settings,
        first_wait_seconds: float = 1.0,
        counters: RequestCounters | None = None,
    ) -> None:
        self.organization_url = organization_url.rstrip("/")
        self.counters = counters or RequestCounters()
        self._session = session
        self._settings = settings
        policy = RetryPolicy(
            attempts=settings.request_attempts,
            answer_seconds=settings.page_timeout_seconds,
            silence_seconds=settings.request_timeout_seconds,
            first_wait_seconds=first_wait_seconds,
        )
        self._retries = Retries(policy, self.counters)

    def without_patience(self, seconds: float) -> DataverseClient:
        """A client of the same session and counters that asks once, and for so long only."""
        short = {"request_attempts": 1, "page_timeout_seconds": seconds}
        return DataverseClient(
            self._session,
            self.organization_url,
            settings=self._settings.model_copy(update=short),
            counters=self.counters,
        )

    def get(self, path: str, params: Params | None = None, *, prefer: Sequence[str] = ()) -> Answer:
        """The answer to one GET of a path below the API root, with retries.

        Raises:
            SyncError: as `error_table` says; `TransientError` when the attempts are used up.
        """
        url = self.url_of(path, params)
        return self._retries.run(partial(self._get_answer, url, tuple(prefer)))

    def get_json(
        self, path: str, params: Params | None = None, *, prefer: Sequence[str] = ()
    ) -> dict[str, Any]:
        """As `get`, and the JSON object of the answer."""
        return self._get_proven(self.url_of(path, params), tuple(prefer), lambda _, found: found)

    def pages(
        self,
        path_or_link: str,
        *,
        params: Params | None = None,
        prefer: Sequence[str] = (ANNOTATIONS,),
        parse_rows: ParseRows | None = None,
    ) -> Iterator[Page]:
        """Every page from a path or from a link of an earlier page, in order.

        The page size is the settings'. Closing the generator early cancels what is under way. What
        parses rows can parse them while a page is proven, and its envelope then has them.

        Raises:
            SyncError: as `get`; `ConfigError` too for a link to another host.
        """
        url = self.url_of(path_or_link, params)
        size = f"odata.maxpagesize={self._settings.page_size}"
        cancellation = Cancellation()
        reader = ThreadPoolExecutor(1, thread_name_prefix="next-page")
        trail = Trail(url, (*prefer, size), parse_rows)
        fetch = partial(self._get_page, trail, cancellation=cancellation)
        try:
            coming = reader.submit(fetch, url)
            while True:
                page = coming.result()
                if page.next_link is None:
                    break
                trail.note_followed(page.next_link)
                coming = reader.submit(fetch, page.next_link)
                yield page
            yield page
        finally:
            cancellation.cancel()
            reader.shutdown(wait=False, cancel_futures=True)

    def by_ids(
        self,
        entity: Entity,
        ids: Sequence[str],
        *,
        select: Sequence[str],
        parse_rows: ParseRows | None = None,
    ) -> Iterator[Page]:
        """Pages of the rows with these keys; a row that is gone or not readable is not on them."""
        for start in range(0, len(ids), IDS_PER_REQUEST):
            values = ",".join(f"'{key}'" for key in ids[start : start + IDS_PER_REQUEST])
            condition = (
                f"Microsoft.Dynamics.CRM.In(PropertyName='{entity.key}',PropertyValues=[{values}])"
            )
            params = {"$select": ",".join(select), "$filter": condition}
            yield from self.pages(entity.set_name, params=params, parse_rows=parse_rows)

    def who_am_i(self) -> dict[str, str]:
        """`UserId` and `OrganizationId`, both GUIDs: the cheapest proof of access.

        Raises:
            ResponseError: one of them is missing; an answer that does not say whose rows it
                brings proves nothing.
        """
        return self._get_proven(self.url_of("WhoAmI"), (), _require_identity)

    def require_web_api(self) -> None:
        """Ask without a token, and take Dataverse's demand for one as the answer.

        Raises:
            SyncError: nothing answers, or something that does not ask for a token.
        """

        def ask_unsigned(limits: TimeLimits) -> None:
            unsigned = requests.Request("GET", self.url_of("WhoAmI"), auth=lambda request: request)
            prepared = self._session.prepare_request(unsigned)
            self.counters.add(requests=1)
            try:
                get_answer(self._session, prepared, service=DATAVERSE, limits=limits)
            except AuthenticationError:
                return

        self._retries.run(ask_unsigned)

    def organization_id(self) -> str:
        """The id of the organisation that answers now, a GUID in lower case."""
        return self.who_am_i()["OrganizationId"]

    def is_gone(self, entity: Entity, record_id: str) -> bool:
        """Whether Dataverse says of this record that it does not exist.

        Any other refusal is raised: what can't be answered is not gone.
        """

        def is_the_record(answer: Answer, found: dict[str, Any]) -> bool:
            key = str(found.get(entity.key)).lower()
            # An id that nobody can read may be the one asked for, and some record is there.
            is_another = is_guid(key) and key != record_id.lower()
            if entity.key not in found or is_another:
                raise answer.error("The answer is not the record that was asked for.")
            return True

        url = self.url_of(f"{entity.set_name}({record_id})", {"$select": entity.key})
        try:
            return not self._get_proven(url, (), is_the_record)
        except QueryError as error:
            if not is_missing_record(error, record_id):
                raise
            return True

    def url_of(self, path_or_link: str, params: Params | None = None) -> str:
        """The whole URL; a link is kept to the letter, and must be the organisation's own."""
        if "://" in path_or_link:
            require_own_link(path_or_link, self.organization_url)
            return path_or_link
        query = "&".join(
            f"{name}={quote(value, safe=_SAFE)}" for name, value in (params or {}).items()
        )
        url = f"{self.organization_url}{API_ROOT}{path_or_link.lstrip('/')}"
        return f"{url}?{query}" if query else url

    def _get_proven(
        self,
        url: str,
        prefer: tuple[str, ...],
        prove: Callable[[Answer, dict[str, Any]], Result],
    ) -> Result:
        """What `prove` makes of an answer's JSON object; asked for again where it is none."""

        def read_whole_object(limits: TimeLimits) -> Result:
            answer = self._get_answer(url, prefer, limits)
            return prove(answer, read_object(answer))

        return self._retries.run(read_whole_object)

    def _get_page(self, trail: Trail, url: str, *, cancellation: Cancellation) -> Page:
        def read_whole_page(limits: TimeLimits) -> Page:
            return trail.prove_page(self._get_answer(url, trail.prefer, limits))

        return self._retries.run(read_whole_page, cancellation)

    def _get_answer(self, url: str, prefer: tuple[str, ...], limits: TimeLimits) -> Answer:
        """One attempt, or two where the token was refused: the second with a fresh one."""
        request = self._prepare_request(url, prefer, limits)
        self.counters.add(requests=1)
        try:
            return get_answer(self._session, request, service=DATAVERSE, limits=limits)
        except AuthenticationError as error:
            auth = self._session.auth
            refused = (
                error.request is not None and error.request.status == requests.codes.unauthorized
            )
            if not refused or not isinstance(auth, BearerAuth):
                raise
            log.warning("Dataverse refused the token; trying once more with a fresh one: %s", error)
            auth.drop_token(request)
        self.counters.add(requests=1, retries=1)
        request = self._prepare_request(url, prefer, limits)
        return get_answer(self._session, request, service=DATAVERSE, limits=limits)

    def _prepare_request(
        self, url: str, prefer: tuple[str, ...], limits: TimeLimits
    ) -> requests.PreparedRequest:
        """The request, signed; the token service may have to be asked for that."""
        headers = {"Prefer": ",".join(prefer)} if prefer else {}
        with AbortTimer(limits.remaining, limits.cancellation):
            request = self._session.prepare_request(requests.Request("GET", url, headers=headers))
        request.url = url  # requests re-encodes links; a paging cookie must stay as it came
        return request


def _require_identity(answer: Answer, found: dict[str, Any]) -> dict[str, str]:
    identity = {}
    for name in ("UserId", "OrganizationId"):
        value = found.get(name)
        if not isinstance(value, str) or not is_guid(value):
            raise answer.error(f"The answer to WhoAmI has no {name}.")
        identity[name] = value.lower()
    return identity
