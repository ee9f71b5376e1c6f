"""The sync filter: only an explicit No excludes a row; no value and no column mean Yes.

The rule is said for Arrow, for pandas and for SQL side by side, so that no two of them can part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from opportunity_sync.core.frames import Mask, Values

# A boolean column of a database, or an expression over one; core knows no database.
SqlColumn = Any


def is_synced(values: Values) -> Mask:
    """Which rows are not excluded; never null."""
    return pc.fill_null(values.cast(pa.bool_()), fill_value=True)


def is_excluded_frame(values: pd.Series) -> np.ndarray:
    """Which rows are excluded."""
    excluded: np.ndarray = ~values.fillna(value=True).astype(bool).to_numpy()
    return excluded


def is_synced_sql(column: SqlColumn) -> SqlColumn:
    """A condition that holds for the rows that are not excluded."""
    return column.is_not(False)


def is_excluded_sql(column: SqlColumn) -> SqlColumn:
    """A condition that holds for the rows that are excluded."""
    return column.is_(False)
