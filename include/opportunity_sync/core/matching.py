"""Left joins on a unique text key, as the rules need them by the million.

`DataFrame.merge(validate="m:1")` checks its promise through a MultiIndex, which costs several
times the join itself on GUIDs. Here the same promise is kept in Arrow: the key must be unique
(`ValueError` otherwise), nulls match nothing, and the left rows stay as they are, in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from opportunity_sync.core.frames import Values


class UniqueKey:
    """The positions of unique keys, to be asked for many references."""

    def __init__(self, keys: pd.Series | Values) -> None:
        self._keys = array_of(keys, pa.string())
        if pc.count_distinct(self._keys, mode="all").as_py() != len(self._keys):
            name = keys.name if isinstance(keys, pd.Series) else "the key"
            raise ValueError(f"{name} is not unique, so a row could match several")

    def matches(self, references: pd.Series | Values) -> Values:
        """Position of each reference among the keys, null where it is null or not there."""
        return pc.index_in(array_of(references, pa.string()), value_set=self._keys, skip_nulls=True)

    def positions(self, references: pd.Series | Values) -> np.ndarray:
        """The same, with -1 for null."""
        positions: np.ndarray = (
            self.matches(references).fill_null(-1).to_numpy(zero_copy_only=False)
        )
        return positions.copy()


def take_rows(values: pd.Series, positions: np.ndarray) -> Any:
    """The array of `values` at these positions, null at -1."""
    return values.array.take(positions, allow_fill=True)


def attach_columns(
    frame: pd.DataFrame, other: pd.DataFrame, *, on: str, columns: Sequence[str]
) -> pd.DataFrame:
    """Add columns of `other`, whose `on` is unique, to the rows of `frame`: a left merge, m:1."""
    positions = UniqueKey(other[on]).positions(frame[on])
    return frame.assign(**{name: take_rows(other[name], positions) for name in columns})


def array_of(values: pd.Series | Values, kind: pa.DataType) -> Any:
    """The values in one piece of Arrow memory."""
    array: Any = values
    if isinstance(values, pd.Series):
        array = pa.array(values.array)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return array if array.type == kind else array.cast(kind)
