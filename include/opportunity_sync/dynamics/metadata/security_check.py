"""Whether the planned columns can be read still, when all of a table has been read.

A value that the application user may not see comes as null, or as a masked text, without a word. So
what was read counts only if column security is no other at its end than when it was planned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync.dynamics.metadata.attributes import read_attribute
from opportunity_sync.dynamics.metadata.column_security import ColumnSecurity
from opportunity_sync.dynamics.metadata.table_definition import read_definition
from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.dynamics.plan import EntityPlan
    from opportunity_sync.model import Entity


def require_same_security(client: DataverseClient, entity: Entity, plan: EntityPlan) -> None:
    """Ask again whether the planned columns may be read: of metadata, and of rights if need be.

    Raises:
        ConfigError: one of them was hidden or masked since the plan was made, or whether it may
            be read can't be found out any more.
    """
    attributes = read_definition(client, entity).attributes
    sources = dict.fromkeys(field.source for field in plan.fields(entity))
    # An answer can lack a column that is there.
    found = [attributes.get(name) or read_attribute(client, entity, name) for name in sources]
    secured = [attribute for attribute in found if attribute and attribute.is_secured]
    if not secured:
        return
    security = ColumnSecurity(client, client.who_am_i()["UserId"], (entity,))
    hidden = {
        attribute.logical_name: obstacle[1]
        for attribute in secured
        if (obstacle := security.obstacle(entity, attribute)) is not None
    }
    if hidden:
        names, reasons = ", ".join(sorted(hidden)), "; ".join(dict.fromkeys(hidden.values()))
        raise ConfigError(
            f"{entity.name}.{names} came under column security while the table was read, so what "
            f"was read of it may be null or masked: {reasons}.",
            next_step="clear the whole DAG run, from its first task; the next scheduled run leaves "
            "the column out by itself, and its values in the store stay.",
        )
