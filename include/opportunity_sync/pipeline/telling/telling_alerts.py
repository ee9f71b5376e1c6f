"""Tells people what is newly wrong with the sync, and what is well again.

Called by the last task of every run. The store is only written to when something has changed, and
a telling that fails is tried again by the next run: until then the alert counts as untold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync import store
from opportunity_sync.pipeline.run import report_wait, utc_now
from opportunity_sync.pipeline.telling.judgement import judge

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Engine

    from opportunity_sync.settings import Settings
    from opportunity_sync.store import Alert, AlertChange


def tell_alerts(
    engine: Engine,
    tell: Callable[[AlertChange], bool],
    *,
    settings: Settings,
    clock: Callable[[], datetime] = utc_now,
) -> list[Alert]:
    """Judge the store's signs, and tell what has changed; returns what is wrong now.

    `tell` says whether what it was given has arrived. Raises `StoreUnavailableError` where the
    store can't be read or written.
    """
    now = clock().replace(microsecond=0)
    with store.read_store(engine) as connection:
        found = judge(store.read_signs(connection, now=now), settings=settings, now=now)
        if not store.is_alert_change(connection, found):
            return found
    with store.writing(engine, on_wait=report_wait) as connection:
        change = store.change_alerts(connection, found, moment=now)
    if tell(change):
        with store.writing(engine, on_wait=report_wait) as connection:
            store.note_told(connection, change.wrong, moment=now)
    return found
