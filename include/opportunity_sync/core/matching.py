"""Left joins on a unique text key, as the rules need them by the million.

`DataFrame.merge(validate="m:1")` checks its promise through a MultiIndex, which costs several
times the join itself on GUIDs. Here the same promise is kept in Arrow: the key must be unique
(`ValueError` otherwise), nulls match nothing, and the left rows stay as they are, in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from opportunity_sync.core.frames import TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence


class UniqueKey:
    """The positions of unique keys, to be asked for many references."""

    def __init__(self, keys: pd.Series) -> None:
        self._keys = _array(keys)
        if pc.count_distinct(self._keys, mode="all").as_py() != len(self._keys):
            raise ValueError(f"{keys.name} is not unique, so a row could match several")

    def positions(self, references: pd.Series) -> np.ndarray:
        """Position of each reference among the keys, -1 where it is null or not there."""
        found: pa.Int32Array = pc.index_in(
            _array(references), value_set=self._keys, skip_nulls=True
        )
        return found.fill_null(-1).to_numpy(zero_copy_only=False).copy()


def taken(values: pd.Series, positions: np.ndarray) -> pd.Series:
    """`values` at these positions, null at -1; the index is that of the positions."""
    if not len(values):
        return values.reindex(np.full(len(positions), -1)).reset_index(drop=True)
    return pd.Series(values.array.take(positions, allow_fill=True))


def attach(
    frame: pd.DataFrame, other: pd.DataFrame, *, on: str, columns: Sequence[str]
) -> pd.DataFrame:
    """Add columns of `other`, whose `on` is unique, to the rows of `frame`: a left merge, m:1."""
    positions = UniqueKey(other[on]).positions(frame[on])
    added = {name: taken(other[name], positions).set_axis(frame.index) for name in columns}
    return frame.assign(**added)


def _array(texts: pd.Series) -> Any:
    array = pa.array(texts.astype(TEXT).array)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
