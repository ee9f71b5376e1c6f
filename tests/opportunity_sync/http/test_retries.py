"""How often and how long: by time where the server asks for it, by count where nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from opportunity_sync.errors import ResponseError, ThrottledError, TransientError
from opportunity_sync.http.retries import RequestCounters, Retries, RetryPolicy
from opportunity_sync.http.retry_after import (
    LONGEST_REST_SECONDS,
    parse_http_date,
    retry_after_seconds,
)

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


class Failing:
    """An action that fails always, or so many times."""

    def __init__(self, error: TransientError, times: int = 10_000) -> None:
        self.error, self.times, self.calls = error, times, 0

    def __call__(self, _bounds: object) -> str:
        self.calls += 1
        if self.calls > self.times:
            return "done"
        raise self.error


def retries(
    *, attempts: int = 3, answer_seconds: float = 2, first_wait_seconds: float = 0.001
) -> Retries:
    """Three attempts and two seconds for an answer, unless told otherwise."""
    policy = RetryPolicy(attempts, answer_seconds, 60, first_wait_seconds)
    return Retries(policy, RequestCounters())


@pytest.mark.parametrize(
    "error",
    [
        ThrottledError("busy", retry_after=0.01),
        ThrottledError("busy"),
    ],
    ids=lambda error: f"{error.code} {error.retry_after}",
)
def test_a_server_that_throttles_is_asked_for_as_long_as_a_page_may_take(
    error: TransientError,
) -> None:
    """Five seconds of rest at a time must not use up all attempts within a minute."""
    action = Failing(error, times=6)
    assert retries().run(action) == "done"
    assert action.calls == 7


def test_a_server_that_fails_is_asked_a_few_times() -> None:
    """Nobody knows when it heals, so the scheduler takes over."""
    action = Failing(ResponseError("cut short"))
    with pytest.raises(ResponseError, match="Given up after trying 3 times"):
        retries().run(action)
    assert action.calls == 3


def test_a_single_attempt_is_one() -> None:
    """Whoever asks for one, as the connection's Test does, wants no wait."""
    action = Failing(ThrottledError("busy", retry_after=0.0))
    with pytest.raises(ThrottledError, match="Given up after trying once"):
        retries(attempts=1).run(action)
    assert action.calls == 1


def test_the_waits_grow_where_the_server_s_own_do_not_help() -> None:
    """Its wait is obeyed once; when it is busy again, the longer of both counts."""
    action = Failing(ThrottledError("busy", retry_after=0.001))
    chosen = retries(first_wait_seconds=0.05, answer_seconds=1.5)
    with pytest.raises(ThrottledError):
        chosen.run(action)
    assert 3 <= action.calls <= 8
    longer = Failing(ThrottledError("busy", retry_after=0.3), times=2)
    assert retries().run(longer) == "done"


def test_what_used_the_time_up_is_the_cause() -> None:
    """The attempt that only ran out of it says nothing."""
    busy, late = ThrottledError("busy", retry_after=0.0), TransientError("late")

    class BusyThenLate(Failing):
        def __call__(self, bounds: object) -> str:
            self.calls += 1
            if self.calls == 1:
                raise busy
            while bounds.remaining > 0:  # type: ignore[attr-defined]  # the bounds of an exchange
                pass
            raise late

    with pytest.raises(ThrottledError, match=r"Given up after trying 2 times\. busy"):
        retries(answer_seconds=0.2).run(BusyThenLate(late))


def test_the_last_message_promises_no_further_try() -> None:
    """It is read when there is none left."""
    for error in (
        TransientError("x"),
        ResponseError("x"),
        ThrottledError("x", retry_after=9),
    ):
        with pytest.raises(TransientError) as raised:
            retries().run(Failing(error))
        assert "tried again by itself" not in str(raised.value)
        assert "retried by itself" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3600", 3600),
        ("3601", LONGEST_REST_SECONDS),
        ("300000", LONGEST_REST_SECONDS),
        ("1e308", LONGEST_REST_SECONDS),
        ("9" * 5000, None),
        (str(int(NOW.timestamp()) + 90), 90),
        (str((int(NOW.timestamp()) + 90) * 1000), 90),
        (str(int(NOW.timestamp()) - 90), 0),
        ("99999999999999999999", LONGEST_REST_SECONDS),
        ("-99999999999999999999", 0),
        ("Tue, 03 Feb 2082 04:05:16 GMT", LONGEST_REST_SECONDS),
        ("Fri, 31 Dec 9999 23:59:59 -0100", None),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
        ("Tue, 03 Feb 2026 04:05:16 +99999999999", None),
        ("1e400", None),
        ("0x10", None),
        ("5 seconds", None),
        ("5, 6", None),
        ("\x00", None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_no_number_from_outside_reaches_a_clock_unbounded(
    value: str, seconds: float | None
) -> None:
    """Milliseconds, moments, far years and nonsense: an hour at most, or not said."""
    found = retry_after_seconds({"Retry-After": value}, now=NOW)
    assert found == seconds
    assert found is None or timedelta(seconds=found) <= timedelta(hours=1)


@pytest.mark.parametrize("value", ["", "soon", "Fri, 31 Dec 9999 23:59:59 -0100"])
def test_a_date_that_is_none_is_not_known(value: str) -> None:
    """The worker's clock counts alone then."""
    assert parse_http_date(value) is None
