"""`$metadata`: the organisation's schema as a CSDL document."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from dynamics_sandbox.odata.query_options import navigation_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dynamics_sandbox.organisation.organisation import Organisation
    from dynamics_sandbox.schema.attribute import Attribute
    from dynamics_sandbox.schema.table import Table

_HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
    '<Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
    '<EntityType Name="crmbaseentity" Abstract="true" />'
    '<ComplexType Name="BooleanManagedProperty"><Property Name="Value" Type="Edm.Boolean" />'
    '<Property Name="CanBeChanged" Type="Edm.Boolean" />'
    '<Property Name="ManagedPropertyLogicalName" Type="Edm.String" /></ComplexType>'
)
_TAIL = "</Schema></edmx:DataServices></edmx:Edmx>"
_TRACKING = "Org.OData.Capabilities.V1.ChangeTracking"


def metadata_document(organisation: Organisation) -> bytes:
    """The whole document, with change tracking as an annotation of each set."""
    tables = [organisation.table(name) for name in organisation.stores]
    names = {table.name: table for table in tables}
    types = (piece for table in tables for piece in _entity_type(table, names))
    sets = (piece for table in tables for piece in _entity_set(table, names))
    return "".join(
        (_HEAD, *types, '<EntityContainer Name="System">', *sets, "</EntityContainer>", _TAIL)
    ).encode()


def _entity_type(table: Table, names: dict[str, Table]) -> Iterator[str]:
    yield f'<EntityType Name={quoteattr(table.name)} BaseType="mscrm.crmbaseentity">'
    yield f"<Key><PropertyRef Name={quoteattr(table.key)} /></Key>"
    for attribute in table.attributes.values():
        if attribute.is_valid_for_read and attribute.is_property:
            scale = ' Scale="Variable"' if attribute.edm_type == "Edm.Decimal" else ""
            name = quoteattr(attribute.property_name)
            yield f'<Property Name={name} Type="{attribute.edm_type}"{scale} />'
    for attribute, target in _navigations(table, names):
        name = quoteattr(navigation_name(attribute, target.name))
        yield (
            f'<NavigationProperty Name={name} Type="mscrm.{target.name}" Nullable="true">'
            f"<ReferentialConstraint Property={quoteattr(attribute.property_name)} "
            f"ReferencedProperty={quoteattr(target.key)} />"
            "</NavigationProperty>"
        )
    yield "</EntityType>"


def _entity_set(table: Table, names: dict[str, Table]) -> Iterator[str]:
    name = quoteattr(table.set_name)
    yield f'<EntitySet Name={name} EntityType="Microsoft.Dynamics.CRM.{table.name}">'
    for attribute, target in _navigations(table, names):
        path = quoteattr(navigation_name(attribute, target.name))
        yield f"<NavigationPropertyBinding Path={path} Target={quoteattr(target.set_name)} />"
    supported = "true" if table.change_tracking else "false"
    yield (
        f'<Annotation Term="{_TRACKING}"><Record>'
        f'<PropertyValue Property="Supported" Bool="{supported}" />'
        "</Record></Annotation></EntitySet>"
    )


def _navigations(table: Table, names: dict[str, Table]) -> Iterator[tuple[Attribute, Table]]:
    """Lookups with the tables that they lead to; an owner is one property, whatever it leads to."""
    for attribute in table.attributes.values():
        known = [names[target] for target in attribute.targets if target in names]
        for target in known[:1] if attribute.type == "Owner" else known:
            yield attribute, target
