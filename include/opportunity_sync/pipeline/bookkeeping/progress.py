"""Writes how far a read in progress is into the store, without waiting for anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opportunity_sync import store
from opportunity_sync.pipeline.run import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

_PATIENCE: Final = 1.0  # seconds; on SQLite a load has the whole file


def record_progress(engine: Engine, run: Mapping[str, Any], **told: Any) -> None:
    """Replace what the run said of a table before; `run` is what `begin` returned.

    `told`: entity, rows_read, rows_expected, is_whole. Raises `SyncError` where the store can't be
    written at once.
    """
    with store.writing(engine, wait_seconds=_PATIENCE) as connection:
        store.note_progress(connection, run["dag_id"], run["run_id"], **told, as_of=utc_now())
