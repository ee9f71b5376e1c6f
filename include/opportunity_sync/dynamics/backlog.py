"""How much of a table waits in Dynamics: asked in one request, which holds nothing up.

A page of one row, the oldest first, with the number of all that match, which Dataverse counts up to
5,000. `$top` is not used: what it does to the count is not documented, while a page's size leaves
it as it is. Nobody's work depends on the answer, so it is asked for once and not for long.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opportunity_sync.dynamics.pages.envelope import MALFORMED
from opportunity_sync.dynamics.query import window_filter
from opportunity_sync.dynamics.rows.value_parsers import parse_instant
from opportunity_sync.errors import SyncError
from opportunity_sync.model import MODIFIED_SOURCE, Entity

if TYPE_CHECKING:
    from datetime import datetime

    from opportunity_sync.dynamics.client import DataverseClient

log = logging.getLogger(__name__)

_SECONDS: Final = 30.0  # for each table
_MOST: Final = 5_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """Records of a table that were modified since a time; 5,000 stands for that many or more."""

    count: int | None = None
    oldest_at: datetime | None = None


def count_waiting(client: DataverseClient, entity: Entity, since: datetime | None) -> Waiting:
    """How many records were modified at `since` or later (None: ever), and the first of them.

    What can't be told is None; that is no error.
    """
    params = {
        "$select": MODIFIED_SOURCE,
        "$filter": window_filter(since, None),
        "$orderby": f"{MODIFIED_SOURCE} asc",
        "$count": "true",
    }
    given = {name: value for name, value in params.items() if value}
    try:
        # Not as a whole object, which it is not: the page has a link to all the others.
        answer = client.without_patience(_SECONDS).get(
            entity.set_name, given, prefer=["odata.maxpagesize=1"]
        )
        return _read_answer(json.loads(answer.body))
    except (SyncError, *MALFORMED) as error:
        log.info("%s: how many records wait can't be told: %s", entity.set_name, error)
        return Waiting()


def _read_answer(answer: object) -> Waiting:
    found = answer if isinstance(answer, dict) else {}
    count, rows = found.get("@odata.count"), found.get("value")
    if type(count) is not int or count < 0 or not isinstance(rows, list):
        raise ValueError("the answer has no count")
    count = min(count, _MOST)
    if not rows or not count:
        return Waiting(count)
    first = rows[0].get(MODIFIED_SOURCE) if isinstance(rows[0], dict) else None
    try:
        return Waiting(count, parse_instant(first) if isinstance(first, str) else None)
    except (ValueError, OverflowError):  # a record that will be refused; it waits all the same
        return Waiting(count)
