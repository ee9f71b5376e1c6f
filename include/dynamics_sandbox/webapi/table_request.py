"""A GET on a table, and the frame and links of the answer to it.

The faults that concern a continuation are applied here, where links are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dynamics_sandbox.odata.page_tokens import with_token

if TYPE_CHECKING:
    from collections.abc import Collection

    from dynamics_sandbox.odata.query_options import Preferences, Query

COUNT_LIMIT: Final = 5000
_CRM: Final = "Microsoft.Dynamics.CRM"


@dataclass(frozen=True, slots=True)
class Request:
    """A GET as the reader sees it: base is `https://host/api/data/v9.2`, url the whole of it."""

    base: str
    url: str
    raw_query: str
    preferences: Preferences
    faults: Collection[str] = ()

    def link(self, name: str, token: str) -> str:
        """This request's own URL with a token for what follows."""
        if "repeat_next_link" in self.faults:
            return self.url
        link = with_token(self.url, name, token)
        if "foreign_next_link" in self.faults:
            return link.replace(self.base, "https://elsewhere.example/api/data/v9.2", 1)
        return link

    def context(self, set_name: str, query: Query) -> str:
        """The context URL of an answer with these columns."""
        chosen = f"({','.join(query.select)})" if query.select else ""
        return f"{self.base}/$metadata#{set_name}{chosen}"

    def frame(
        self, set_name: str, query: Query, *, total: int, metadata_version: int
    ) -> dict[str, Any]:
        """An answer without its rows."""
        body: dict[str, Any] = {"@odata.context": self.context(set_name, query)}
        if query.count:
            body["@odata.count"] = min(total, COUNT_LIMIT)
        if self.preferences.wants(f"{_CRM}.totalrecordcount"):
            counted = min(total, COUNT_LIMIT) if query.count else -1
            body[f"@{_CRM}.totalrecordcount"] = counted
            is_exceeded = query.count and total > COUNT_LIMIT
            body[f"@{_CRM}.totalrecordcountlimitexceeded"] = is_exceeded
            body[f"@{_CRM}.globalmetadataversion"] = str(metadata_version)
        return body
