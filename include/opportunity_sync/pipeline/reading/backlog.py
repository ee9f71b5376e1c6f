"""What waits in Dynamics when a run begins, so that a page can tell it, also if the run fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync import store
from opportunity_sync.dynamics import DataverseClient, count_waiting
from opportunity_sync.pipeline.run import report_wait

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from opportunity_sync.model import Model


def record_backlog(  # noqa: PLR0913 - what `begin` knows by then, in plain values
    client: DataverseClient,
    engine: Engine,
    *,
    model: Model,
    organization_id: str,
    moment: datetime,
    wait_seconds: float,
) -> None:
    """Count what was modified since the watermark of each table, and write it by itself.

    Without a watermark all rows wait. What was modified while the run before was reading may be in
    the store and is counted all the same. Tables that are always read whole have nothing waiting.
    A store of another organisation is left as it is: the run will not begin.
    """
    with store.read_store(engine) as connection:
        state = store.read_state(connection)
    if state.organization_id not in {None, organization_id}:
        return
    watermarks = state.watermarks
    counted = {
        entity.name: count_waiting(client, entity, watermarks.get(entity.name))
        for entity in model
        if not entity.is_always_read_whole
    }
    with store.writing(engine, wait_seconds=wait_seconds, on_wait=report_wait) as connection:
        for name, found in counted.items():
            store.note_backlog(
                connection, name, waiting=found.count, oldest_at=found.oldest_at, as_of=moment
            )
