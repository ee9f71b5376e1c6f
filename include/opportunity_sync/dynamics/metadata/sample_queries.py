"""What a query for a few rows shows of columns that metadata can be wrong about.

Metadata can lack a column that is there, and name one that no query knows. So all columns are asked
for at once, before any of them is given up. Dataverse names the first that it does not know. That
one is left out, and the rest is asked for again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import requests

from opportunity_sync.dynamics.metadata.attributes import require_list
from opportunity_sync.errors import ConfigError, QueryError, SyncError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.model import Entity, Field

_UNKNOWN_PROPERTY: Final = re.compile(r"Could not find a property named '([^']+)'")
_SAMPLE: Final = "50"


def find_unknown_fields(
    client: DataverseClient, entity: Entity, fields: Sequence[Field], *, in_doubt: Collection[Field]
) -> list[Field]:
    """The fields that a query does not know.

    Optional ones that metadata lacks (`in_doubt`) and that no rule needs come with one solution:
    where metadata has none of them, a query that does not know one of them speaks for all.
    """
    extras = {field for field in fields if field.optional and field not in entity.facts}
    unknown: list[Field] = []
    while True:
        asked = [field for field in fields if field not in unknown]
        field = _find_unknown_field(client, entity, asked)
        if field is None:
            return unknown
        stands_for_all = field in extras and extras <= set(in_doubt)
        unknown += [other for other in asked if other in extras] if stands_for_all else [field]


def find_fields_with_values(
    client: DataverseClient, entity: Entity, fields: Sequence[Field]
) -> frozenset[Field]:
    """The fields that have a value in one of a few rows; none where a query does not tell."""
    if not fields:
        return frozenset()
    params = {"$select": ",".join(field.select for field in fields), "$top": _SAMPLE}
    try:
        rows = _read_rows(client, entity, params)
    except QueryError:
        return frozenset()
    return frozenset(
        field for field in fields if any(row.get(field.select) is not None for row in rows)
    )


def read_a_value(client: DataverseClient, entity: Entity, name: str) -> str | None:
    """A time's value in any row; None where no row has a value yet, or may show one."""
    params = {"$select": name, "$filter": f"{name} ne null", "$top": "1"}
    try:
        rows = _read_rows(client, entity, params)
    except QueryError:
        return None
    values = [row.get(name) for row in rows]
    return next((value for value in values if isinstance(value, str)), None)


def _read_rows(
    client: DataverseClient, entity: Entity, params: Mapping[str, str]
) -> list[dict[str, Any]]:
    return require_list(
        client.get_json(entity.set_name, params), "value", of=f"rows of {entity.name}"
    )


def missing_table_error(entity: Entity) -> ConfigError:
    """The organisation lacks a table."""
    return ConfigError(
        f"The organisation has no table {entity.name} ({entity.set_name}).",
        next_step="check that the connection's host is an organisation with Dynamics 365 Sales",
    )


def is_not_found(error: SyncError) -> bool:
    """Whether an error is that of a resource that is not there."""
    return error.request is not None and error.request.status == requests.codes.not_found


def _find_unknown_field(
    client: DataverseClient, entity: Entity, fields: Sequence[Field]
) -> Field | None:
    """The first of the fields that a query does not know; None where it knows them all."""
    select = ",".join(dict.fromkeys((entity.key, "versionnumber", *(f.select for f in fields))))
    try:
        client.get_json(entity.set_name, {"$select": select, "$top": "1"})
    except QueryError as error:
        if is_not_found(error):
            raise missing_table_error(entity) from error
        named = _UNKNOWN_PROPERTY.search(error.problem)
        found = next((field for field in fields if named and field.select == named[1]), None)
        if found is None:
            raise
        return found
    return None
