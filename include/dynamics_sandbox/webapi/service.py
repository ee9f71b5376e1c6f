"""The Web API itself: from a path under `/api/data/v9.x/` to the answer.

Tables, functions, metadata and batches; anything else is answered as Dataverse answers what it
does not know. The sandbox reads only: a request that would change something is refused.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dynamics_sandbox.odata.dataverse_error import BAD_QUERY, DataverseError, unknown_resource
from dynamics_sandbox.odata.exact_json import to_json
from dynamics_sandbox.odata.http_messages import Answer, Incoming
from dynamics_sandbox.odata.query_options import Preferences, parse_preferences
from dynamics_sandbox.webapi.batch import answer_batch
from dynamics_sandbox.webapi.functions import Functions
from dynamics_sandbox.webapi.metadata_document import metadata_document
from dynamics_sandbox.webapi.metadata_reader import MetadataReader
from dynamics_sandbox.webapi.table_reader import TableReader
from dynamics_sandbox.webapi.table_request import Request

if TYPE_CHECKING:
    from collections.abc import Collection

    from dynamics_sandbox.organisation.organisation import Organisation

MAX_URL = 32_768
MAX_URL_IN_BATCH = 65_536
_ROOT = re.compile(r"/api/data/v9\.[0-2](?:/|$)")
_GUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ROW = re.compile(rf"(?P<set>\w+)\((?:\w+=)?'?(?P<id>{_GUID})'?\)(?:/(?P<rest>.+))?")
_SET = re.compile(r"(?P<set>\w+)(?P<count>/\$count)?/?")


class WebApi:
    """Answers requests on one organisation."""

    def __init__(self, organisation: Organisation) -> None:
        """Serve this organisation."""
        self._organisation = organisation
        self._tables = TableReader(organisation)
        self._functions = Functions(organisation, self._tables)
        self._metadata = MetadataReader(organisation)

    def answer(self, incoming: Incoming, faults: Collection[str] = ()) -> Answer:
        """The answer to an authenticated request; a refusal is an answer, too."""
        preferences = Preferences()
        try:
            preferences = parse_preferences(incoming.headers.get("prefer", ""))
            if "lose_annotations" in faults:
                preferences = replace(preferences, annotations=())
            return self._dispatch(incoming, preferences, faults)
        except DataverseError as error:
            return self.refusal(error, annotated="*" in preferences.annotations)

    @staticmethod
    def refusal(error: DataverseError, *, annotated: bool = False) -> Answer:
        """A Dataverse error as an answer."""
        headers = {**_standard_headers(), **error.headers}
        return Answer(error.status, to_json(error.body(annotated=annotated)), headers)

    def _dispatch(
        self, incoming: Incoming, preferences: Preferences, faults: Collection[str]
    ) -> Answer:
        root = _ROOT.match(incoming.path)
        if root is None:
            raise unknown_resource(incoming.path.rpartition("/")[2])
        rest = incoming.path[root.end() :]
        if rest == "$batch" and incoming.method == "POST":
            return answer_batch(incoming, preferences, self._answer_part)
        if len(incoming.target) > (MAX_URL_IN_BATCH if incoming.is_in_batch else MAX_URL):
            raise DataverseError(413, BAD_QUERY, "The request URI is too long.")
        if incoming.method != "GET":
            message = f"The requested resource does not support http method '{incoming.method}'."
            raise DataverseError(405, "0x0", message)
        request = Request(
            base=f"{incoming.origin}{root[0].rstrip('/')}",
            url=f"{incoming.origin}{incoming.target}",
            raw_query=incoming.raw_query,
            preferences=preferences,
            faults=faults,
        )
        return self._get(rest, request)

    def _answer_part(self, incoming: Incoming) -> Answer:
        return self.answer(incoming)

    def _get(self, rest: str, request: Request) -> Answer:
        if rest == "$metadata":
            with self._organisation.lock:
                document = metadata_document(self._organisation)
            return Answer(200, document, {**_standard_headers(), "Content-Type": "application/xml"})
        body = self._functions.call(rest, request)
        if body is None and rest.startswith("EntityDefinitions"):
            body = self._metadata.answer(rest, request)
        if body is None and (match := _ROW.fullmatch(rest)):
            body = self._of_row(match, request)
        if body is None:
            body = self._collection(rest, request)
        if isinstance(body, Answer):
            return body
        if "lose_delta_link" in request.faults:
            body.pop("@odata.deltaLink", None)
        return Answer(
            200, to_json(body), {**_standard_headers(), **_preference_headers(request.preferences)}
        )

    def _of_row(self, match: re.Match[str], request: Request) -> dict[str, Any]:
        set_name, row_id = match["set"], match["id"].lower()
        if match["rest"]:
            return self._tables.related_page(
                set_name, row_id, navigation=match["rest"], request=request
            )
        return self._tables.row(set_name, row_id, request)

    def _collection(self, rest: str, request: Request) -> Any:
        match = _SET.fullmatch(rest)
        if match is None:
            raise unknown_resource(rest.partition("/")[0])
        if match["count"]:
            text = self._tables.count(match["set"], request)
            return Answer(200, text.encode(), {**_standard_headers(), "Content-Type": "text/plain"})
        return self._tables.page(match["set"], request)


def _preference_headers(preferences: Preferences) -> dict[str, str]:
    return {"Preference-Applied": ", ".join(preferences.applied)} if preferences.applied else {}


def _standard_headers() -> dict[str, str]:
    request_id = str(uuid4())
    return {
        "Content-Type": "application/json; odata.metadata=minimal",
        "OData-Version": "4.0",
        "REQ_ID": request_id,
        "x-ms-service-request-id": request_id,
        "x-ms-dop-hint": "8",
        "x-ms-ratelimit-burst-remaining-xrm-requests": "5999",
        "x-ms-ratelimit-time-remaining-xrm-requests": "1,199.9",
        "Set-Cookie": "ARRAffinity=sandbox; path=/; secure; HttpOnly",
        "Cache-Control": "no-cache",
    }
