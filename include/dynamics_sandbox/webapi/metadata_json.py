"""A table or column of the schema as Dataverse's metadata JSON.

Common properties only; what belongs to a type (lengths, targets, option sets) is added by
`cast_extras`. Ids are derived from names, so that they stay the same between runs.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dynamics_sandbox.schema.attribute import Attribute
    from dynamics_sandbox.schema.table import Table

_LANGUAGE = 1033
_TYPE_NAMES = {
    "Boolean": "Boolean",
    "Uniqueidentifier": "UniqueIdentifier",
    "Customer": "Lookup",
    "Owner": "Lookup",
}


@cache
def metadata_id(*names: str) -> str:
    """A stable id for a piece of metadata."""
    return str(uuid5(NAMESPACE_OID, "/".join(names)))


def label(text: str) -> dict[str, Any]:
    """A label in the organisation's base language."""
    localized = {
        "Label": text,
        "LanguageCode": _LANGUAGE,
        "IsManaged": True,
        "MetadataId": metadata_id("label", text),
    }
    return {"LocalizedLabels": [localized], "UserLocalizedLabel": localized}


def managed(value: Any) -> dict[str, Any]:
    """A managed property."""
    return {"Value": value, "CanBeChanged": True, "ManagedPropertyLogicalName": ""}


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
        "PrimaryNameAttribute": table.primary_name,
        "ObjectTypeCode": table.object_type_code,
        "ChangeTrackingEnabled": table.change_tracking,
        "CanChangeTrackingBeEnabled": managed(value=True),
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
            attribute_definition(table, attribute) for attribute in table.attributes.values()
        ],
    }


def attribute_definition(table: Table, attribute: Attribute) -> dict[str, Any]:
    """`AttributeMetadata`: what every column has."""
    name = _TYPE_NAMES.get(attribute.type, attribute.type)
    is_custom = "_" in attribute.name and not attribute.name.startswith(
        ("address1_", "schedulefollowup_")
    )
    return {
        "@odata.type": f"#Microsoft.Dynamics.CRM.{name}AttributeMetadata",
        "MetadataId": metadata_id(table.name, attribute.name),
        "LogicalName": attribute.name,
        "SchemaName": attribute.name.capitalize(),
        "EntityLogicalName": table.name,
        "AttributeType": attribute.type,
        "AttributeTypeName": {"Value": f"{name}Type"},
        "AttributeOf": None,
        "DisplayName": label(attribute.name.capitalize()),
        "IsValidForRead": attribute.is_valid_for_read,
        "IsValidForCreate": True,
        "IsValidForUpdate": True,
        "IsValidODataAttribute": attribute.is_valid_for_read,
        "IsSecured": attribute.is_secured,
        "CanBeSecuredForRead": attribute.name != table.key,
        "IsLogical": False,
        "IsPrimaryId": attribute.name == table.key,
        "IsPrimaryName": attribute.name == table.primary_name,
        "IsCustomAttribute": is_custom,
        "IsRetrievable": attribute.is_valid_for_read,
        "RequiredLevel": managed("SystemRequired" if attribute.name == table.key else "None"),
        "SourceType": attribute.source_type,
        "IsFilterable": True,
        "IsSearchable": True,
    }


def cast_extras(table: Table, attribute: Attribute) -> dict[str, Any]:
    """The properties that come only with a cast to the attribute's own type."""
    make = _EXTRAS.get(attribute.type)
    return {} if make is None else make(table, attribute)


def _text(_table: Table, attribute: Attribute) -> dict[str, Any]:
    return {
        "MaxLength": attribute.max_length,
        "Format": "Text" if attribute.type == "String" else "TextArea",
    }


def _lookup(_table: Table, attribute: Attribute) -> dict[str, Any]:
    return {"Targets": list(attribute.targets), "Format": "None"}


def _number(_table: Table, attribute: Attribute) -> dict[str, Any]:
    return {"Precision": attribute.precision, "MinValue": None, "MaxValue": None}


def _money(_table: Table, attribute: Attribute) -> dict[str, Any]:
    return {
        "Precision": attribute.precision,
        "PrecisionSource": 2,
        "IsBaseCurrency": attribute.name.endswith("_base"),
        "CalculationOf": attribute.name.removesuffix("_base")
        if attribute.name.endswith("_base")
        else None,
    }


def _time(_table: Table, attribute: Attribute) -> dict[str, Any]:
    behaviour = "DateOnly" if attribute.date_only else "UserLocal"
    return {
        "Format": "DateOnly" if attribute.date_only else "DateAndTime",
        "DateTimeBehavior": {"Value": behaviour},
    }


def _boolean(table: Table, attribute: Attribute) -> dict[str, Any]:
    options = attribute.options or {0: "No", 1: "Yes"}
    sides = {
        "FalseOption": _option(0, options.get(0, "No")),
        "TrueOption": _option(1, options.get(1, "Yes")),
    }
    return {
        "OptionSet": {**_option_set(table, attribute, "Boolean"), **sides},
        "GlobalOptionSet": None,
        "DefaultValue": False,
    }


def _choice(table: Table, attribute: Attribute) -> dict[str, Any]:
    kind = attribute.type if attribute.type in {"State", "Status"} else "Picklist"
    options = [_option(value, text) for value, text in (attribute.options or {}).items()]
    return {
        "OptionSet": {**_option_set(table, attribute, kind), "Options": options},
        "GlobalOptionSet": None,
        "DefaultFormValue": -1,
    }


def _option(value: int, text: str) -> dict[str, Any]:
    return {
        "Value": value,
        "Label": label(text),
        "Description": label(""),
        "Color": None,
        "IsManaged": True,
    }


def _option_set(table: Table, attribute: Attribute, kind: str) -> dict[str, Any]:
    return {
        "MetadataId": metadata_id(table.name, attribute.name, "options"),
        "Name": f"{table.name}_{attribute.name}",
        "OptionSetType": kind,
        "IsGlobal": False,
        "IsCustomOptionSet": False,
        "DisplayName": label(attribute.name.capitalize()),
    }


_EXTRAS: Mapping[str, Callable[[Table, Attribute], dict[str, Any]]] = {
    "String": _text,
    "Memo": _text,
    "Lookup": _lookup,
    "Customer": _lookup,
    "Owner": _lookup,
    "Money": _money,
    "Decimal": _number,
    "Double": _number,
    "Integer": _number,
    "DateTime": _time,
    "Boolean": _boolean,
    "Picklist": _choice,
    "State": _choice,
    "Status": _choice,
}
