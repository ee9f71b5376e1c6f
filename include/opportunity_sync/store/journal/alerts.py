"""What has been told to people and is not well again: an alert is told once, not by every run.

`sync_alert` holds what is wrong now. What is newly wrong is written first and told then; `told_at`
is set when the telling has worked, so a telling that failed is tried again by the next run. Runs
end at the same time: who is about to tell an alert claims it, for as long as a telling may take.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, insert, or_, select, update

from opportunity_sync.store.schema.tables import sync_alert
from opportunity_sync.store.sessions.lock import lock_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

_CLAIM = timedelta(minutes=10)  # then whoever claimed it was ended before it could tell
_OF_ALERT = [sync_alert.c[name] for name in ("code", "entity", "message", "next_step")]


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
    untold = _alerts(connection, sync_alert.c.told_at.is_(None))
    return known.keys() != {alert.key for alert in found} or bool(untold)


def change_alerts(
    connection: Connection, found: Collection[Alert], *, moment: datetime
) -> AlertChange:
    """Note what is wrong now, drop what is well again, and claim what is to be told of it.

    Nobody else is given the same until `note_told` or `release_alerts`. What never got through
    needs no word when it is well again.
    """
    lock_table(connection, sync_alert)
    known = open_alerts(connection)
    wrong = {alert.key: alert for alert in found}
    told = _alerts(connection, sync_alert.c.told_at.is_not(None))
    for key, alert in known.items():
        if key not in wrong:
            connection.execute(delete(sync_alert).where(_is_alert(alert)))
    rows = [_row(alert, moment) for key, alert in wrong.items() if key not in known]
    if rows:
        connection.execute(insert(sync_alert), rows)
    untold = _alerts(connection, _is_to_tell(moment))
    _set_alerts(connection, untold, claimed_at=moment)
    return AlertChange(tuple(untold), tuple(alert for alert in told if alert.key not in wrong))


def note_told(connection: Connection, alerts: Iterable[Alert], *, moment: datetime) -> None:
    """Remember that these have been told."""
    _set_alerts(connection, alerts, told_at=moment, claimed_at=None)


def release_alerts(connection: Connection, alerts: Iterable[Alert]) -> None:
    """Let the next run tell these: they did not get through."""
    _set_alerts(connection, alerts, claimed_at=None)


def _row(alert: Alert, moment: datetime) -> dict[str, object]:
    return {
        "code": alert.code,
        "entity": alert.entity,
        "message": alert.message,
        "next_step": alert.next_step,
        "since": moment,
    }


def _is_to_tell(moment: datetime) -> ColumnElement[bool]:
    claim = sync_alert.c.claimed_at
    return and_(sync_alert.c.told_at.is_(None), or_(claim.is_(None), claim <= moment - _CLAIM))


def _alerts(connection: Connection, *which: ColumnElement[bool]) -> list[Alert]:
    query = select(*_OF_ALERT).where(*which).order_by(sync_alert.c.code, sync_alert.c.entity)
    return [
        Alert(row.code, row.entity, row.message, row.next_step or "")
        for row in connection.execute(query)
    ]


def _set_alerts(connection: Connection, alerts: Iterable[Alert], **values: object) -> None:
    for alert in alerts:
        connection.execute(update(sync_alert).values(values).where(_is_alert(alert)))


def _is_alert(alert: Alert) -> ColumnElement[bool]:
    return and_(sync_alert.c.code == alert.code, sync_alert.c.entity == alert.entity)
