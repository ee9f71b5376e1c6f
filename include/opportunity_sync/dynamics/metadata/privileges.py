"""Whether the application user sees every row of a table: without that, absence proves nothing.

Dataverse leaves the rows that a user may not read out of every answer, without a word. So a row
that is missing from a listing is a deleted row only where the read privilege has the depth
"Global", which the security role's form calls Organization. Privileges come from the user's own
roles and from those of its teams. `RetrieveUserSetOfPrivilegesByNames` counts both in full. The
older `RetrieveUserPrivileges` says "Basic" of whatever comes through a team.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from opportunity_sync.dynamics.metadata.attributes import require_list
from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.model import Entity

OF_USER: Final = "systemusers({user})/Microsoft.Dynamics.CRM."
BY_NAMES: Final = "RetrieveUserSetOfPrivilegesByNames(PrivilegeNames=@names)"
OF_ALL: Final = "RetrieveUserPrivileges"
# From nothing to everything, with the words of the security role's form.
_DEPTHS: Final[Mapping[str, str]] = {
    "None": "no",
    "Basic": "User (only the user's own rows)",
    "Local": "Business Unit",
    "Deep": "Parent: Child Business Units",
    "Global": "Organization",
}
RANK: Final = {depth: rank for rank, depth in enumerate(_DEPTHS)}


class ReadDepths:
    """The depth of each read privilege of the application user, asked for once."""

    def __init__(self, client: DataverseClient, user_id: str, entities: Sequence[Entity]) -> None:
        self._depths: dict[str, str] | None = None
        self._refusal: ConfigError | None = None
        names = [entity.privilege for entity in entities]
        try:
            self._depths = _read_depths(client, OF_USER.format(user=user_id), names)
        except ConfigError as error:
            self._refusal = error

    def reads_every_row(self, entity: Entity) -> bool | None:
        """Whether all rows of the entity can be seen; None where it could not be found out."""
        return None if self._depths is None else self._depth(entity) == "Global"

    def warnings(self, entities: Sequence[Entity]) -> list[str]:
        """One line with its next step per table of which not every row may be seen."""
        if self._refusal is not None:
            reason = f"so no row counts as deleted for being absent: {self._refusal}"
            return [f"The application user's privileges can't be determined, {reason}"]
        return [
            f"{entity.name}: the application user has {entity.privilege} at "
            f"{_DEPTHS[depth]} level, so rows that it may not see are missing without a word, and "
            "no row counts as deleted for being absent. Next step: give a security role of the "
            f"application user itself, or of a team of it, {entity.privilege} at Organization "
            "level."
            for entity in entities
            if (depth := self._depth(entity)) != "Global"
        ]

    @property
    def refusal(self) -> ConfigError | None:
        """Why the depths could not be found out, where they could not."""
        return self._refusal

    def depth_in_words(self, entity: Entity) -> str:
        """The depth as the security role's form calls it."""
        return _DEPTHS[self._depth(entity)]

    def _depth(self, entity: Entity) -> str:
        return (self._depths or {}).get(entity.privilege.lower(), "None")


def sees_every_row(client: DataverseClient, entity: Entity) -> bool | None:
    """Whether all rows of the entity can be seen at this moment; None where that is not known.

    A plan says how it was when the run began, and a role can be changed since.
    """
    return ReadDepths(client, client.who_am_i()["UserId"], (entity,)).reads_every_row(entity)


def _read_depths(client: DataverseClient, of_user: str, names: Sequence[str]) -> dict[str, str]:
    """The greatest depth by privilege in lower case; the older function fills what is missing."""
    try:
        found = read_held_depths(client, f"{of_user}{BY_NAMES}", {"@names": json.dumps(names)})
    except ConfigError:
        found = {}
    if all(name.lower() in found for name in names):
        return found
    for name, depth in read_held_depths(client, f"{of_user}{OF_ALL}", {}).items():
        found[name] = max(found.get(name, "None"), depth, key=RANK.__getitem__)
    return found


def read_held_depths(
    client: DataverseClient, path: str, params: Mapping[str, str]
) -> dict[str, str]:
    """The greatest depth by privilege in lower case, as one of both functions tells it."""
    answer = client.get_json(path, params)
    held: dict[str, str] = {}
    for privilege in require_list(answer, "RolePrivileges", of="the application user's privileges"):
        name, depth = privilege.get("PrivilegeName"), privilege.get("Depth")
        if isinstance(name, str) and isinstance(depth, str) and depth in RANK:
            held[name.lower()] = max(held.get(name.lower(), "None"), depth, key=RANK.__getitem__)
    return held
