"""Frames as the rules use them: Arrow-backed columns, so that text is compact and null is null."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT = pd.ArrowDtype(pa.string())
FLAG = pd.ArrowDtype(pa.bool_())


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Turn an Arrow table into a frame without leaving Arrow memory."""
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def to_table(frame: pd.DataFrame) -> pa.Table:
    """Turn a frame back into an Arrow table, without index and pandas metadata."""
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def empty_frame(columns: Mapping[str, pd.ArrowDtype]) -> pd.DataFrame:
    """A frame without rows; the columns keep their types through concatenation."""
    return pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in columns.items()})


def with_constants(frame: pd.DataFrame, constants: Mapping[str, str | bool | None]) -> pd.DataFrame:
    """Add constant columns: text for text and null, a flag for a bool."""
    return frame.assign(
        **{
            name: pd.Series(
                [value] * len(frame),
                index=frame.index,
                dtype=FLAG if isinstance(value, bool) else TEXT,
            )
            for name, value in constants.items()
        }
    )
