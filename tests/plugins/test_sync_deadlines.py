"""A run that hangs: who looks after it, and what is told."""

from __future__ import annotations

import asyncio

import pytest
from airflow.triggers.callback import CallbackTrigger

from sync_deadlines import LOOKS, deadlines


async def events_of(trigger: CallbackTrigger) -> list[str]:
    """Let the triggerer's own code call it; the states that it tells the scheduler."""
    return [event.payload["state"] async for event in trigger.run()]


@pytest.mark.usefixtures("stale_store")
def test_a_late_sync_is_told_while_its_run_hangs(caplog: pytest.LogCaptureFixture) -> None:
    """As Airflow calls what a deadline names, with all that it hands over."""
    context = {"dag_run": {"dag_id": "a-dag", "run_id": "a-run"}, "deadline": {"id": 1}}
    called = deadlines()[0].callback

    states = asyncio.run(events_of(CallbackTrigger(called.path, {"context": context})))

    assert states == ["running", "success"]
    assert [line for line in caplog.messages if "[sync.late]" in line] != []


def test_looks_come_ever_more_rarely() -> None:
    """The first after the default time, the last for a run that takes hours."""
    minutes = [look.total_seconds() / 60 for look in LOOKS]

    assert minutes == [16, 31, 61, 121, 241]
    assert [each.interval for each in deadlines()] == list(LOOKS)
