"""Whether columns have come under column security since a run was planned.

A value that the application user may not see comes as null, or as a masked text, without a word. So
what was read counts only if the columns can still be read when all of it has been read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync.dynamics.metadata.attributes import (
    TABLE_QUERY,
    read_attribute,
    read_attributes,
    require_list,
    table_path,
)
from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.dynamics.plan import EntityPlan
    from opportunity_sync.model import Entity


def require_unsecured(client: DataverseClient, entity: Entity, plan: EntityPlan) -> None:
    """Ask the metadata again whether the planned columns may be read.

    Raises:
        ConfigError: one of them has been put under column security since the plan was made.
    """
    columns = require_list(
        client.get_json(table_path(entity), TABLE_QUERY), "Attributes", of=f"table {entity.name}"
    )
    attributes = read_attributes(client, entity, columns)
    names = [field.source for field in plan.fields(entity)]
    # An answer can lack a column that is there.
    found = {name: attributes.get(name) or read_attribute(client, entity, name) for name in names}
    secured = sorted(name for name, column in found.items() if column and column.is_secured)
    if secured:
        raise ConfigError(
            f"{entity.name}.{', '.join(secured)} came under column security while the table was "
            "read, so what was read of it may be null or masked.",
            next_step="clear the whole DAG run, from its first task; the next scheduled run leaves "
            "the column out by itself, and its values in the store stay.",
        )
