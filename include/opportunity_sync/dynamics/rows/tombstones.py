"""Rows of change tracking that say of a record only that it was deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from opportunity_sync.dynamics.rows.guid_columns import build_guids
from opportunity_sync.dynamics.rows.row_shape import context_of, deleted_id_of
from opportunity_sync.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opportunity_sync.model import Entity

_DELETED: Final = "/$deletedEntity"


def is_tombstone(context: str | None) -> bool:
    """Whether a row of this `@odata.context` says that a record was deleted."""
    return context is not None and context.endswith(_DELETED)


def split_tombstones(rows: Sequence[Any]) -> tuple[Sequence[Any], list[Any]]:
    """The other rows, and the tombstones."""
    if not any(map(context_of, rows)):
        return rows, []
    others = [row for row in rows if not is_tombstone(context_of(row))]
    return others, [row for row in rows if is_tombstone(context_of(row))]


def read_deleted_ids(
    entity: Entity, tombstones: Sequence[Any]
) -> tuple[list[str], list[DataError]]:
    """Keys of the tombstones, and an error for each that does not say which record it means."""
    if not tombstones:
        return [], []
    found = build_guids(pa.array(map(deleted_id_of, tombstones), pa.string()))
    keys = [key for key in found.arrays[0].to_pylist() if key is not None]
    errors = [
        DataError(
            "a deletion does not name its row", entity=entity.name, record_id=None, field="id"
        )
        for _ in range(len(tombstones) - len(keys))
    ]
    return keys, errors
