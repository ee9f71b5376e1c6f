"""The rows that grant access to secured columns, and who is a member of what.

They are rows like any others, so that a client can ask for them; who is in which team or profile
is kept as pairs of ids, one set for each relationship. The administrators' profile names every
secured column at any time, as Dataverse sees to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import NAMESPACE_OID, uuid5

from dynamics_sandbox.organisation.changing_columns import ChangingColumns
from dynamics_sandbox.organisation.held_rows import instant
from dynamics_sandbox.schema.security_tables import (
    ADMINISTRATORS,
    ALLOWED,
    MANY_TO_MANY,
    SECURITY_TABLES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dynamics_sandbox.schema.table import Table

PROFILES: Final = "fieldsecurityprofiles"
PERMISSIONS: Final = "fieldpermissions"
_MASKS: Final = "attributemaskingrules"
_RULES: Final = "maskingrules"
# By the set of a principal: the relationship that puts it into profiles.
_ASSOCIATION_OF: Final = {
    "systemusers": "systemuserprofiles_association",
    "teams": "teamprofiles_association",
}
Rights: TypeAlias = "dict[str, int]"  # the columns of a field permission that say what is allowed
_RIGHTS: Final = ("canread", "cancreate", "canupdate", "canreadunmasked")


class SecurityRows(ChangingColumns):
    """Rows, with those of the security tables among them."""

    def __init__(
        self, tables: Mapping[str, Table], rows: Mapping[str, Iterable[Mapping[str, Any]]]
    ) -> None:
        """Begin with the administrators' profile alone, unless the rows bring others."""
        super().__init__({**SECURITY_TABLES, **tables}, rows)
        made_up = str(uuid5(NAMESPACE_OID, "application-user"))
        self.user_id = self._first_id("systemusers") or made_up
        self.associations: dict[str, set[tuple[str, str]]] = {name: set() for name in MANY_TO_MANY}
        if self.stores[PROFILES].get(ADMINISTRATORS) is None:
            self._write(PROFILES, ADMINISTRATORS, name="System Administrator")
        self._name_secured_columns()

    @property
    def is_field_security_administrator(self) -> bool:
        """Whether the application user reads every secured column as an administrator does."""
        pair = (self.user_id, ADMINISTRATORS)
        return pair in self.associations[_ASSOCIATION_OF["systemusers"]]

    @is_field_security_administrator.setter
    def is_field_security_administrator(self, is_one: bool) -> None:
        with self.lock:
            self.generation += 1
            pairs = self.associations[_ASSOCIATION_OF["systemusers"]]
            change = pairs.add if is_one else pairs.discard
            change((self.user_id, ADMINISTRATORS))

    def join_team(self, team_id: str) -> None:
        """Make the application user a member of a team that is there."""
        with self.lock:
            self.row("teams", team_id)
            self.generation += 1
            self.associations["teammembership_association"].add((self.user_id, team_id))

    def leave_team(self, team_id: str) -> None:
        """End the application user's membership."""
        with self.lock:
            self.generation += 1
            self.associations["teammembership_association"].remove((self.user_id, team_id))

    def column_rights(self, set_name: str, principal_id: str) -> dict[tuple[str, str], Rights]:
        """What a user or team may do with secured columns, by table and column.

        A user has the rights of its teams as well. Rights are those of a field permission; of
        several the widest counts.
        """
        with self.lock:
            profiles = self._profiles_of(set_name, principal_id)
            found: dict[tuple[str, str], Rights] = {}
            for row in self.rows(PERMISSIONS):
                if row["_fieldsecurityprofileid_value"] in profiles:
                    column = row["entityname"], row["attributelogicalname"]
                    known = found.get(column, dict.fromkeys(_RIGHTS, 0))
                    found[column] = {name: max(known[name], row[name] or 0) for name in _RIGHTS}
            return found

    def _profiles_of(self, set_name: str, principal_id: str) -> set[str]:
        pairs = self.associations[_ASSOCIATION_OF[set_name]]
        profiles = {profile for member, profile in pairs if member == principal_id}
        if set_name == "systemusers":
            memberships = self.associations["teammembership_association"]
            for team in (team for user, team in memberships if user == principal_id):
                profiles |= self._profiles_of("teams", team)
        return profiles

    def _own_profile(self, team: str | None) -> str:
        """The profile that has the user, or a team, as its only member; made when first needed."""
        set_name, principal_id = ("systemusers", self.user_id) if team is None else ("teams", team)
        if team is not None:
            self.row("teams", team)
        made = own_profile_id(set_name, principal_id)
        if self.stores[PROFILES].get(made) is None:
            self._write(PROFILES, made, name=f"Columns of {set_name} {principal_id[:8]}")
        self.associations[_ASSOCIATION_OF[set_name]].add((principal_id, made))
        return made

    def _write_permission(self, profile: str, table: str, column: str, **rights: int) -> None:
        self._write(
            PERMISSIONS,
            _permission_id(profile, table, column),
            entityname=table,
            attributelogicalname=column,
            _fieldsecurityprofileid_value=profile,
            **dict.fromkeys(_RIGHTS, 0) | rights,
        )

    def _remove_permission(self, profile: str, table: str, column: str) -> None:
        """Take a permission away; a `KeyError` where there is none."""
        permission = _permission_id(profile, table, column)
        self.row(PERMISSIONS, permission)
        self.stores[PERMISSIONS].remove(permission, version=self.next_version())

    def _remove_permissions(self, table: str, column: str) -> None:
        """Take every permission on a column away but the administrators'."""
        for row in self.rows(PERMISSIONS):
            profile = row["_fieldsecurityprofileid_value"]
            named = row["entityname"], row["attributelogicalname"]
            if named == (table, column) and profile != ADMINISTRATORS:
                self._remove_permission(profile, table, column)

    def _write_mask(self, table: str, column: str, *, pattern: str, character: str) -> None:
        mask = _mask_id(table, column)
        rule = str(uuid5(NAMESPACE_OID, f"rule {pattern} {character}"))
        named = {"name": f"new_rule_{rule[:8]}", "displayname": f"Rule {rule[:8]}"}
        self._write(_RULES, rule, **named, regularexpression=pattern, maskedcharacter=character)
        self._write(
            _MASKS,
            mask,
            uniquename=f"{table}_{column}",
            entityname=table,
            attributelogicalname=column,
            _maskingruleid_value=rule,
        )

    def _remove_mask(self, table: str, column: str) -> None:
        if self._mask_row(table, column) is not None:
            self.stores[_MASKS].remove(_mask_id(table, column), version=self.next_version())

    def _mask_row(self, table: str, column: str) -> dict[str, Any] | None:
        """The masking rule over a column, if there is one."""
        masked = self.stores[_MASKS].get(_mask_id(table, column))
        return None if masked is None else self.row(_RULES, masked["_maskingruleid_value"])

    def _note_new_metadata(self) -> None:
        super()._note_new_metadata()
        self._name_secured_columns()

    def _name_secured_columns(self) -> None:
        """Let the administrators' profile name every column that is secured now, and no other."""
        secured = {
            (table.name, name)
            for table in map(self.table, self.stores)
            for name, column in table.attributes.items()
            if column.is_secured
        }
        named = {
            (row["entityname"], row["attributelogicalname"])
            for row in self.rows(PERMISSIONS)
            if row["_fieldsecurityprofileid_value"] == ADMINISTRATORS
        }
        for table, column in sorted(secured - named):
            allowed = dict.fromkeys(_RIGHTS[:3], ALLOWED)
            self._write_permission(ADMINISTRATORS, table, column, **allowed)
        for table, column in sorted(named - secured):
            self._remove_permission(ADMINISTRATORS, table, column)

    def _table_of(self, set_name: str) -> str:
        return self.stores[set_name].table.name

    def _write(self, set_name: str, row_id: str, **values: Any) -> None:
        store = self.stores[set_name]
        now = instant(self.now)
        defaults = {
            "createdon": now, "modifiedon": now, "componentstate": 0, "ismanaged": False,
        }  # fmt: skip
        known = {name: value for name, value in defaults.items() if name in store.by_property}
        own = {store.table.key: row_id, "versionnumber": self.next_version()}
        store.put({**known, **values, **own})


def own_profile_id(set_name: str, principal_id: str) -> str:
    """The id of the profile that has this principal as its only member."""
    return str(uuid5(NAMESPACE_OID, f"profile of {set_name}({principal_id})"))


def _permission_id(profile: str, table: str, column: str) -> str:
    return str(uuid5(NAMESPACE_OID, f"permission {profile} {table}.{column}"))


def _mask_id(table: str, column: str) -> str:
    return str(uuid5(NAMESPACE_OID, f"mask {table}.{column}"))
