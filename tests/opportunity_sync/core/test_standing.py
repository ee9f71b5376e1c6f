"""When the sync is late, and when it fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from opportunity_sync.core.standing import code_of_failure, is_failing, is_late, needs_person

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
AFTER = timedelta(minutes=15)
HEALS, PERSON, WELL = "ThrottledError", "PrivilegeError", None


def test_a_sync_is_late_when_the_time_is_over_and_not_before() -> None:
    """Nor one that never ended well: it has its first run before it."""
    ages = [timedelta(minutes=15), timedelta(minutes=15, seconds=1)]

    assert [is_late(NOW - age, now=NOW, after=AFTER) for age in ages] == [False, True]
    assert not is_late(None, now=NOW, after=AFTER)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ConfigError", True), ("StagingError", True), ("ResponseError", False), ("KeyError", False)],
)
def test_a_person_is_needed_where_trying_again_cannot_help(code: str, expected: bool) -> None:
    """An error that nobody foresaw may heal, so it has its three tries."""
    assert needs_person(code) is expected


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ([], None),
        ([WELL, PERSON, PERSON], None),
        ([PERSON, WELL], "PrivilegeError"),
        ([HEALS, HEALS, WELL], None),
        ([HEALS, PERSON, HEALS], "sync.failing"),
        (["", "", ""], "sync.failing"),
    ],
    ids=["no run", "well again", "a person", "heals", "three in a row", "no word"],
)
def test_a_failing_sync_has_one_code(ended: list[str | None], expected: str | None) -> None:
    """The newest run decides, and a single failure that heals by itself is none."""
    assert code_of_failure(ended) == expected


def test_what_runs_seldom_fails_at_once() -> None:
    """The next reconciliation is a day away."""
    assert is_failing([HEALS, WELL], failures=1)
