"""The numbers of a run that a dashboard gets."""

from __future__ import annotations

import re
from typing import Any

import pytest

from opportunity_sync.pipeline.telling.metrics import (
    METRICS,
    metrics_of_alerts,
    metrics_of_check,
    metrics_of_failure,
    metrics_of_run,
    metrics_of_well,
)
from opportunity_sync.store import Alert, Figures
from opportunity_sync.store.schema.tables import COUNTS

LATE = Alert("sync.late", "", "Late.", "look")


def figures(**given: Any) -> Figures:
    """A run that read a contact, but for what is given."""
    usual: dict[str, Any] = {
        "mode": "continue",
        "requests": 5,
        "seconds": 2.5,
        "counts": {"contact": dict.fromkeys(COUNTS, 0) | {"read": 1, "updated": 1}},
        "lags": {60: 9, 600: 1},
        "waiting": {"contact": 7, "account": None},
        "refused": {"contact": 2},
        "unresolved": {"contact_not_found": 3, "account_excluded": 1},
    }
    return Figures(**usual | given)


def test_a_run_is_told_in_numbers() -> None:
    """Without counts of zero, and without what is not known."""
    told = [
        (each.name.removeprefix("dynamics_sync."), each.value) for each in metrics_of_run(figures())
    ]

    assert told == [
        ("run.succeeded", 1),
        ("run.seconds", 2.5),
        ("run.requests", 5),
        ("rows.read.contact", 1),
        ("rows.updated.contact", 1),
        ("refused.contact", 2),
        ("unresolved", 4),
        ("waiting.contact", 7),
        ("freshness_seconds.median", pytest.approx(53.3, abs=0.1)),
        ("freshness_seconds.p95", pytest.approx(540)),
    ]


def test_a_failed_run_is_counted_by_its_code() -> None:
    """As alerts and the page name it."""
    assert [each.name for each in metrics_of_failure("PrivilegeError")] == [
        "dynamics_sync.run.failed",
        "dynamics_sync.run.failed.PrivilegeError",
    ]


def test_an_alert_is_one_while_it_is_wrong_and_zero_again() -> None:
    """By its code, whatever the table; so a dashboard shows when it began and ended."""
    told = [*metrics_of_well([LATE]), *metrics_of_alerts([LATE, LATE])]

    assert [(each.name, each.value) for each in told] == [
        ("dynamics_sync.alert.sync.late", 0),
        ("dynamics_sync.alerts", 2),
        ("dynamics_sync.alert.sync.late", 1),
    ]


def test_a_check_is_told_by_the_states_of_its_items() -> None:
    """Also a state that none of them has."""
    told = metrics_of_check(["passed", "failed", "passed"])

    assert {each.name: each.value for each in told} == {
        "dynamics_sync.check.passed": 2,
        "dynamics_sync.check.failed": 1,
        "dynamics_sync.check.unknown": 0,
    }


def test_every_name_can_be_sent_to_statsd() -> None:
    """Its names are of letters, digits, dots and underscores."""
    told = [*metrics_of_run(figures()), *metrics_of_failure("A"), *metrics_of_alerts([LATE])]

    assert [each.name for each in told if not re.fullmatch(r"[\w.]+", each.name)] == []
    assert {each.pattern for each in [*told, *metrics_of_check([])]} == METRICS.keys()
