"""GET on a table: pages of rows, one row, a count, the change feed.

All evaluation happens under the organisation's lock and yields tuples, so that rows may be changed
while answers are being written. The faults that concern paging are applied here, where a page and
its continuation are made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.odata.dataverse_error import (
    EXPIRED_VERSION_STAMP,
    PRIVILEGE_DENIED,
    DataverseError,
    bad_query,
    no_such_row,
    unknown_resource,
)
from dynamics_sandbox.odata.listing import Listings
from dynamics_sandbox.odata.page_tokens import (
    Position,
    from_cookie,
    from_delta_token,
    to_cookie,
    to_delta_token,
    with_token,
)
from dynamics_sandbox.odata.projection import Projection
from dynamics_sandbox.odata.query_options import (
    Preferences,
    Query,
    parse_query,
    refuse_with_tracking,
)
from dynamics_sandbox.organisation.row_store import RowStore, sort_key

if TYPE_CHECKING:
    from collections.abc import Collection

    from dynamics_sandbox.organisation.organisation import Organisation

COUNT_LIMIT = 5000
_PRIVILEGE_NAMES = {
    "systemuser": "User",
    "connectionrole": "ConnectionRole",
    "transactioncurrency": "TransactionCurrency",
}


def privilege_name(table: str) -> str:
    """The privilege that reading a table needs."""
    return f"prvRead{_PRIVILEGE_NAMES.get(table, table.capitalize())}"


@dataclass(frozen=True, slots=True)
class Request:
    """A GET as the reader sees it: base is `https://host/api/data/v9.2`, url the whole of it."""

    base: str
    url: str
    raw_query: str
    preferences: Preferences
    faults: Collection[str] = ()


class TableReader:
    """Answers questions about the rows of an organisation."""

    def __init__(self, organisation: Organisation) -> None:
        """Read this organisation."""
        self._organisation = organisation
        self._listings = Listings(organisation)

    def store(self, set_name: str, *, tracking: bool = False) -> RowStore:
        """The rows of a set, if it exists and the caller may read it."""
        store = self._organisation.stores.get(set_name)
        if store is None:
            raise unknown_resource(set_name)
        depth = self._organisation.depth(store.table.name)
        if depth == "None" or (tracking and depth != "Global"):
            raise self._missing_privilege(store)
        return store

    def _missing_privilege(self, store: RowStore) -> DataverseError:
        table = store.table.name
        message = (
            f"Principal user (Id={self._organisation.user_id}, type=8, roleCount=1, "
            "privilegeCount=12, "
            f"accessMode='4 Non-interactive'), is missing {privilege_name(table)} privilege "
            f"on OTC={store.table.object_type_code} for entity '{table}' "
            f"(LocalizedName='{table.capitalize()}'). context.Caller={self._organisation.user_id}"
        )
        return DataverseError(403, PRIVILEGE_DENIED, message)

    def page(self, set_name: str, request: Request) -> dict[str, Any]:
        """One page of a collection, of a tracked pass, or of changes."""
        query = parse_query(request.raw_query)
        position = from_cookie(query.skip_token) if query.skip_token else Position()
        tracking = (
            request.preferences.track_changes
            or position.is_tracking
            or query.delta_token is not None
        )
        with self._organisation.lock:
            store = self.store(set_name, tracking=tracking)
            if tracking:
                self._check_tracking(store, request)
                position = replace(
                    position,
                    is_tracking=True,
                    snapshot=position.snapshot or self._organisation.version,
                )
            if query.delta_token is not None:
                return self._changes(store, query, position, request=request)
            return self._rows(store, query, position, request=request)

    @staticmethod
    def _check_tracking(store: RowStore, request: Request) -> None:
        refuse_with_tracking(request.raw_query)
        if not store.table.change_tracking:
            message = f"Change tracking is not enabled for the entity '{store.table.name}'."
            raise DataverseError(400, "0x80044353", message)

    def _rows(
        self, store: RowStore, query: Query, position: Position, *, request: Request
    ) -> dict[str, Any]:
        size = request.preferences.page_size
        projection = self._projection(store, query, request)
        listing = self._listings.find(
            store.table.set_name, query, is_first=query.skip_token is None
        )
        is_cut = query.top is not None and not request.preferences.has_page_size
        size = min(size, query.top or 0) if is_cut else size
        keys, has_more = listing.page(position, size) if size else ([], False)
        if "empty_page" in request.faults:
            keys, has_more = [], True
        rows = [store.rows[key] for key in keys]
        body = self._frame(store, query, request, total=len(listing.entries))
        body["value"] = [projection.render(row) for row in rows]
        if has_more and not is_cut:
            kept = rows[:-1] if "duplicate_row" in request.faults and len(rows) > 1 else rows
            last = kept[-1] if kept else None
            following = replace(
                position,
                page=position.page + 1,
                last=position.last if last is None else last[store.position[store.table.key]],
                values=position.values if last is None else listing.values_of(last),
            )
            body["@odata.nextLink"] = self._link(request, "$skiptoken", to_cookie(following))
        elif position.is_tracking:
            body["@odata.deltaLink"] = self._delta_link(request, position.snapshot)
        return body

    def _projection(self, store: RowStore, query: Query, request: Request) -> Projection:
        projection = Projection(
            self._organisation, store, select=query.select, preferences=request.preferences
        )
        projection.expand(query.expand)
        return projection

    def _frame(
        self, store: RowStore, query: Query, request: Request, *, total: int
    ) -> dict[str, Any]:
        chosen = f"({','.join(query.select)})" if query.select else ""
        body: dict[str, Any] = {
            "@odata.context": f"{request.base}/$metadata#{store.table.set_name}{chosen}"
        }
        if query.count:
            body["@odata.count"] = min(total, COUNT_LIMIT)
        if request.preferences.wants("Microsoft.Dynamics.CRM.totalrecordcount"):
            body["@Microsoft.Dynamics.CRM.totalrecordcount"] = (
                min(total, COUNT_LIMIT) if query.count else -1
            )
            body["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"] = (
                query.count and total > COUNT_LIMIT
            )
            body["@Microsoft.Dynamics.CRM.globalmetadataversion"] = str(
                self._organisation.metadata_version
            )
        return body

    def _link(self, request: Request, name: str, token: str) -> str:
        if "repeat_next_link" in request.faults:
            return request.url
        link = with_token(request.url, name, token)
        if "foreign_next_link" in request.faults:
            return link.replace(request.base, "https://elsewhere.example/api/data/v9.2", 1)
        return link

    def _delta_link(self, request: Request, version: int) -> str:
        token = to_delta_token(version, self._organisation.now)
        return with_token(request.url, "$deltatoken", token)

    def _changes(
        self, store: RowStore, query: Query, position: Position, *, request: Request
    ) -> dict[str, Any]:
        """Rows changed since the token, by version, then what was deleted."""
        since = self._token_version(query.delta_token or "", store.table.set_name)
        size = request.preferences.page_size
        projection = self._projection(store, query, request)
        after = max(since, position.after)
        hidden = {
            sort_key(row_id) for row_id in self._organisation.hidden.get(store.table.set_name, ())
        }
        changed = [
            pair
            for pair in store.between("versionnumber", after + 1, position.snapshot)
            if pair[1] not in hidden
        ]
        deleted = store.deleted_between(since, position.snapshot)[position.deleted :]
        rows, room = changed[:size], max(size - len(changed), 0)
        body = self._frame(store, query, request, total=len(changed))
        body["@odata.context"] += "/$delta"
        context = f"{request.base}/$metadata#{store.table.set_name}/$deletedEntity"
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
            body["@odata.nextLink"] = self._link(request, "$skiptoken", to_cookie(following))
        else:
            body["@odata.deltaLink"] = self._delta_link(request, position.snapshot)
        return body

    def _token_version(self, token: str, set_name: str) -> int:
        version, made_at = from_delta_token(token)
        age = self._organisation.now - made_at
        days = timedelta(days=self._organisation.change_tracking_days)
        oldest = max(
            self._organisation.oldest_delta_version,
            self._organisation.oldest_version_of.get(set_name, 0),
        )
        if age > days or version < oldest:
            message = (
                "Version stamp associated with the client has expired. Please perform a full sync."
            )
            raise DataverseError(400, EXPIRED_VERSION_STAMP, message)
        return version

    def row(self, set_name: str, row_id: str, request: Request) -> dict[str, Any]:
        """One row by key."""
        query = parse_query(request.raw_query)
        if query.filter or query.orderby or query.top is not None:
            raise bad_query("The query option can't be applied to a single row.")
        with self._organisation.lock:
            store = self.store(set_name)
            projection = self._projection(store, query, request)
            row = store.rows.get(sort_key(row_id))
            if row is None:
                raise no_such_row(store.table.name, row_id)
            if row_id in self._organisation.hidden.get(set_name, ()):
                raise DataverseError(
                    403,
                    PRIVILEGE_DENIED,
                    "SecLib::AccessCheckEx failed. Returned hr = -2147187962.",
                )
            chosen = f"({','.join(query.select)})" if query.select else ""
            context = f"{request.base}/$metadata#{set_name}{chosen}/$entity"
            return {"@odata.context": context, **projection.render(row)}

    def count(self, set_name: str, request: Request) -> str:
        """`/$count`: the number of rows, or of changes since a delta token."""
        query = parse_query(request.raw_query)
        with self._organisation.lock:
            store = self.store(set_name)
            if query.delta_token is not None:
                since = self._token_version(query.delta_token, set_name)
                upto = self._organisation.version
                changed = store.between("versionnumber", since + 1, upto)
                return str(len(changed) + len(store.deleted_between(since, upto)))
            return str(
                min(len(self._listings.find(set_name, query, is_first=True).entries), COUNT_LIMIT)
            )
