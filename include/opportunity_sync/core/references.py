"""From a reference (a GUID in a lookup) to the record it stands for, or to the reason for none.

Every rule asks the same four questions about a contact or account. Is it known? Was it merged into
another? Do its merges run in a circle? Does the sync filter exclude it? (Rows 8 to 11 of
`docs/associations.md`.) Inactive records count as active, so nobody asks for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from opportunity_sync.core.frames import TEXT
from opportunity_sync.core.matching import UniqueKey, array_of, take_rows
from opportunity_sync.core.merges import MERGE_CIRCLE, survivors
from opportunity_sync.core.sync_filter import is_excluded_frame

if TYPE_CHECKING:
    from opportunity_sync.core.frames import Values
    from opportunity_sync.core.ids import IdSet
    from opportunity_sync.model import Entity


@dataclass(frozen=True)
class Reason:
    """What `unresolved_association.reason` says of one kind of record."""

    not_found: str
    excluded: str
    refused: str
    erased: str | None = None


CONTACT_REASONS = Reason(
    "contact_not_found", "contact_excluded", "contact_refused", erased="contact_erased"
)
ACCOUNT_REASONS = Reason("account_not_found", "account_excluded", "account_refused")


class Directory:
    """The known records of one entity, to look references up in.

    Built from a frame of facts (key, `is_merged`, `master_id`, `sync_filter`, one row per key) and
    the ids of records that are in Dynamics but can't be taken, and of those that were erased.
    """

    def __init__(
        self,
        entity: Entity,
        records: pd.DataFrame,
        reasons: Reason,
        *,
        refused: IdSet,
        erased: IdSet,
    ) -> None:
        self._reasons = reasons
        self._refused = refused
        self._erased = erased
        self._records = records
        self._keys = UniqueKey(records[entity.key_column])
        ends = survivors(records, entity.key_column)
        is_loser = ends["is_loser"].to_numpy()
        self._is_circle = ends["is_circle"].to_numpy()
        self._survivor_ids = ends["survivor_id"]
        self._survivor = np.arange(len(records))
        self._survivor[is_loser] = self._keys.positions(ends["survivor_id"][is_loser])
        self._is_excluded = is_excluded_frame(records["sync_filter"])
        self._key_column = entity.key_column

    def look_up(self, references: pd.Series, *columns: str) -> dict[str, Any]:
        """Answer for each reference, row by row.

        Returns `survivor_id`, `reason`, `missing_id` and the given columns of the survivor.
        `reason` is null for a null reference, and where the reference leads to a synced record. An
        excluded record has a `survivor_id` *and* a reason, because some rules still use it.
        `missing_id` is the record that nobody knows: the one referred to, or the one at the end of
        its merges.
        """
        found = self._keys.positions(references)
        is_asked, is_found = references.notna().to_numpy(), found >= 0
        survivor = np.where(is_found, _values_at(self._survivor, found), -1)
        is_known, is_circle = survivor >= 0, is_found & _values_at(self._is_circle, found)
        named = array_of(references, pa.string())
        last = pa.array(take_rows(self._survivor_ids, found), pa.string())
        ends = pc.if_else(pa.array(is_found), last, named)
        is_refused = _are_among(self._refused, named) | _are_among(self._refused, ends)
        is_erased = _are_among(self._erased, named) | _are_among(self._erased, ends)
        reason = np.full(len(references), None, dtype=object)
        reason[is_asked & ~is_known] = self._reasons.not_found
        reason[is_asked & ~is_known & is_refused] = self._reasons.refused
        reason[is_asked & ~is_known & is_erased] = self._reasons.erased
        reason[is_circle] = MERGE_CIRCLE
        reason[is_known & _values_at(self._is_excluded, survivor)] = self._reasons.excluded
        return {
            "survivor_id": take_rows(self._records[self._key_column], survivor),
            "reason": pd.Series(reason, dtype=TEXT).array,
            "missing_id": pd.array(
                pc.if_else(pa.array(reason == self._reasons.not_found), ends, None), dtype=TEXT
            ),
            **{name: take_rows(self._records[name], survivor) for name in columns},
        }


def _are_among(known: IdSet, ids: Values) -> np.ndarray:
    """Which ids are among the known ones, mostly none."""
    if not len(known):
        return np.zeros(len(ids), dtype=bool)
    are_known: np.ndarray = known.holds(ids).to_numpy(zero_copy_only=False)
    return are_known


def _values_at(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """`values` at these positions. For -1 it is some value, which the caller sets aside."""
    if not len(values):
        return np.zeros(len(positions), dtype=values.dtype)
    taken_values: np.ndarray = values[positions]
    return taken_values
