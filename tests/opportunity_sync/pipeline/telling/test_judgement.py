"""What is worth an alert, and what is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opportunity_sync.pipeline.telling.judgement import judge
from opportunity_sync.settings import Settings
from opportunity_sync.store import Alert, Signs
from opportunity_sync.store.journal.signs import EndedRun, FailedItem

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
WELL = EndedRun(is_failed=False, error="", error_code="")
THROTTLED = EndedRun(is_failed=True, error="Slow down.", error_code="ThrottledError")
REFUSED = EndedRun(is_failed=True, error="No read access.", error_code="PrivilegeError")


def signs(*, ended: dict[str, list[EndedRun]] | None = None, **given: Any) -> Signs:
    """The signs of a sync that is well, but for what is given."""
    usual: dict[str, Any] = {
        "last_success_at": NOW - timedelta(minutes=4),
        "refused": {},
        "changed_hour": 40,
        "changed_day": 1_000,
        "changed_week": 7_000,
        "days_known": 7.0,
        "mended": {"contact": (3, 10_000)},
        "failed_items": [],
    }
    by_mode: dict[str, list[EndedRun]] = {"continue": [WELL], "reconcile": [], "fill": []}
    return Signs(ended=by_mode | (ended or {}), **usual | given)


def codes_of(given: Signs) -> list[tuple[str, str]]:
    """The alerts that the signs give, by code and table."""
    return [alert.key for alert in judge(given, settings=Settings(), now=NOW)]


def test_a_sync_that_is_well_tells_nothing() -> None:
    """No sign, no alert."""
    assert codes_of(signs()) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (signs(last_success_at=NOW - timedelta(minutes=16)), [("sync.late", "")]),
        (signs(last_success_at=None), []),
        (signs(ended={"continue": [REFUSED, WELL]}), [("PrivilegeError", "")]),
        (signs(ended={"continue": [THROTTLED, THROTTLED, WELL]}), []),
        (signs(ended={"continue": [THROTTLED] * 3}), [("sync.failing", "")]),
        (signs(ended={"continue": [WELL, REFUSED]}), []),
        (signs(ended={"reconcile": [THROTTLED, WELL]}), [("reconciliation.failing", "")]),
        (signs(ended={"fill": [THROTTLED]}), [("quick_sync.failing", "")]),
        (signs(refused={"contact": 51, "account": 50}), [("rows.refused", "contact")]),
        (signs(changed_hour=1_001), [("volume.high", "")]),
        (signs(changed_hour=1_001, days_known=2.9), []),
        (signs(changed_hour=1_001, changed_week=70_000), []),
        (signs(changed_hour=0, changed_day=0), [("volume.none", "")]),
        (signs(changed_hour=0, changed_day=0, changed_week=600), []),
        (signs(mended={"contact": (101, 10_000)}), [("rows.drift", "contact")]),
        (signs(mended={"contact": (50, 100)}), []),
    ],
    ids=[
        "late",
        "never yet",
        "a person is needed",
        "heals",
        "three in a row",
        "healed",
        "reconciliation",
        "quick sync",
        "refused",
        "ten times the usual",
        "nothing is usual yet",
        "a busy organisation",
        "nothing for a day",
        "quiet anyway",
        "drift",
        "a small table",
    ],
)
def test_a_sign_gives_its_alert(given: Signs, expected: list[tuple[str, str]]) -> None:
    """Each limit from both sides."""
    assert codes_of(given) == expected


def test_a_failed_run_is_told_in_its_own_words() -> None:
    """With the step that they end in, and not a second one."""
    ended = replace(REFUSED, error="begin: No read access. Next step: give it.")

    [told] = judge(signs(ended={"continue": [ended]}), settings=Settings(), now=NOW)

    assert told.message.endswith("three in a row. begin: No read access.")
    assert told.next_step == "give it."


def test_an_item_of_the_check_is_told_by_its_own_code() -> None:
    """So an expired secret has one name everywhere, however many items have found it."""
    token = FailedItem("token", "refused", "make a new one", "dynamics.secret_expired")
    secret = FailedItem("secret", "expired yesterday", "make one", "dynamics.secret_expired")
    staging = FailedItem("staging", "it is full", "make room", "staging.unwritable")

    told = judge(signs(failed_items=[token, secret, staging]), settings=Settings(), now=NOW)

    assert told == [
        Alert("dynamics.secret_expired", "", "The check fails: token: refused", "make a new one"),
        Alert("staging.unwritable", "", "The check fails: staging: it is full", "make room"),
    ]
