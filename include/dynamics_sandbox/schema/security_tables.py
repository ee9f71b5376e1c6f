"""The tables that say who may read which secured column, and which of them are masked.

Every organisation has them. Columns, choices and relationships are those of the table reference;
the object type codes of the masking tables, which differ between organisations, are made up.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from dynamics_sandbox.schema import choices
from dynamics_sandbox.schema.attribute import Attribute
from dynamics_sandbox.schema.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The profile of the system administrators: it names every secured column.
ADMINISTRATORS: Final = "572329c1-a042-4e22-be47-367c6374ea45"
ALLOWED: Final = 4


class ReadUnmasked(IntEnum):
    """For how many records at once a profile may have values without their mask."""

    NOT_ALLOWED = 0
    ONE_RECORD = 1
    ALL_RECORDS = 3


_ALLOWED_OR_NOT: Final = choices.options("0=Not Allowed; 4=Allowed")
_UNMASKED: Final = choices.options("0=Not Allowed; 1=One Record; 3=All Records")
_SOLUTION: Final = (
    Attribute("versionnumber", "BigInt"),
    Attribute("componentstate", "Picklist", options=choices.COMPONENT_STATE),
    Attribute("ismanaged", "Boolean", options=choices.MANAGED),
)
_TIMES: Final = (Attribute("createdon", "DateTime"), Attribute("modifiedon", "DateTime"))
_ORGANIZATION: Final = Attribute("organizationid", "Lookup", targets=("organization",))


def _texts(**lengths: int) -> Iterator[Attribute]:
    return (Attribute(name, "String", max_length=length) for name, length in lengths.items())


_PROFILE: Final = (
    *_texts(name=100),
    Attribute("description", "Memo", max_length=2000),
    _ORGANIZATION,
    *_TIMES,
    *_SOLUTION,
)
_PERMISSION: Final = (
    Attribute("entityname", "EntityName", required_level="SystemRequired"),
    *_texts(attributelogicalname=128),
    *(
        Attribute(f"can{verb}", "Picklist", options=_ALLOWED_OR_NOT)
        for verb in ("read", "create", "update")
    ),
    Attribute("canreadunmasked", "Picklist", options=_UNMASKED),
    Attribute("fieldsecurityprofileid", "Lookup", targets=("fieldsecurityprofile",)),
    _ORGANIZATION,
    *_SOLUTION,
)
_MASKING_RULE: Final = (
    *_texts(name=100, displayname=100, maskedcharacter=1, regularexpression=4000),
    *_TIMES,
    *_SOLUTION,
)
_MASKED_COLUMN: Final = (
    *_texts(uniquename=256, entityname=128, attributelogicalname=128),
    Attribute("maskingruleid", "Lookup", targets=("maskingrule",)),
    *_TIMES,
    *_SOLUTION,
)


def _table(name: str, name_column: str, *, code: int, columns: tuple[Attribute, ...]) -> Table:
    key = Attribute(f"{name}id", "Uniqueidentifier")
    attributes = {attribute.name: attribute for attribute in (key, *columns)}
    return Table(name, f"{name}s", key.name, name_column, code, attributes, change_tracking=False)


SECURITY_TABLES: Final[Mapping[str, Table]] = {
    table.set_name: table
    for table in (
        _table("fieldsecurityprofile", "name", code=1200, columns=_PROFILE),
        _table("fieldpermission", "", code=1201, columns=_PERMISSION),
        _table("maskingrule", "name", code=10_101, columns=_MASKING_RULE),
        _table("attributemaskingrule", "uniquename", code=10_102, columns=_MASKED_COLUMN),
    )
}

# Entity sets on both sides of each relationship; the navigation property has its name on either.
MANY_TO_MANY: Final[Mapping[str, tuple[str, str]]] = {
    "systemuserprofiles_association": ("systemusers", "fieldsecurityprofiles"),
    "teamprofiles_association": ("teams", "fieldsecurityprofiles"),
    "teammembership_association": ("systemusers", "teams"),
}
# The set that has the navigation property, by which lookup of which set it leads to rows.
ONE_TO_MANY: Final[Mapping[str, tuple[str, str, str]]] = {
    "lk_fieldpermission_fieldsecurityprofileid": (
        "fieldsecurityprofiles",
        "fieldpermissions",
        "_fieldsecurityprofileid_value",
    ),
}
