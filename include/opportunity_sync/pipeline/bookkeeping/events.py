"""What a run notes beside its numbers, for whoever looks at the course of things."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opportunity_sync import store
from opportunity_sync.errors import ConfigError
from opportunity_sync.pipeline.run import report_wait

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Engine

    from opportunity_sync.pipeline.settling.open_questions import Drift


@dataclass(frozen=True)
class Events:
    """Where a run (DAG and run id) writes its events, and when they happened."""

    connection: store.Connection
    run: tuple[str, str]
    moment: datetime

    def note_selection(self, change: store.SelectionChange) -> None:
        """Other fields are selected than by the run before, or they are read otherwise."""
        message = (
            f"The selection of fields has changed. New: {', '.join(change.added) or 'none'}. "
            f"No longer: {', '.join(change.stopped) or 'none'}."
        )
        if change.otherwise:
            message += f" Read otherwise: {', '.join(change.otherwise)}."
        store.note_event(self.connection, "selection", message, at=self.moment, run=self.run)

    def note_columns(self, added: Collection[str]) -> None:
        """The store has got columns (`contact.region`)."""
        if added:
            message = f"New columns in the store: {', '.join(added)}."
            store.note_event(self.connection, "columns", message, at=self.moment, run=self.run)

    def note_drift(self, found: Mapping[str, Drift]) -> None:
        """A reconciliation has found rows that differ; of tables without any nothing is told."""
        for name, drift in found.items():
            if drift.is_any:
                store.note_event(
                    self.connection,
                    "drift",
                    f"{drift} of {drift.compared:,} rows compared.",
                    at=self.moment,
                    entity=name,
                    run=self.run,
                )


@contextmanager
def noting_guard(engine: Engine, run: tuple[str, str], *, moment: datetime) -> Iterator[None]:
    """Note a guard that stops the run; the error goes on as it is."""
    try:
        yield
    except ConfigError as error:
        if error.is_guard:
            with store.writing(engine, on_wait=report_wait) as connection:
                store.note_event(connection, "guard", error.problem, at=moment, run=run)
        raise
