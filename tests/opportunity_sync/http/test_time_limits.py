"""No wait of an exchange is longer than the time that is left for all of it."""

from __future__ import annotations

import time

import pytest

from opportunity_sync.http.abort import Cancellation
from opportunity_sync.http.time_limits import TimeLimits


def limits(silence: float, left: float, cancellation: Cancellation | None = None) -> TimeLimits:
    """Limits of which so many seconds are left now."""
    deadline = time.monotonic() + left
    return TimeLimits(silence, deadline, cancellation or Cancellation())


@pytest.mark.parametrize(
    ("silence", "left", "waits"),
    [
        # silence, connect, head
        (60, 500, (60, 30, 90)),
        (10, 500, (10, 10, 20)),
        (60, 70, (60, 30, 70)),
        (60, 20, (20, 20, 20)),
    ],
)
def test_each_wait_is_bounded_by_itself_and_by_what_is_left(
    silence: float, left: float, waits: tuple[float, float, float]
) -> None:
    """The head may take a connection and one silence, the deadline cuts all of them."""
    found = limits(silence, left)

    assert waits == pytest.approx((found.silence, found.connect, found.head), abs=5)
    assert not found.is_over


def test_nothing_is_left_after_the_deadline() -> None:
    """The network library takes no wait of 0, so a moment remains to fail in."""
    found = limits(60, -1)

    assert (found.is_over, found.silence, found.connect) == (True, 0.001, 0.001)
    assert found.remaining < 0
    assert found.head < 0


def test_an_answer_that_nobody_wants_is_over() -> None:
    """However much time is left."""
    cancellation = Cancellation()
    found = limits(60, 500, cancellation)
    assert not found.is_over
    cancellation.cancel()
    assert found.is_over
