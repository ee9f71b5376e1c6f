"""Whether the application user sees every row of a table: without that, absence proves nothing.

Rows that a user may not read are left out of every answer without a word, so a row that is
missing from a listing is a deleted row only where the read privilege has the depth "Global".
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.entities import Entity

log = logging.getLogger(__name__)

_FUNCTION: Final = "systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges"
_GLOBAL: Final = "Global"


class ReadDepths:
    """The depth of each read privilege of the application user, asked for once."""

    def __init__(self, client: DataverseClient, user_id: str) -> None:
        self._depths: dict[str, set[str]] | None = None
        try:
            answer = client.get_json(_FUNCTION.format(user=user_id))
        except ConfigError as error:
            log.warning("The privileges can't be determined, so no row counts as gone: %s", error)
            return
        self._depths = {}
        for privilege in answer.get("RolePrivileges", []):
            name = str(privilege.get("PrivilegeName", "")).lower()
            self._depths.setdefault(name, set()).add(str(privilege.get("Depth", "")))

    def reads_every_row(self, entity: Entity) -> bool | None:
        """Whether all rows of the entity can be seen; None where it could not be found out."""
        if self._depths is None:
            return None
        return _GLOBAL in self._depths.get(entity.privilege.lower(), ())
