"""The Web API functions that a reader of tables needs.

`WhoAmI`, `RetrieveVersion`, `RetrieveUserPrivileges` (which counts what teams give as Basic),
`RetrieveUserSetOfPrivilegesByNames` (which counts it in full), `RetrievePrincipalAccess`,
`RetrievePrincipalAttributePrivileges` (what a user or team may do with secured columns),
`RetrieveTotalRecordCount` and the service document.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from uuid import NAMESPACE_OID, uuid5

from dynamics_sandbox.odata.dataverse_error import bad_query, no_such_row, unknown_resource
from dynamics_sandbox.odata.query_options import split_options
from dynamics_sandbox.organisation.row_store import sort_key
from dynamics_sandbox.webapi.metadata_json import metadata_id
from dynamics_sandbox.webapi.table_reader import TableReader, privilege_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dynamics_sandbox.organisation.organisation import Organisation
    from dynamics_sandbox.webapi.table_request import Request

_OF_PRINCIPAL = re.compile(
    r"(?P<set>systemusers|teams)\((?P<id>[0-9a-fA-F-]{36})\)"
    r"/Microsoft\.Dynamics\.CRM\.(?P<name>\w+)(?P<arguments>\(.*\))?"
)
_COUNT = re.compile(r"RetrieveTotalRecordCount\(EntityNames=(?P<names>.+)\)")
_TARGET = re.compile(r"(?P<set>\w+)\((?P<id>[0-9a-fA-F-]{36})\)")
_OF_COLUMNS = "RetrievePrincipalAttributePrivileges"
_BY_NAMES = "RetrieveUserSetOfPrivilegesByNames"
_PRIVILEGE_NAMES = re.compile(r"\(PrivilegeNames=(?P<names>@\w+|\[.*\])\)")
_TYPE = "Microsoft.Dynamics.CRM"


class Functions:
    """Functions on one organisation."""

    def __init__(self, organisation: Organisation, tables: TableReader) -> None:
        """Answer for this organisation, whose tables are read by `tables`."""
        self._organisation = organisation
        self._tables = tables

    def call(self, rest: str, request: Request) -> dict[str, Any] | None:
        """The result of a function, or nothing where the path names none."""
        plain = {
            "WhoAmI": self._who_am_i,
            "RetrieveVersion": self._version,
            "": self._service_document,
        }
        if (name := rest.removesuffix("()")) in plain:
            return plain[name](request)
        if match := _COUNT.fullmatch(rest):
            return self._record_counts(match["names"], request)
        if match := _OF_PRINCIPAL.fullmatch(rest):
            return self._of_principal(match, request)
        return None

    def _context(self, request: Request, name: str) -> str:
        return f"{request.base}/$metadata#{_TYPE}.{name}Response"

    def _who_am_i(self, request: Request) -> dict[str, Any]:
        return {
            "@odata.context": self._context(request, "WhoAmI"),
            "BusinessUnitId": self._organisation.business_unit_id,
            "UserId": self._organisation.user_id,
            "OrganizationId": self._organisation.organisation_id,
        }

    def _version(self, request: Request) -> dict[str, Any]:
        return {
            "@odata.context": self._context(request, "RetrieveVersion"),
            "Version": "9.2.25112.00178",
        }

    def _service_document(self, request: Request) -> dict[str, Any]:
        sets = [
            {"name": name, "kind": "EntitySet", "url": name}
            for name in sorted(self._organisation.stores)
        ]
        return {"@odata.context": f"{request.base}/$metadata", "value": sets}

    def _record_counts(self, names: str, request: Request) -> dict[str, Any]:
        wanted = _names("EntityNames", names, request)
        sets = self._organisation.set_of
        counts = {
            name: len(self._organisation.stores[sets[name]]) for name in wanted if name in sets
        }
        collection = {
            "Count": len(counts),
            "IsReadOnly": False,
            "Keys": list(counts),
            "Values": list(counts.values()),
        }
        return {
            "@odata.context": self._context(request, "RetrieveTotalRecordCount"),
            "EntityRecordCountCollection": collection,
        }

    def _of_principal(self, match: re.Match[str], request: Request) -> dict[str, Any]:
        """A function of one user or team; all but one are of users only."""
        store, row_id = self._organisation.stores[match["set"]], match["id"].lower()
        if row_id != self._organisation.user_id and not store.get(row_id):
            raise no_such_row(store.table.name, row_id)
        if match["name"] == _OF_COLUMNS:
            return self._column_privileges(match["set"], row_id, request=request)
        if match["set"] != "systemusers":
            raise unknown_resource(f"{_TYPE}.{match['name']}")
        if match["name"] == "RetrieveUserPrivileges":
            return self._privileges(match["name"], self._own_depths(), request)
        if match["name"] == _BY_NAMES:
            return self._privileges_by_names(match["arguments"] or "", request)
        if match["name"] == "RetrievePrincipalAccess":
            return self._access(request)
        raise unknown_resource(f"{_TYPE}.{match['name']}")

    def _column_privileges(
        self, set_name: str, principal_id: str, *, request: Request
    ) -> dict[str, Any]:
        """The rights on columns that are secured now; columns are named by their metadata's id."""
        self._tables.store("systemusers")  # asks for the privilege to read users
        organisation = self._organisation
        rights = organisation.column_rights(set_name, principal_id)
        privileges = [
            {
                "AttributeId": metadata_id(table, name),
                "CanRead": allowed["canread"],
                "CanCreate": allowed["cancreate"],
                "CanUpdate": allowed["canupdate"],
                "CanReadUnMasked": allowed["canreadunmasked"],
            }
            for (table, name), allowed in sorted(rights.items())
            if (column := organisation.attribute(organisation.set_of[table], name))
            and column.is_secured
        ]
        return {
            "@odata.context": self._context(request, _OF_COLUMNS),
            "AttributePrivileges": privileges,
        }

    def _own_depths(self) -> dict[str, str]:
        """Of own roles as they are, of teams' roles Basic, however deep they reach."""
        teams = self._organisation.team_depth
        shallow = {table: "Basic" for table, depth in teams.items() if depth != "None"}
        own = self._organisation.read_depth
        return {**shallow, **{table: own[table] for table in own if own[table] != "None"}}

    def _privileges_by_names(self, arguments: str, request: Request) -> dict[str, Any]:
        match = _PRIVILEGE_NAMES.fullmatch(arguments)
        if match is None:
            raise bad_query(f"{_BY_NAMES} needs PrivilegeNames.")
        wanted = {name.lower() for name in _names("PrivilegeNames", match["names"], request)}
        depths = {
            table: self._organisation.depth(table)
            for table in self._organisation.set_of
            if privilege_name(table).lower() in wanted
        }
        return self._privileges(_BY_NAMES, depths, request)

    def _privileges(
        self, function: str, depths: Mapping[str, str], request: Request
    ) -> dict[str, Any]:
        unit = self._organisation.business_unit_id
        privileges = [
            {
                "Depth": depth,
                "PrivilegeId": str(uuid5(NAMESPACE_OID, f"prvRead{table}")),
                "BusinessUnitId": unit,
                "PrivilegeName": privilege_name(table),
                "RecordFilterId": _NO_FILTER,
                "RecordFilterUniqueName": "",
            }
            for table, depth in depths.items()
            if depth != "None"
        ]
        return {
            "@odata.context": self._context(request, function),
            "RolePrivileges": privileges,
        }

    def _access(self, request: Request) -> dict[str, Any]:
        options = split_options(request.raw_query)
        target = _TARGET.search(unquote(options.get("@t", options.get("@target", ""))))
        if target is None or target["set"] not in self._organisation.stores:
            raise bad_query("RetrievePrincipalAccess needs a Target.")
        store = self._organisation.stores[target["set"]]
        row_id = target["id"].lower()
        if sort_key(row_id) not in store.rows:
            raise no_such_row(store.table.name, row_id)
        depth = self._organisation.depth(store.table.name)
        seen = depth != "None" and row_id not in self._organisation.hidden.get(target["set"], ())
        rights = "ReadAccess" if seen else "None"
        return {
            "@odata.context": self._context(request, "RetrievePrincipalAccess"),
            "AccessRights": rights,
        }


def _names(parameter: str, text: str, request: Request) -> list[str]:
    """An array of names, written out or by its alias."""
    given = split_options(request.raw_query).get(text, text) if text.startswith("@") else text
    try:
        names = json.loads(given.replace("'", '"'))
    except ValueError as error:
        raise bad_query(f"{parameter} must be an array of names.") from error
    return [str(name) for name in names]


_NO_FILTER = "00000000-0000-0000-0000-000000000000"
