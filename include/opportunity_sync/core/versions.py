"""Which of two rows counts: a newer version wins, and of deletions the store's own order decides.

An older version never replaces a newer one; an equal one may, since not every change moves the
version. Whether a deletion is younger than what a run has read is no matter of clocks: a deletion
that was loaded after the run began, at a higher revision of the store, is. Each rule is said for
Arrow and for SQL side by side, so that no two of them can part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from opportunity_sync.core.frames import Mask, Values

# Columns of a database, or expressions over some; core knows no database.
SqlColumn = Any
# As the revision of a deletion: higher than any, so that no run brings an erased record back.
ERASED: Final = 2**63 - 1


def is_older(versions: Values, known: Values) -> Mask:
    """Which rows are of a lower version than what is known of them; false where nothing is."""
    return pc.fill_null(pc.less(versions, known), fill_value=False)


def is_erased(is_deleted: Values, deleted_revision: Values) -> Mask:
    """Which records were erased for ever: deleted by a change that no run can ever have known."""
    return pc.fill_null(pc.and_(is_deleted, pc.equal(deleted_revision, ERASED)), fill_value=False)


def is_current_sql(version: SqlColumn, known: SqlColumn) -> SqlColumn:
    """A condition that holds for rows that are not older than the known one."""
    return version >= known


def is_deleted_since(is_deleted: Values, deleted_revision: Values, *, begun: int) -> Mask:
    """Which records were found deleted by a change that a run, begun at a revision, can't know."""
    is_later = pc.greater(deleted_revision, begun)
    return pc.fill_null(pc.and_(is_deleted, is_later), fill_value=False)


def is_deleted_since_sql(
    is_deleted: SqlColumn, deleted_revision: SqlColumn, *, begun: int
) -> SqlColumn:
    """The same as a condition."""
    return is_deleted & (deleted_revision > begun)


def may_revive_sql(is_deleted: SqlColumn, deleted_revision: SqlColumn, *, begun: int) -> SqlColumn:
    """A condition that holds for deleted records which a run begun at a revision brings back."""
    return is_deleted & (deleted_revision <= begun)


def newest_of_each(keys: Values, versions: Values) -> Mask:
    """Marks one row per key: the newest version, and of equal ones the row that comes last."""
    places = np.arange(len(keys))
    rows = pa.table({"key": keys, "version": versions, "place": places})
    order = pc.sort_indices(
        rows, sort_keys=[(name, "ascending") for name in ("key", "version", "place")]
    )
    ordered = rows["key"].take(order)
    is_last = np.ones(len(keys), dtype=bool)
    is_last[:-1] = pc.not_equal(ordered.slice(0, len(keys) - 1), ordered.slice(1))
    is_newest = np.zeros(len(keys), dtype=bool)
    is_newest[order.to_numpy()[is_last]] = True
    return pa.array(is_newest)
