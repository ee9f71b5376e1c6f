"""Tells people what is newly wrong with the sync, and what is well again.

Called by the last task of every run. The store is only written to when something has changed, and
a telling that fails is tried again by the next run: until then the alert counts as untold.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from opportunity_sync import store
from opportunity_sync.errors import SyncError
from opportunity_sync.pipeline.run import report_wait, utc_now
from opportunity_sync.pipeline.telling.judgement import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from sqlalchemy import Engine

    from opportunity_sync.settings import Settings
    from opportunity_sync.store import Alert, AlertChange

log = logging.getLogger(__name__)


def tell_alerts(
    engine: Engine,
    tell: Callable[[AlertChange], bool],
    *,
    settings: Settings,
    clock: Callable[[], datetime] = utc_now,
) -> list[Alert]:
    """Judge the store's signs, and tell what has changed; returns what is wrong now.

    `tell` says whether what it was given has arrived. Where it can't be noted what is told, nothing
    is, and the next run tells it. Raises `SyncError` where the store can't be asked.
    """
    now = clock().replace(microsecond=0)
    with store.read_store(engine) as connection:
        found = judge(store.read_signs(connection, now=now), settings=settings, now=now)
        is_changed = store.is_alert_change(connection, found)
    if is_changed:
        try:
            _tell_change(engine, found, tell, moment=now)
        except SyncError as error:
            log.warning("The store can't note what is told; the next run tells it: %s", error)
    return found


def _tell_change(
    engine: Engine,
    found: Collection[Alert],
    tell: Callable[[AlertChange], bool],
    *,
    moment: datetime,
) -> None:
    with store.writing(engine, on_wait=report_wait) as connection:
        change = store.change_alerts(connection, found, moment=moment)
    if not (change.wrong or change.well):
        return  # another run that has ended just now tells it
    is_told = tell(change)
    with store.writing(engine, on_wait=report_wait) as connection:
        if is_told:
            store.note_told(connection, change.wrong, moment=moment)
        else:
            store.release_alerts(connection, change.wrong)
