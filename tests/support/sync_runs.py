"""Whole runs without Airflow: the pipeline's functions in the DAG's order, in one process.

The same functions that the tasks call, against the real sandbox over TLS and a real store.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opportunity_sync.dynamics import DataverseClient, DynamicsConnection, dynamics_session
from opportunity_sync.model import DEFAULT_MODEL, Model
from opportunity_sync.pipeline import (
    beginning,
    ending,
    extraction,
    filling,
    loading,
    transformation,
)
from opportunity_sync.pipeline.run import RunRequest
from opportunity_sync.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from dynamics_sandbox import Sandbox
    from opportunity_sync.pipeline.run import Mode

DAG_ID = "dynamics_opportunity_sync"
QUICK_SYNC = "dynamics_quick_sync"


@dataclass
class SyncRuns:
    """Runs of one sandbox into one store; `settings` and `model` are those of every run."""

    sandbox: Sandbox
    engine: Engine
    settings: Settings
    count: int = field(default=0)
    model: Model = DEFAULT_MODEL

    @contextmanager
    def client(self) -> Iterator[DataverseClient]:
        """A client of the sandbox, as the hook makes it; waits are short."""
        given = self.sandbox.connection()
        connection = DynamicsConnection.from_parts(
            given["host"], given["login"], given["password"], given["extra"]
        )
        with dynamics_session(connection) as session:
            yield DataverseClient(
                session,
                connection.organization_url,
                settings=self.settings,
                first_wait_seconds=0.05,
            )

    def clock(self) -> datetime:
        """The workers' clock."""
        return datetime.now(UTC)

    def begin(self, mode: Mode = "continue", *window: datetime, **told: Any) -> dict[str, Any]:
        """Begin a run with an id of its own."""
        self.count += 1
        start, end = window or (None, None)
        dag_id = QUICK_SYNC if mode == "fill" else DAG_ID
        request = RunRequest(
            dag_id, f"run-{self.count}", mode, start, end, model=self.model, **told
        )
        with self.client() as client:
            return beginning.begin(
                client, self.engine, request=request, settings=self.settings, clock=self.clock
            )

    def extract(self, run: dict[str, Any], *tasks: str) -> dict[str, Any]:
        """Run these extract tasks, or all of them; returns the summaries by table."""
        summaries: dict[str, Any] = {}
        with self.client() as client:
            for task in tasks or self.model.extract_tasks:
                summaries |= extraction.extract(client, run, task=task)
        return summaries

    def transform(self, run: dict[str, Any]) -> dict[str, Any]:
        with self.client() as client:
            return transformation.transform(
                client, self.engine, run, settings=self.settings, clock=self.clock
            )

    def load(self, run: dict[str, Any]) -> dict[str, Any]:
        return loading.load(self.engine, run, settings=self.settings, clock=self.clock)

    def fill(self, run: dict[str, Any]) -> dict[str, Any]:
        return filling.fill(self.engine, run, settings=self.settings, clock=self.clock)

    def finish(self, run: dict[str, Any], *, succeeded: bool = True) -> None:
        ending.finish(self.engine, run, succeeded=succeeded, settings=self.settings)

    def run(self, mode: Mode = "continue", *window: datetime, **told: Any) -> dict[str, Any]:
        """A whole run; returns what `load` reported."""
        return self.go_on(self.begin(mode, *window, **told))

    def go_on(self, begun: dict[str, Any]) -> dict[str, Any]:
        """What follows `begin`; returns what `load` reported."""
        self.extract(begun)
        self.transform(begun)
        loaded = self.load(begun)
        self.finish(begun)
        return loaded

    def scheduled_run(self) -> None:
        """A whole run as scheduled, and the quick sync that it starts by itself."""
        begun = self.begin()
        self.go_on(begun)
        if begun["to_fill"]:
            self.quick_sync()

    def quick_sync(self, *fields: str, **told: Any) -> dict[str, Any]:
        """A whole quick sync of these fields, or of all that wait; returns what it filled."""
        begun = self.begin("fill", fields=fields, **told)
        self.extract(begun)
        filled = self.fill(begun)
        self.finish(begun)
        return filled


def settings_for_tests(folder: Path, **given: Any) -> Settings:
    """Staging in a folder of the test, small pages, and no long waits."""
    return Settings(
        **{
            "staging_url": str(folder / "staging"),
            "page_size": 500,
            "page_timeout_seconds": 60,
            "keep_days": 3650,  # organisations of tests live at another time
            **given,
        }
    )
