"""How often and how long: by time where the server asks for it, by count where nobody knows."""

from __future__ import annotations

import pytest

from opportunity_sync.errors import ResponseError, ThrottledError, TransientError
from opportunity_sync.http.retries import RequestCounters, Retries, RetryPolicy


class Failing:
    """An action that fails always, or so many times."""

    def __init__(self, error: TransientError, times: int = 10_000) -> None:
        self.error, self.times, self.calls = error, times, 0

    def __call__(self, _limits: object) -> str:
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
        def __call__(self, limits: object) -> str:
            self.calls += 1
            if self.calls == 1:
                raise busy
            while limits.remaining > 0:  # type: ignore[attr-defined]  # the limits of an exchange
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
