"""Who reads what of a secured column: its values, what a mask leaves of them, or nothing.

A secured column reads as null for everyone but the system administrators and the members, by
themselves or through a team, of a profile that allows it. Where a masking rule lies over the
column, they read what the rule leaves: the value itself comes only where the request asks for it
(`UnMaskedData=true`) and the profile allows that for so many records. So it is documented, for
application users too; that a rule holds for system administrators as well is told of live
organisations, and not documented. Nothing in a row shows which of this happened, and no version of
it moves.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from dynamics_sandbox.organisation.masking import MASKABLE_TYPES, MaskingRule
from dynamics_sandbox.organisation.security_rows import SecurityRows, own_profile_id
from dynamics_sandbox.schema.security_tables import ALLOWED, ReadUnmasked

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN_RULE: Final = MaskingRule()


class Access(Enum):
    """What comes of a column's values."""

    VALUE = auto()
    MASKED = auto()
    NOTHING = auto()


class ColumnSecurity(SecurityRows):
    """Rows of which the application user reads as much as it may."""

    def secure_column(self, set_name: str, name: str, *, masked: bool = False) -> None:
        """Put a column under column security; with `masked` its values come through a mask.

        Rights and rules that are there already stay, as in Dataverse.
        """
        with self.lock:
            self._redefine(set_name, name, is_secured=True)
            if masked:
                self.mask_column(set_name, name)
                self.grant_column(set_name, name)

    def unsecure_column(self, set_name: str, name: str) -> None:
        """Take a column out of column security; its rights and rules stay, without effect."""
        self._redefine(set_name, name, is_secured=False)

    def mask_column(
        self,
        set_name: str,
        name: str,
        *,
        pattern: str = _PLAIN_RULE.pattern,
        character: str = _PLAIN_RULE.character,
    ) -> None:
        """Lay a masking rule over a column: `character` for whatever matches `pattern`."""
        kind = self._definition_of(set_name, name).type
        if kind not in MASKABLE_TYPES:
            raise ValueError(f"{name} is {kind}, and only a text or number can be masked")
        with self.lock:
            self._write_mask(self._table_of(set_name), name, pattern=pattern, character=character)

    def unmask_column(self, set_name: str, name: str) -> None:
        """Take the masking rule off a column."""
        with self.lock:
            self._remove_mask(self._table_of(set_name), name)

    def grant_column(
        self, set_name: str, name: str, *, team: str | None = None, unmasked: int = 0
    ) -> str:
        """Let the application user, or a team, read a secured column; gives the profile's id.

        `unmasked` is one of `ReadUnmasked`; other than "not allowed" it needs a masking rule.
        """
        table = self._table_of(set_name)
        self._definition_of(set_name, name)
        with self.lock:
            if unmasked and self._mask_row(table, name) is None:
                raise ValueError(f"{name} has no mask that could be lifted")
            rights = {"canread": ALLOWED, "canreadunmasked": int(ReadUnmasked(unmasked))}
            profile = self._own_profile(team)
            self._write_permission(profile, table, name, **rights)
            return profile

    def revoke_column(self, set_name: str, name: str, *, team: str | None = None) -> None:
        """Take the right to read a column from the application user, or from a team."""
        with self.lock:
            principal = ("systemusers", self.user_id) if team is None else ("teams", team)
            self._remove_permission(own_profile_id(*principal), self._table_of(set_name), name)

    def restore_column(self, set_name: str, name: str) -> None:
        """Bring a column back as the schema has it, with its values, for everyone to read."""
        with self.lock:
            super().restore_column(set_name, name)
            self._remove_mask(self._table_of(set_name), name)
            self._remove_permissions(self._table_of(set_name), name)

    def column_access(
        self, set_name: str, name: str, asked: ReadUnmasked = ReadUnmasked.NOT_ALLOWED
    ) -> Access:
        """What the application user gets; `asked`: for how many records it asks without masks."""
        column, table = self.attribute(set_name, name), self._table_of(set_name)
        if column is None or not column.is_secured:
            return Access.VALUE
        rights = self.column_rights("systemusers", self.user_id).get((table, name), {})
        if rights.get("canread") != ALLOWED:
            return Access.NOTHING
        if self._mask_row(table, name) is None:
            return Access.VALUE
        allowed = rights["canreadunmasked"]
        if self.is_field_security_administrator:
            allowed = ReadUnmasked.ALL_RECORDS
        return Access.VALUE if 0 < asked <= allowed else Access.MASKED

    def conversion(
        self, set_name: str, name: str, asked: ReadUnmasked = ReadUnmasked.NOT_ALLOWED
    ) -> Callable[[Any], Any] | None:
        """How what is answered differs from the value that a row holds, if it does."""
        retype = self.type_conversion(set_name, name)
        if self.column_access(set_name, name, asked) is not Access.MASKED:
            return retype
        row = self._mask_row(self._table_of(set_name), name) or {}
        mask = MaskingRule(row["regularexpression"], row["maskedcharacter"]).mask
        return mask if retype is None else lambda value: mask(retype(value))
