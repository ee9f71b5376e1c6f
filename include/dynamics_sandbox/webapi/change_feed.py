"""Change tracking: what changed in a table since a link was made, and the next link.

A link is bound to the columns it was made with: those that its query selects, or all that the
table had then. One of them that is gone since makes the link fail like any query for a column that
is not there. (Whether Dataverse answers so, or asks for a full synchronisation, is not verified.)
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from dynamics_sandbox.odata.dataverse_error import EXPIRED_VERSION_STAMP, DataverseError
from dynamics_sandbox.odata.page_tokens import (
    Position,
    from_delta_token,
    to_cookie,
    to_delta_token,
    with_token,
)
from dynamics_sandbox.odata.projection import Projection, Wanted
from dynamics_sandbox.odata.query_options import Query, refuse_with_tracking
from dynamics_sandbox.organisation.row_store import sort_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dynamics_sandbox.organisation.organisation import Organisation
    from dynamics_sandbox.organisation.row_store import RowStore
    from dynamics_sandbox.webapi.table_request import Request

_TRACKING_IS_OFF: Final = "0x80044353"
_KEPT_LINKS: Final = 10_000


class ChangeFeed:
    """The changes of an organisation's tables."""

    def __init__(self, organisation: Organisation) -> None:
        """Tell the changes of this organisation."""
        self._organisation = organisation
        # Of links without a selection: the columns that their table had, by set and token.
        self._columns: OrderedDict[tuple[str, str], Sequence[str]] = OrderedDict()

    def check(self, store: RowStore, request: Request) -> None:
        """Refuse a tracked request that Dataverse would refuse."""
        refuse_with_tracking(request.raw_query)
        if not store.table.change_tracking:
            message = f"Change tracking is not enabled for the entity '{store.table.name}'."
            raise DataverseError(400, _TRACKING_IS_OFF, message)

    def changes(
        self,
        store: RowStore,
        query: Query,
        *,
        position: Position,
        request: Request,
        wanted: Wanted,
    ) -> dict[str, Any]:
        """Rows changed since the token, by version, then what was deleted."""
        set_name, token = store.table.set_name, query.delta_token or ""
        since = self._version_of(token, set_name)
        columns = wanted.select or self._columns.get((set_name, token), ())
        projection = Projection(self._organisation, store, replace(wanted, select=columns))
        after, size = max(since, position.after), wanted.preferences.page_size
        changed = self._changed_rows(store, after, position.snapshot)
        deleted = store.tombstones_between(since, position.snapshot)[position.deleted :]
        rows, room = changed[:size], max(size - len(changed), 0)
        version = self._organisation.metadata_version
        body = request.frame(set_name, query, total=len(changed), metadata_version=version)
        body["@odata.context"] += "/$delta"
        context = f"{request.base}/$metadata#{set_name}/$deletedEntity"
        body["value"] = [projection.render(store.rows[key]) for _, key in rows] + [
            {"@odata.context": context, "id": stone.row_id, "reason": "deleted"}
            for stone in deleted[:room]
        ]
        if len(changed) > len(rows) or len(deleted) > room:
            following = replace(
                position,
                page=position.page + 1,
                after=rows[-1][0] if rows else after,
                deleted=position.deleted + min(room, len(deleted)),
            )
            body["@odata.nextLink"] = request.link("$skiptoken", to_cookie(following))
        else:
            bound = () if wanted.select else projection.names
            link = self.link(set_name, position.snapshot, request=request, columns=bound)
            body["@odata.deltaLink"] = link
        return body

    def link(self, set_name: str, version: int, *, request: Request, columns: Sequence[str]) -> str:
        """The link to what will have changed since this version.

        Without a selection in the request it is bound to `columns`.
        """
        now = self._organisation.now
        if columns:
            self._columns[set_name, f"{version}!{now:%m/%d/%Y %H:%M:%S}"] = tuple(columns)
        if len(self._columns) > _KEPT_LINKS:
            self._columns.popitem(last=False)
        return with_token(request.url, "$deltatoken", to_delta_token(version, now))

    def count(self, store: RowStore, token: str) -> int:
        """The number of changes since a token."""
        since, upto = self._version_of(token, store.table.set_name), self._organisation.version
        changed = store.between("versionnumber", since + 1, upto)
        return len(changed) + len(store.tombstones_between(since, upto))

    def _changed_rows(self, store: RowStore, after: int, upto: int) -> list[tuple[int, bytes]]:
        hidden = self._organisation.hidden.get(store.table.set_name, ())
        gone = {sort_key(row_id) for row_id in hidden}
        found = store.between("versionnumber", after + 1, upto)
        return [pair for pair in found if pair[1] not in gone]

    def _version_of(self, token: str, set_name: str) -> int:
        version, made_at = from_delta_token(token)
        organisation = self._organisation
        days = timedelta(days=organisation.change_tracking_days)
        oldest = max(
            organisation.oldest_delta_version, organisation.oldest_version_of.get(set_name, 0)
        )
        if organisation.now - made_at > days or version < oldest:
            message = (
                "Version stamp associated with the client has expired. Please perform a full sync."
            )
            raise DataverseError(400, EXPIRED_VERSION_STAMP, message)
        return version
