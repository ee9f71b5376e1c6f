"""What every step of the rules does with frames and tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from opportunity_sync.core.frames import (
    FLAG,
    TEXT,
    empty_frame,
    keep_rows,
    select_rows,
    to_frame,
    to_table,
)

ROWS = pa.table({"name": ["a", "b", "c"]})


def test_a_table_of_which_all_is_kept_is_not_copied() -> None:
    """Nor is one without rows."""
    assert keep_rows(ROWS, pa.array([True, True, True])) is ROWS
    nothing = ROWS.slice(0, 0)
    assert keep_rows(nothing, pa.array([], pa.bool_())) is nothing


def test_a_row_of_which_nothing_is_known_is_left_out() -> None:
    """A null in the mask is no yes."""
    assert keep_rows(ROWS, pa.array([True, None, True]))["name"].to_pylist() == ["a", "c"]
    assert keep_rows(ROWS, pa.array([None, None, None], pa.bool_()))["name"].to_pylist() == []
    assert keep_rows(ROWS, pa.array([False, True, False]))["name"].to_pylist() == ["b"]


def a_frame(**columns: list[str | None]) -> pd.DataFrame:
    """A frame of texts."""
    return to_frame(pa.table({name: pa.array(each, pa.string()) for name, each in columns.items()}))


def test_selected_rows_have_new_names_constants_and_an_index_of_their_own() -> None:
    """What is not asked for is left behind."""
    frame = a_frame(id=["a", "b", "c"], other=["x", "y", "z"])

    found = select_rows(frame, np.array([True, False, True]), {"key": "id"}, kind="k", is_new=True)

    assert to_table(found).to_pylist() == [
        {"key": "a", "kind": "k", "is_new": True},
        {"key": "c", "kind": "k", "is_new": True},
    ]
    assert found.index.tolist() == [0, 1]


def test_constants_have_their_type_where_no_row_is_selected() -> None:
    """Frames are put one below the other, and a column must not change its type by that."""
    nothing = select_rows(
        a_frame(id=["a"]), np.array([False]), {"key": "id"}, kind="k", none=None, is_new=False
    )

    assert nothing.dtypes.to_dict() == {"key": TEXT, "kind": TEXT, "none": TEXT, "is_new": FLAG}


def test_a_column_that_is_asked_for_twice_is_there_twice() -> None:
    """A role's key and its name can come of the same column."""
    found = select_rows(a_frame(id=["a"]), np.array([True]), {"first": "id", "second": "id"})

    assert to_table(found).to_pylist() == [{"first": "a", "second": "a"}]


def test_columns_without_rows_keep_their_types_below_others() -> None:
    """Rules that find nothing give such frames."""
    empty = empty_frame({"key": TEXT, "is_new": FLAG})
    one = pd.DataFrame(
        {"key": pd.Series(["a"], dtype=TEXT), "is_new": pd.Series([None], dtype=FLAG)}
    )

    both = pd.concat([empty, one, empty], ignore_index=True)

    assert both.dtypes.to_dict() == {"key": TEXT, "is_new": FLAG}
    assert to_table(both).to_pylist() == [{"key": "a", "is_new": None}]


def test_a_table_comes_back_from_a_frame_as_it_was() -> None:
    """Nulls are nulls and numbers stay whole; neither index nor remarks of pandas come along."""
    table = pa.table({"id": ["a", None], "version_number": pa.array([2**60 + 1, None], pa.int64())})

    back = to_table(to_frame(table))

    assert back == table
    assert back.schema.metadata is None
