"""Frames as the rules use them: Arrow-backed columns, so that text is compact and null is null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping

# Columns of Arrow tables, in one piece or in several, whose types tell the two apart.
Values = Any
Mask = Any

TEXT = pd.ArrowDtype(pa.string())
FLAG = pd.ArrowDtype(pa.bool_())


def keep_rows(table: pa.Table, mask: Mask) -> pa.Table:
    """The rows where the mask holds; mostly all of them, and then nothing is copied."""
    is_whole = pc.all(mask, skip_nulls=False, min_count=0).as_py() is True
    return table if is_whole else table.filter(mask)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Turn an Arrow table into a frame without leaving Arrow memory."""
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def to_table(frame: pd.DataFrame) -> pa.Table:
    """Turn a frame back into an Arrow table, without index and pandas metadata."""
    return pa.table({name: pa.array(frame[name].array) for name in frame.columns})


def empty_frame(columns: Mapping[str, pd.ArrowDtype]) -> pd.DataFrame:
    """A frame without rows; the columns keep their types through concatenation."""
    return pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in columns.items()})


def select_rows(
    frame: pd.DataFrame,
    rows: pd.Series | np.ndarray,
    columns: Mapping[str, str],
    **constants: str | bool | None,
) -> pd.DataFrame:
    """The rows where the mask holds, of these columns (new name: name in `frame`), and constants.

    A constant is a text column for text and null, a flag for a bool. The index is a new one.
    """
    is_wanted = np.asarray(rows, dtype=bool)
    arrays = {name: frame[known].array[is_wanted] for name, known in columns.items()}
    count = int(is_wanted.sum())
    for name, value in constants.items():
        dtype = FLAG if isinstance(value, bool) else TEXT
        scalar: Any = pa.scalar(value, dtype.pyarrow_dtype)
        repeated: Values = pa.repeat(scalar, count)
        arrays[name] = pd.array(repeated, dtype=dtype)
    return pd.DataFrame(arrays, copy=False)
