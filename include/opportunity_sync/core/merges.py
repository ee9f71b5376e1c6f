"""Who survives a merge: Dataverse keeps the loser as a row that points at its master.

A loser has `merged` true *and* a `masterid`; one without the other is no merge. Chains can be
any length, can end at a record that is not there, and can (damaged data) run in a circle.
Chains are followed by pointer doubling, so a chain of a thousand merges costs ten rounds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from opportunity_sync.core.matching import UniqueKey, taken

MERGE_CIRCLE = "merge_circle"


def is_loser(records: pd.DataFrame) -> pd.Series:
    """Which records were merged into another."""
    return records["is_merged"].fillna(value=False).astype(bool) & records["master_id"].notna()


def survivors(records: pd.DataFrame, key: str) -> pd.DataFrame:
    """Find the surviving record of every record.

    `records` has `key` (unique), `is_merged` and `master_id`. Returns one row per record, in the
    same order: `key`, `survivor_id` (the record's own id when it is no loser; null in a circle)
    and `is_circle`. A survivor need not be among `records`.
    """
    lost = is_loser(records)
    is_circle = np.zeros(len(records), dtype=bool)
    survivor = records[key]
    if lost.any():
        losers = records.loc[lost, [key, "master_id"]]
        last, is_circle[lost.to_numpy()] = _ends_of_chains(losers, key)
        survivor = survivor.mask(lost)
        survivor[lost] = taken(losers["master_id"], last).array
        survivor = survivor.mask(is_circle)
    return pd.DataFrame({key: records[key], "survivor_id": survivor, "is_circle": is_circle})


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
