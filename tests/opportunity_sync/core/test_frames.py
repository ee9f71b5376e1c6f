"""What every step of the rules does with frames and tables."""

from __future__ import annotations

import pyarrow as pa

from opportunity_sync.core.frames import kept

ROWS = pa.table({"name": ["a", "b", "c"]})


def test_a_table_of_which_all_is_kept_is_not_copied() -> None:
    """Nor is one without rows."""
    assert kept(ROWS, pa.array([True, True, True])) is ROWS
    nothing = ROWS.slice(0, 0)
    assert kept(nothing, pa.array([], pa.bool_())) is nothing


def test_a_row_of_which_nothing_is_known_is_left_out() -> None:
    """A null in the mask is no yes."""
    assert kept(ROWS, pa.array([True, None, True]))["name"].to_pylist() == ["a", "c"]
    assert kept(ROWS, pa.array([None, None, None], pa.bool_()))["name"].to_pylist() == []
    assert kept(ROWS, pa.array([False, True, False]))["name"].to_pylist() == ["b"]
