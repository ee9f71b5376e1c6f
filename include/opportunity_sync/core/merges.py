"""Who survives a merge: Dataverse keeps the loser as a row that points at its master.

A loser has `merged` true *and* a `masterid`; one without the other is no merge. Chains can be
any length, can end at a record that is not there, and can (damaged data) run in a circle.
Chains are followed by pointer doubling, so a chain of a thousand merges costs ten rounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from opportunity_sync.core.matching import UniqueKey, array_of, take_rows

if TYPE_CHECKING:
    from opportunity_sync.core.frames import Mask

MERGE_CIRCLE = "merge_circle"


def is_loser(records: pd.DataFrame | pa.Table) -> Mask:
    """Which records were merged into another; never null."""
    is_merged = array_of(records["is_merged"], pa.bool_())
    master = array_of(records["master_id"], pa.string())
    return pc.and_(pc.fill_null(is_merged, fill_value=False), master.is_valid())


def survivors(records: pd.DataFrame, key: str) -> pd.DataFrame:
    """Find the surviving record of every record.

    `records` has `key` (unique), `is_merged` and `master_id`. Returns one row per record, in the
    same order: `key`, `survivor_id` (the record's own id when it is no loser; null in a circle),
    `is_loser` and `is_circle`. A survivor need not be among `records`.
    """
    lost = is_loser(records).to_numpy(zero_copy_only=False)
    is_circle = np.zeros(len(records), dtype=bool)
    survivor = records[key]
    if lost.any():
        losers = records.loc[lost, [key, "master_id"]]
        last, is_circle[lost] = _ends_of_chains(losers, key)
        survivor = survivor.mask(lost)
        survivor[lost] = take_rows(losers["master_id"], last)
        survivor = survivor.mask(is_circle)
    columns = {"survivor_id": survivor, "is_loser": lost, "is_circle": is_circle}
    return pd.DataFrame({key: records[key], **columns}, copy=False)


def _ends_of_chains(losers: pd.DataFrame, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Position of the last loser on each loser's chain, and whether the chain never ends."""
    following = UniqueKey(losers[key]).positions(losers["master_id"])
    last = np.arange(len(losers))
    for _ in range(len(losers).bit_length() + 1):
        goes_on = following >= 0
        if not goes_on.any():
            break
        last[goes_on] = last[following[goes_on]]
        following[goes_on] = following[following[goes_on]]
    return last, following >= 0
