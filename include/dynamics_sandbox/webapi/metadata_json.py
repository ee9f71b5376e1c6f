"""A table or column of the schema as Dataverse's metadata JSON.

Common properties only; what belongs to a type (lengths, targets, option sets) comes with a cast to
it (`metadata_casts`). Ids are derived from names, so that they stay the same between runs. Where a
property is not described for each kind of column (`IsLogical`, `IsRetrievable`,
`IsValidODataAttribute`), its value here is not verified.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_OID, uuid5

from dynamics_sandbox.schema.attribute_types import TYPES
from dynamics_sandbox.schema.shadow_columns import metadata_columns

if TYPE_CHECKING:
    from dynamics_sandbox.schema.attribute import Attribute
    from dynamics_sandbox.schema.table import Table

_LANGUAGE: Final = 1033
_STANDARD_PREFIXES: Final = ("address1_", "schedulefollowup_", "entityimage_")
_SYSTEM_REQUIRED: Final = frozenset({"statecode", "ownerid"})
# Columns of the system, beside primary names, lookups and computed columns, can't be secured.
_NEVER_SECURED: Final = frozenset(
    {"createdon", "modifiedon", "overriddencreatedon", "statecode", "statuscode", "versionnumber"}
)


@cache
def metadata_id(*names: str) -> str:
    """A stable id for a piece of metadata."""
    return str(uuid5(NAMESPACE_OID, "/".join(names)))


def label(text: str) -> dict[str, Any]:
    """A label in the organisation's base language; an empty text is no label at all."""
    if not text:
        return {"LocalizedLabels": [], "UserLocalizedLabel": None}
    localized = {
        "Label": text,
        "LanguageCode": _LANGUAGE,
        "IsManaged": True,
        "MetadataId": metadata_id("label", text),
    }
    return {"LocalizedLabels": [localized], "UserLocalizedLabel": localized}


def managed_property(value: Any, name: str = "") -> dict[str, Any]:
    """A managed property."""
    return {"Value": value, "CanBeChanged": True, "ManagedPropertyLogicalName": name}


def table_definition(table: Table) -> dict[str, Any]:
    """`EntityMetadata` with all its attributes."""
    return {
        "MetadataId": metadata_id(table.name),
        "LogicalName": table.name,
        "SchemaName": table.name.capitalize(),
        "EntitySetName": table.set_name,
        "LogicalCollectionName": table.set_name,
        "CollectionSchemaName": table.set_name.capitalize(),
        "PrimaryIdAttribute": table.key,
        "PrimaryNameAttribute": table.primary_name or None,
        "ObjectTypeCode": table.object_type_code,
        "ChangeTrackingEnabled": table.change_tracking,
        "CanChangeTrackingBeEnabled": managed_property(value=True),
        "IsCustomEntity": False,
        "IsIntersect": False,
        "IsActivity": False,
        "IsPrivate": False,
        "IsLogicalEntity": False,
        "IsValidForAdvancedFind": True,
        "OwnershipType": "UserOwned" if "ownerid" in table.attributes else "OrganizationOwned",
        "TableType": "Standard",
        "DisplayName": label(table.name.capitalize()),
        "DisplayCollectionName": label(table.set_name.capitalize()),
        "Description": label(table.name),
        "Attributes": [
            attribute_definition(table, attribute) for attribute in metadata_columns(table).values()
        ],
    }


def attribute_definition(table: Table, attribute: Attribute) -> dict[str, Any]:
    """`AttributeMetadata`: what every column has; the base class itself goes without saying."""
    kind = TYPES[attribute.type]
    metadata_class = f"#Microsoft.Dynamics.CRM.{kind.metadata_class}AttributeMetadata"
    return {
        **({} if kind.metadata_class is None else {"@odata.type": metadata_class}),
        "MetadataId": metadata_id(table.name, attribute.name),
        "LogicalName": attribute.name,
        "SchemaName": attribute.name.capitalize(),
        "EntityLogicalName": table.name,
        "AttributeType": kind.attribute_type,
        "AttributeTypeName": {"Value": kind.type_name},
        "AttributeOf": attribute.attribute_of,
        "DisplayName": label(display_name(attribute)),
        "Description": label(""),
        "IsLogical": attribute.attribute_of is not None,
        "IsPrimaryId": attribute.name == table.key,
        "IsPrimaryName": attribute.name == table.primary_name,
        "IsCustomAttribute": _is_custom(attribute),
        "RequiredLevel": managed_property(
            _required_level(table, attribute), "canmodifyrequirementlevelsettings"
        ),
        "SourceType": int(attribute.source_type),
        "IsFilterable": True,
        "IsSearchable": True,
        **_use(table, attribute),
    }


def display_name(attribute: Attribute) -> str:
    """What a form calls the column."""
    given = attribute.display_name
    return attribute.name.capitalize() if given is None else given


def _use(table: Table, attribute: Attribute) -> dict[str, Any]:
    """What may be done with a column's values."""
    readable, is_secured = attribute.is_valid_for_read, attribute.is_secured
    is_written = attribute.attribute_of is None and not attribute.is_computed
    can_be_secured = is_secured or _can_be_secured(table, attribute)
    return {
        "IsValidForRead": readable,
        "IsValidForCreate": is_written,
        "IsValidForUpdate": is_written,
        "IsRetrievable": readable,
        "IsValidODataAttribute": readable and attribute.is_property,
        "IsSecured": is_secured,
        "CanBeSecuredForRead": can_be_secured,
        "CanBeSecuredForCreate": can_be_secured and is_written,
        "CanBeSecuredForUpdate": can_be_secured and is_written,
    }


def _can_be_secured(table: Table, attribute: Attribute) -> bool:
    is_named = attribute.name in {table.key, table.primary_name} | _NEVER_SECURED
    is_scalar = attribute.is_property and not attribute.is_lookup
    return is_scalar and not is_named and not attribute.is_computed


def _is_custom(attribute: Attribute) -> bool:
    own = attribute.attribute_of or attribute.name
    return "_" in own and not own.startswith(_STANDARD_PREFIXES)


def _required_level(table: Table, attribute: Attribute) -> str:
    is_needed = attribute.name == table.key or attribute.name in _SYSTEM_REQUIRED
    return "SystemRequired" if is_needed else attribute.required_level
