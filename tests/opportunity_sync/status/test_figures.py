"""Tests of the figures that are computed from what runs wrote down."""

from __future__ import annotations

import pytest

from opportunity_sync.status.figures import percentile


@pytest.mark.parametrize(
    ("classes", "share", "expected"),
    [
        ({60: 1}, 0.5, 60),
        ({60: 50, 300: 50}, 0.5, 60),
        ({60: 49, 300: 51}, 0.5, 300),
        ({300: 6, 60: 94}, 0.95, 300),
        ({60: 95, 300: 5}, 0.95, 60),
    ],
)
def test_a_percentile_is_the_bound_that_its_share_keeps_to(
    classes: dict[int, int], share: float, expected: int
) -> None:
    """The bound of the class in which the share of the rows is reached."""
    assert expected == percentile(classes, share)
