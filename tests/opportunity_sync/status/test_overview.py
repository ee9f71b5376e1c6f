"""Tests of the one word and sentence on top: how long ago a run ended well is what counts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from opportunity_sync.status.overview import overview
from opportunity_sync.store.journal.runs import begin_run, end_run
from store_rows import NOON, later

if TYPE_CHECKING:
    from sqlalchemy import Engine

Run = tuple[int, str, str, str | None]
WELL: Run = (-5, "continue", "succeeded", None)
OLD: Run = (-20, "full", "succeeded", None)


@pytest.mark.parametrize(
    ("runs", "is_paused", "state", "code"),
    [
        ([], False, "empty", "sync.empty"),
        ([], True, "empty", "sync.empty"),
        ([WELL], False, "well", None),
        ([OLD], False, "late", "sync.late"),
        ([OLD, (-5, "reconcile", "succeeded", None)], False, "late", "sync.late"),
        ([OLD, (-5, "range", "succeeded", None)], False, "late", "sync.late"),
        ([WELL], True, "paused", "sync.paused"),
        ([WELL, (-1, "continue", "failed", "ThrottledError")], False, "well", None),
        ([OLD, (-1, "continue", "failed", "ThrottledError")], False, "late", "sync.late"),
        ([WELL, (-1, "continue", "failed", "AuthenticationError")], False, "broken", None),
        ([(-1, "continue", "failed", "AuthenticationError")], False, "broken", None),
        ([(-9, "continue", "failed", "AuthenticationError"), WELL], False, "well", None),
    ],
    ids=str,
)
def test_the_state_follows_from_the_runs(
    sqlite_store: Engine, runs: list[Run], is_paused: bool, state: str, code: str | None
) -> None:
    """A failure that heals is no more than lateness; other modes than continuing say nothing."""
    with sqlite_store.begin() as connection:
        for number, (minute, mode, outcome, error_code) in enumerate(runs):
            run = ("sync", f"run-{number}")
            begin_run(connection, *run, mode=mode, started_at=later(minute - 1), attempt=run[1])
            given: dict[str, Any] = {"ended_at": later(minute), "error_code": error_code}
            end_run(connection, *run, attempt=run[1], outcome=outcome, **given)
        found = overview(
            connection, now=NOON, late_after=timedelta(minutes=15), is_paused=is_paused
        )
    failed = code or ("AuthenticationError" if state == "broken" else None)
    assert (found.state, found.code) == (state, failed)
