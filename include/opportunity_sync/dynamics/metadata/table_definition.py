"""What metadata says of one table: its columns, and whether its changes are tracked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opportunity_sync.dynamics.metadata.attributes import (
    COLUMN_PROPERTIES,
    Attribute,
    parse_attributes,
    require_list,
    table_path,
)
from opportunity_sync.dynamics.metadata.sample_queries import is_not_found, missing_table_error
from opportunity_sync.errors import QueryError, ResponseError

if TYPE_CHECKING:
    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.model import Entity


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """A table as one answer has it; an answer can lack columns that are there."""

    columns: list[dict[str, Any]]
    tracks_changes: bool

    @property
    def attributes(self) -> dict[str, Attribute]:
        """Every column, by name."""
        return parse_attributes(self.columns)


def read_definition(
    client: DataverseClient, entity: Entity, *, properties: str = COLUMN_PROPERTIES
) -> TableDefinition:
    """Ask for a table, and for these properties of its columns.

    Raises:
        ConfigError: the organisation has no such table.
        ResponseError: the answer does not name it, or has no list of columns.
    """
    query = {
        "$select": "LogicalName,EntitySetName,PrimaryIdAttribute,ChangeTrackingEnabled",
        "$expand": f"Attributes($select={properties})",
    }
    try:
        answer = client.get_json(table_path(entity), query)
    except QueryError as error:
        if not is_not_found(error):
            raise
        raise missing_table_error(entity) from error
    set_name = answer.get("EntitySetName")
    if not isinstance(set_name, str):
        raise ResponseError(f"Dataverse's answer about table {entity.name} does not name it.")
    if set_name != entity.set_name:
        raise missing_table_error(entity)
    columns = require_list(answer, "Attributes", of=f"table {entity.name}")
    return TableDefinition(columns, answer.get("ChangeTrackingEnabled") is True)
