"""GET on a table: pages of rows, one row, rows related to one, a count.

All evaluation happens under the organisation's lock and yields tuples, so that rows may be changed
while answers are being written. The faults that concern a page are applied here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from dynamics_sandbox.odata.dataverse_error import (
    PRIVILEGE_DENIED,
    DataverseError,
    bad_query,
    no_such_row,
    unknown_resource,
)
from dynamics_sandbox.odata.listing import Listing, Listings
from dynamics_sandbox.odata.page_tokens import Position, from_cookie, to_cookie
from dynamics_sandbox.odata.projection import Projection, Wanted
from dynamics_sandbox.odata.query_options import Query, parse_query
from dynamics_sandbox.organisation.row_store import RowStore, sort_key
from dynamics_sandbox.schema.security_tables import ReadUnmasked
from dynamics_sandbox.webapi.change_feed import ChangeFeed
from dynamics_sandbox.webapi.related_rows import related_ids
from dynamics_sandbox.webapi.table_request import COUNT_LIMIT, Request

if TYPE_CHECKING:
    from dynamics_sandbox.organisation.organisation import Organisation

# Of the privileges' names only those of the standard tables are verified.
_PRIVILEGE_NAMES: Final = {
    "systemuser": "User",
    "connectionrole": "ConnectionRole",
    "transactioncurrency": "TransactionCurrency",
    "fieldsecurityprofile": "FieldSecurityProfile",
    "fieldpermission": "FieldPermission",
    "maskingrule": "MaskingRule",
    "attributemaskingrule": "AttributeMaskingRule",
}


def privilege_name(table: str) -> str:
    """The privilege that reading a table needs."""
    return f"prvRead{_PRIVILEGE_NAMES.get(table, table.capitalize())}"


class TableReader:
    """Answers questions about the rows of an organisation."""

    def __init__(self, organisation: Organisation) -> None:
        """Read this organisation."""
        self._organisation = organisation
        self._listings = Listings(organisation)
        self._feed = ChangeFeed(organisation)

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
            if not tracking:
                return self._page(store, query, position, request=request)
            self._feed.check(store, request)
            snapshot = position.snapshot or self._organisation.version
            position = replace(position, is_tracking=True, snapshot=snapshot)
            if query.delta_token is None:
                return self._page(store, query, position, request=request)
            wanted = _wanted_values(query, request)
            return self._feed.changes(
                store, query, position=position, request=request, wanted=wanted
            )

    def related_page(
        self, set_name: str, row_id: str, *, navigation: str, request: Request
    ) -> dict[str, Any]:
        """One page of the rows that a collection-valued navigation property leads to."""
        query = parse_query(request.raw_query)
        position = from_cookie(query.skip_token) if query.skip_token else Position()
        with self._organisation.lock:
            store = self.store(set_name)
            target, ids = related_ids(self._organisation, set_name, row_id, navigation=navigation)
            is_caller = (set_name, row_id) == ("systemusers", self._organisation.user_id)
            if sort_key(row_id) not in store.rows and not is_caller:
                raise no_such_row(store.table.name, row_id)
            within = frozenset(map(sort_key, ids))
            listing = self._listings.find_within(target, query, within)
            return self._rows(self.store(target), query, position, request=request, listing=listing)

    def _page(
        self, store: RowStore, query: Query, position: Position, *, request: Request
    ) -> dict[str, Any]:
        is_first = query.skip_token is None
        listing = self._listings.find(store.table.set_name, query, is_first=is_first)
        return self._rows(store, query, position, request=request, listing=listing)

    def _rows(
        self,
        store: RowStore,
        query: Query,
        position: Position,
        *,
        request: Request,
        listing: Listing,
    ) -> dict[str, Any]:
        projection = self._projection(store, query, _wanted_values(query, request))
        size = request.preferences.page_size
        is_cut = query.top is not None and not request.preferences.has_page_size
        size = min(size, query.top or 0) if is_cut else size
        keys, has_more = listing.page(position, size) if size else ([], False)
        if "empty_page" in request.faults:
            keys, has_more = [], True
        rows = [store.rows[key] for key in keys]
        set_name, version = store.table.set_name, self._organisation.metadata_version
        total = len(listing.entries)
        body = request.frame(set_name, query, total=total, metadata_version=version)
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
            body["@odata.nextLink"] = request.link("$skiptoken", to_cookie(following))
        elif position.is_tracking:
            body["@odata.deltaLink"] = self._feed.link(
                set_name,
                position.snapshot,
                request=request,
                columns=() if query.select else projection.names,
            )
        return body

    def _projection(self, store: RowStore, query: Query, wanted: Wanted) -> Projection:
        projection = Projection(self._organisation, store, wanted)
        projection.expand(query.expand)
        return projection

    def row(self, set_name: str, row_id: str, request: Request) -> dict[str, Any]:
        """One row by key."""
        query = parse_query(request.raw_query)
        if query.filter or query.orderby or query.top is not None:
            raise bad_query("The query option can't be applied to a single row.")
        with self._organisation.lock:
            store = self.store(set_name)
            wanted = _wanted_values(query, request, asked=ReadUnmasked.ONE_RECORD)
            projection = self._projection(store, query, wanted)
            row = store.rows.get(sort_key(row_id))
            if row is None:
                raise no_such_row(store.table.name, row_id)
            if row_id in self._organisation.hidden.get(set_name, ()):
                raise DataverseError(
                    403,
                    PRIVILEGE_DENIED,
                    "SecLib::AccessCheckEx failed. Returned hr = -2147187962.",
                )
            context = f"{request.context(set_name, query)}/$entity"
            return {"@odata.context": context, **projection.render(row)}

    def count(self, set_name: str, request: Request) -> str:
        """`/$count`: the number of rows, or of changes since a delta token."""
        query = parse_query(request.raw_query)
        with self._organisation.lock:
            store = self.store(set_name)
            if query.delta_token is not None:
                return str(self._feed.count(store, query.delta_token))
            listing = self._listings.find(set_name, query, is_first=True)
            return str(min(len(listing.entries), COUNT_LIMIT))


def _wanted_values(
    query: Query, request: Request, *, asked: ReadUnmasked = ReadUnmasked.ALL_RECORDS
) -> Wanted:
    """What the rows of the answer are to hold; unmasked values where the request asks for them."""
    unmasked = asked if query.unmasked_data else ReadUnmasked.NOT_ALLOWED
    return Wanted(query.select, request.preferences, unmasked)
