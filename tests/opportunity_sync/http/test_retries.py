"""How often and how long: by time where the server asks for it, by count where nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opportunity_sync.errors import (
    ConfigError,
    Request,
    ResponseError,
    SyncError,
    ThrottledError,
    TransientError,
)
from opportunity_sync.http.abort import Cancellation
from opportunity_sync.http.retries import RequestCounters, Retries, RetryPolicy

if TYPE_CHECKING:
    from opportunity_sync.http.time_limits import TimeLimits


class Failing:
    """An action that fails always, or so many times."""

    def __init__(self, error: SyncError, times: int = 10_000) -> None:
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


def test_a_success_is_not_tried_again() -> None:
    """And nothing is counted or waited for."""
    action, chosen = Failing(TransientError("x"), times=0), retries()

    assert chosen.run(action) == "done"
    assert (action.calls, chosen.counters.retries, chosen.counters.waited_seconds) == (1, 0, 0)


def test_an_error_that_can_t_heal_is_raised_as_it_is() -> None:
    """A person must act, so each further try is lost time."""
    error = ConfigError("no such table", next_step="look")
    action = Failing(error)

    with pytest.raises(ConfigError) as raised:
        retries().run(action)

    assert (raised.value, action.calls) == (error, 1)


def test_each_wait_is_counted() -> None:
    """For the run's summary: two retries, of which each waited for as long as it was told."""
    chosen = retries(answer_seconds=60)

    assert chosen.run(Failing(ThrottledError("busy", retry_after=0.01), times=2)) == "done"

    assert (chosen.counters.retries, chosen.counters.waited_seconds) == (2, 0.02)


def test_the_last_error_keeps_what_names_it_and_how_long_to_rest() -> None:
    """The scheduler waits by it, and a person finds the request in the server's log."""
    request = Request("GET", "contacts", 429, "0x80072322", "abc")
    error = ThrottledError("busy", next_step="wait", request=request, retry_after=600)

    with pytest.raises(ThrottledError, match="trying once") as raised:
        retries().run(Failing(error))

    assert (raised.value.request, raised.value.retry_after) == (request, 600)
    assert raised.value.__cause__ is error
    assert raised.value.next_step == (
        "run fewer readers at once: the server asks for 600 s of rest"
    )


def test_a_wait_that_ends_after_the_deadline_is_not_begun() -> None:
    """The task ends at once, and its worker is free meanwhile."""
    chosen = retries(answer_seconds=5)

    with pytest.raises(TransientError, match="Given up after trying once"):
        chosen.run(Failing(TransientError("x", retry_after=5)))

    assert chosen.counters.waited_seconds == 0


def test_a_reading_that_is_no_longer_wanted_is_not_tried_again() -> None:
    """Its last error is raised as it came: nobody has given up."""
    cancellation, error = Cancellation(), TransientError("cut off")

    class CancelledMeanwhile(Failing):
        def __call__(self, limits: object) -> str:
            cancellation.cancel()
            return super().__call__(limits)

    action = CancelledMeanwhile(error)
    with pytest.raises(TransientError) as raised:
        retries().run(action, cancellation)

    assert (raised.value, action.calls) == (error, 1)


def test_all_attempts_share_one_deadline() -> None:
    """An answer may take so long, however often it is asked for."""
    deadlines = []

    def action(limits: TimeLimits) -> str:
        deadlines.append(limits.deadline)
        if len(deadlines) < 3:
            raise ResponseError("cut short")
        return "done"

    retries(answer_seconds=60).run(action)

    assert len(deadlines) == 3
    assert len(set(deadlines)) == 1


@pytest.mark.parametrize(
    ("attempt", "longest"), [(1, 1.0), (2, 2.0), (5, 16.0), (7, 60.0), (5000, 60.0)]
)
def test_the_back_off_doubles_up_to_a_minute(attempt: int, longest: float) -> None:
    """Jitter takes half of it at most, so that readers part who were refused together."""
    chosen = retries(first_wait_seconds=1)

    waits = [chosen._next_wait(TransientError("x"), attempt) for _ in range(50)]

    assert longest / 2 <= min(waits) < max(waits) <= longest


@pytest.mark.parametrize(("attempt", "shortest"), [(1, 7.0), (2, 7.0), (6, 16.0)])
def test_the_server_s_wait_is_never_cut_short(attempt: int, shortest: float) -> None:
    """First just that; later the back-off, where it is longer."""
    chosen = retries(first_wait_seconds=1)

    wait = chosen._next_wait(ThrottledError("busy", retry_after=7.0), attempt)

    assert wait >= shortest
    assert attempt > 2 or wait == shortest
