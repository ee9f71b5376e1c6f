"""Where collection-valued navigation properties lead: profiles of a user, members of a team.

Only those are known that tell who may read which secured column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamics_sandbox.odata.dataverse_error import unknown_resource
from dynamics_sandbox.schema.security_tables import MANY_TO_MANY, ONE_TO_MANY

if TYPE_CHECKING:
    from collections.abc import Collection

    from dynamics_sandbox.organisation.organisation import Organisation


def related_ids(
    organisation: Organisation, set_name: str, row_id: str, *, navigation: str
) -> tuple[str, Collection[str]]:
    """The entity set on the other side, and the ids of its rows that belong to this row."""
    if navigation in MANY_TO_MANY:
        sides = MANY_TO_MANY[navigation]
        if set_name in sides:
            own = sides.index(set_name)
            pairs = organisation.associations[navigation]
            return sides[1 - own], {pair[1 - own] for pair in pairs if pair[own] == row_id}
    if navigation in ONE_TO_MANY:
        one, many, lookup = ONE_TO_MANY[navigation]
        if set_name == one:
            rows = organisation.rows(many)
            key = organisation.stores[many].table.key
            return many, {row[key] for row in rows if row[lookup] == row_id}
    raise unknown_resource(navigation)
