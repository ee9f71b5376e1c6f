"""What has been told to people and is not well again: an alert is told once, not by every run.

`sync_alert` holds what is wrong now. What is newly wrong is written first and told then; `told_at`
is set when the telling has worked, so a telling that failed is tried again by the next run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, insert, select, update

from opportunity_sync.store.schema.tables import sync_alert

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that is wrong: its code, the table (`''`: none), in words, and what to do."""

    code: str
    entity: str
    message: str
    next_step: str

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same alert, whatever numbers its message has."""
        return self.code, self.entity


@dataclass(frozen=True, slots=True)
class AlertChange:
    """What is to be told now: what is wrong and untold, and what is well again."""

    wrong: tuple[Alert, ...]
    well: tuple[Alert, ...]


def open_alerts(connection: Connection) -> dict[tuple[str, str], Alert]:
    """What is wrong as far as it was noted."""
    return {alert.key: alert for alert in _alerts(connection)}


def is_alert_change(connection: Connection, found: Collection[Alert]) -> bool:
    """Whether what is wrong now differs from what was told; looks only, and writes nothing."""
    known = open_alerts(connection)
    return known.keys() != {alert.key for alert in found} or bool(_untold_alerts(connection))


def change_alerts(
    connection: Connection, found: Collection[Alert], *, moment: datetime
) -> AlertChange:
    """Note what is wrong now, drop what is well again, and return what is to be told of it."""
    known = open_alerts(connection)
    wrong = {alert.key: alert for alert in found}
    well = [alert for key, alert in known.items() if key not in wrong]
    for alert in well:
        connection.execute(delete(sync_alert).where(_is_alert(alert)))
    rows = [_row(alert, moment) for key, alert in wrong.items() if key not in known]
    if rows:
        connection.execute(insert(sync_alert), rows)
    return AlertChange(tuple(_untold_alerts(connection)), tuple(well))


def note_told(connection: Connection, alerts: Iterable[Alert], *, moment: datetime) -> None:
    """Remember that these have been told."""
    for alert in alerts:
        connection.execute(update(sync_alert).values(told_at=moment).where(_is_alert(alert)))


def _row(alert: Alert, moment: datetime) -> dict[str, object]:
    return {
        "code": alert.code,
        "entity": alert.entity,
        "message": alert.message,
        "next_step": alert.next_step,
        "since": moment,
    }


def _untold_alerts(connection: Connection) -> list[Alert]:
    return _alerts(connection, sync_alert.c.told_at.is_(None))


def _alerts(connection: Connection, *which: ColumnElement[bool]) -> list[Alert]:
    query = select(sync_alert).where(*which).order_by(sync_alert.c.code, sync_alert.c.entity)
    return [
        Alert(row.code, row.entity, row.message, row.next_step or "")
        for row in connection.execute(query)
    ]


def _is_alert(alert: Alert) -> ColumnElement[bool]:
    return and_(sync_alert.c.code == alert.code, sync_alert.c.entity == alert.entity)
