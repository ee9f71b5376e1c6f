"""What the run's plan knows of a field's values: the labels of choices, the zone of days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from opportunity_sync.dynamics.plan import EntityPlan
    from opportunity_sync.model import Entity


@dataclass(frozen=True, slots=True)
class FieldMeaning:
    """Labels by code, and the time zone in which an instant's day counts, where it comes as one."""

    labels: Mapping[int, str]
    zone: tzinfo | None = None


def meanings_by_column(entity: Entity, plan: EntityPlan) -> dict[str, FieldMeaning]:
    """The meaning of each planned field, by its column.

    Raises:
        ConfigError: this machine does not know a time zone of the plan.
    """
    return {
        field.column: FieldMeaning(
            plan.labels.get(field.column, {}),
            _load_zone(plan.zones[field.column]) if field.column in plan.zones else None,
        )
        for field in plan.fields(entity)
    }


def _load_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"This machine does not know the time zone {name}.",
            next_step="install the package tzdata, or set OPPORTUNITY_SYNC_TIME_ZONE to a name of "
            "the IANA time zone database, such as Europe/Berlin",
        ) from error
