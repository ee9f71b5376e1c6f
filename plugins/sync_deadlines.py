"""Looks after a run that does not end: what judges the sync otherwise is the end of a run.

Airflow's scheduler notices that a run is still there so long after it was queued, because a task
hangs or no worker takes it, and lets the triggerer call `look_again`: a process that does not wait
for workers, and may read connections wherever Airflow keeps them (what a worker calls may not). A
run that ends in time costs nothing. Where scheduler or triggerer stand still, nobody calls.
"""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from opportunity_sync.settings import settings_from

if TYPE_CHECKING:
    from collections.abc import Mapping

# The first just after the default of OPPORTUNITY_SYNC_LATE_AFTER_MINUTES, the others for larger
# ones: they are read when a look is due, as a deadline can't change with the environment.
LOOKS = tuple(timedelta(minutes=minutes) for minutes in (16, 31, 61, 121, 241))


class WatchedDag(DAG):
    """A DAG whose hanging runs are looked after, but for those of `dag.test()`."""

    def test(self, *given: Any, **named: Any) -> Any:
        """As Airflow's, which in 3.3 ends in an error of SQL where a DAG has deadlines."""
        self.deadline = None
        return super().test(*given, **named)


async def look_again(context: Mapping[str, Any]) -> None:
    """Judge the books of all runs, and tell what has changed."""
    await asyncio.to_thread(look, context)


def look(context: Mapping[str, Any]) -> None:
    """The same in a thread: nothing else that the triggerer does waits for the store."""
    from sync_alerts import tell_people

    tell_people(context, settings=settings_from(os.environ))


def deadlines() -> list[DeadlineAlert]:
    """After which times somebody looks, counted from when a run was queued."""
    return [
        DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=interval,
            callback=AsyncCallback(look_again),
        )
        for interval in LOOKS
    ]
