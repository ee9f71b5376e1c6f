"""The time zone in which the day of a date counts, where the date comes as an instant.

`actualclosedate` is a date without a time in new organisations. In those upgraded from CRM 2015 and
older it is UserLocal: the instant at which the day began for the user who entered it. In another
zone that is another day, and nobody can see from outside which zone the organisation means.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opportunity_sync.dynamics.metadata.sample_queries import read_a_value
from opportunity_sync.errors import ConfigError
from opportunity_sync.model import Entity, Field, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opportunity_sync.dynamics.client import DataverseClient
    from opportunity_sync.dynamics.metadata.attributes import Attribute

log = logging.getLogger(__name__)

_UTC: Final = "UTC"


def choose_zones(
    client: DataverseClient,
    entity: Entity,
    fields: Sequence[Field],
    *,
    attributes: Mapping[str, Attribute],
    time_zone: str | None,
) -> dict[str, str]:
    """The zone by column, for the dates whose values come as instants.

    Raises:
        ConfigError: this machine knows nothing of the time zone.
    """
    zones: dict[str, str] = {}
    for field in fields:
        if field.kind is not Kind.DATE:
            continue
        attribute = attributes.get(field.source)
        zone = _choose_zone(client, entity, field, attribute=attribute, time_zone=time_zone)
        if zone is not None:
            zones[field.column] = _require_known_zone(zone)
    return zones


def _choose_zone(
    client: DataverseClient,
    entity: Entity,
    field: Field,
    *,
    attribute: Attribute | None,
    time_zone: str | None,
) -> str | None:
    behaviour = attribute.behaviour if attribute else None
    if behaviour == "DateOnly":
        return None
    if behaviour == "TimeZoneIndependent":
        return _UTC  # the same wall clock for everybody, written as if it were UTC
    is_instant = behaviour == "UserLocal" or (attribute and attribute.time_format == "DateAndTime")
    if not is_instant and "T" not in (read_a_value(client, entity, field.select) or ""):
        return None
    if time_zone is None:
        log.warning(
            "%s.%s comes as an instant, and its day depends on a time zone: UTC is taken, which "
            "can be a day off. Next step: set OPPORTUNITY_SYNC_TIME_ZONE to the zone that the "
            "organisation's users work in, such as Europe/Berlin.",
            entity.name,
            field.source,
        )
    return time_zone or _UTC


def _require_known_zone(zone: str) -> str:
    try:
        return ZoneInfo(zone).key
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(
            f"This machine has no time zone database that knows {zone}, and a date needs it.",
            next_step="install tzdata, the system's package or Python's, on every worker",
        ) from error
