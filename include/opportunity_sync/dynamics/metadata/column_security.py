"""Which columns under column security the application user reads as they are.

A column that it may not see reads as null. One under a masking rule reads as what the mask leaves,
also for those who may see the values: they come only where a request asks for that, as none of ours
does. Both would overwrite good data, and nothing in a row tells. So rights and rules are asked for,
once per run, and only where a column is secured; what can't be found out counts as no right.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import msgspec

from opportunity_sync.dynamics.metadata.attributes import require_list
from opportunity_sync.dynamics.metadata.sample_queries import is_not_found
from opportunity_sync.dynamics.pages.characters import replace_unstorable
from opportunity_sync.dynamics.pages.envelope import MALFORMED
from opportunity_sync.errors import ConfigError, QueryError, ResponseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.dynamics.metadata.attributes import Attribute
    from opportunity_sync.dynamics.metadata.column_types import Obstacle
    from opportunity_sync.model import Entity

_FUNCTION: Final = "Microsoft.Dynamics.CRM.RetrievePrincipalAttributePrivileges()"
_ALLOWED: Final = 4
_HIDDEN: Final = (
    "column security hides it from the application user, and it would read as null: "
    "a field security profile of the user, or of a team of it, has to allow it"
)
_NOT_TOLD: Final = (
    "metadata does not say whether column security lies over it, no field security profile allows "
    "it to the application user, and no row shows a value: it may be hidden and read as null"
)
_NOTHING: Final[frozenset[Any]] = frozenset()


@dataclass(frozen=True, slots=True)
class _Access:
    """Columns that may be read, by metadata id or by table and name, and those that are masked."""

    ids: frozenset[str] = _NOTHING
    names: frozenset[tuple[str, str]] = _NOTHING
    masked: frozenset[tuple[str, str]] = _NOTHING
    problem: str | None = None  # why it can't be found out


class ColumnSecurity:
    """What one user may read of the secured columns of some tables, asked for when first needed."""

    def __init__(self, client: DataverseClient, user_id: str, entities: Sequence[Entity]) -> None:
        self._client = client
        self._user = f"systemusers({user_id})"
        self._tables = tuple(entity.name for entity in entities)
        self._lock = Lock()
        self._found: _Access | None = None

    def obstacle(self, entity: Entity, attribute: Attribute) -> Obstacle | None:
        """What column security leaves of a column; None where it is read like any other.

        A column that metadata says nothing of may be secured.
        """
        if attribute.is_secured is False:
            return None
        access, name = self._access(), (entity.name, attribute.logical_name)
        if access.problem is not None:
            return "secured", (
                "column security lies over it, and whether the application user may read it can't "
                f"be found out: {access.problem}"
            )
        is_allowed = name in access.names or attribute.metadata_id in access.ids
        if name in access.masked and (is_allowed or attribute.is_secured is None):
            return "masked", "a masking rule lies over it: what comes are not its values"
        if is_allowed:
            return None
        return "secured", _HIDDEN if attribute.is_secured else _NOT_TOLD

    def is_told_by_values(self, attribute: Attribute) -> bool:
        """Whether only values show what `obstacle` could not know of a column.

        What hides a column hides all of its values. So one that has a value in a row is not hidden,
        though metadata does not say so; while the rights are unknown, it may be a mask.
        """
        return self.is_unknown or attribute.is_secured is None

    @property
    def is_unknown(self) -> bool:
        """Whether the rights were asked for, and the question was refused."""
        return self._found is not None and self._found.problem is not None

    def _access(self) -> _Access:
        with self._lock:
            if self._found is None:
                self._found = self._ask()
            return self._found

    def _ask(self) -> _Access:
        try:
            masked = _read_masked(self._client, self._tables)
            try:
                return _Access(ids=_read_allowed_ids(self._client, self._user), masked=masked)
            except (ConfigError, ResponseError):
                names = _read_allowed_names(self._client, self._user, self._tables)
                return _Access(names=names, masked=masked)
        except ConfigError as error:
            return _Access(problem=error.problem)


def _read_allowed_ids(client: DataverseClient, user: str) -> frozenset[str]:
    """What the function says that counts teams in, and needs no more than the right to read users.

    It names columns by the ids of their metadata.
    """
    answer = client.get_json(f"{user}/{_FUNCTION}")
    rows = require_list(answer, "AttributePrivileges", of="the user's secured columns")
    return frozenset(
        found.lower()
        for row in rows
        if row.get("CanRead") == _ALLOWED and isinstance(found := row.get("AttributeId"), str)
    )


def _read_allowed_names(
    client: DataverseClient, user: str, tables: Sequence[str]
) -> frozenset[tuple[str, str]]:
    """Where the function is not to be had: the permissions of the user's and its teams' profiles.

    That takes a request per team, and rights that few roles have.
    """
    key = "fieldsecurityprofileid"
    profiles = set(_read_ids(client, f"{user}/systemuserprofiles_association", key))
    for team in _read_ids(client, f"{user}/teammembership_association", "teamid"):
        profiles.update(_read_ids(client, f"teams({team})/teamprofiles_association", key))
    of = f"_{key}_value"
    select = f"entityname,attributelogicalname,canread,{of}"
    permissions = _read_rows(client, "fieldpermissions", select=select, tables=tables)
    return _named_columns(
        row
        for row in permissions
        if str(row.get(of)).lower() in profiles and row.get("canread") == _ALLOWED
    )


def _read_masked(client: DataverseClient, tables: Sequence[str]) -> frozenset[tuple[str, str]]:
    """The columns under a masking rule; none in an organisation that knows no such rules."""
    names = "entityname,attributelogicalname"
    try:
        return _named_columns(
            _read_rows(client, "attributemaskingrules", select=names, tables=tables)
        )
    except QueryError as error:
        if not is_not_found(error):
            raise
        return _NOTHING


def _named_columns(rows: Iterable[dict[str, Any]]) -> frozenset[tuple[str, str]]:
    return frozenset(
        (str(row.get("entityname")), str(row.get("attributelogicalname"))) for row in rows
    )


def _read_ids(client: DataverseClient, path: str, key: str) -> list[str]:
    rows = _read_rows(client, path, select=key)
    return [found.lower() for row in rows if isinstance(found := row.get(key), str)]


def _read_rows(
    client: DataverseClient, path: str, *, select: str, tables: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    params = {"$select": select}
    if tables:
        params["$filter"] = " or ".join(f"entityname eq '{table}'" for table in tables)
    for page in client.pages(path, params=params, prefer=()):
        try:
            text, _ = replace_unstorable(page.body)
            answer = msgspec.json.decode(text, type=dict[str, Any])
        except MALFORMED as error:
            raise ResponseError(f"A page of {path} is not the JSON it should be.") from error
        yield from require_list(answer, "value", of=path)
