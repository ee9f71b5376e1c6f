"""Rows that cannot be taken, each named by table, record, column and the shape of its value.

A value itself is never named: it is a customer's data, and errors are shown and kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from opportunity_sync.dynamics.columns import Columns, Fault, guids
from opportunity_sync.dynamics.rows import DELETED_ID_AT, KEY_AT, VERSION_AT, Slot
from opportunity_sync.entities import VERSION_SOURCE, Entity
from opportunity_sync.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PATH: Final = re.compile(r"^(?P<problem>.*) - at `\$\.?(?P<column>[^`]*)`$")
_anything = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class NamedFault:
    """A fault and the Dataverse column it is in."""

    row: int
    source: str
    problem: str


def named(source: str, faults: Iterable[Fault]) -> list[NamedFault]:
    return [NamedFault(fault.row, source, fault.problem) for fault in faults]


def unidentified(entity: Entity, values: Sequence[Sequence[Any]]) -> list[NamedFault]:
    """Rows without a key or a version: they could be neither found again nor ordered."""
    identity = ((entity.key, values[KEY_AT]), (VERSION_SOURCE, values[VERSION_AT]))
    return [
        NamedFault(row, source, "is missing")
        for source, column in identity
        if None in column
        for row, value in enumerate(column)
        if value is None
    ]


def missing(slot: Slot, built: Columns) -> list[NamedFault]:
    """Rows without a value that nothing can be made of the row without."""
    if not slot.field.required:
        return []
    values = built.arrays[0].to_pylist()
    return [
        NamedFault(row, slot.field.source, "is empty")
        for row, value in enumerate(values)
        if value in {None, ""}
    ]


def set_aside(
    entity: Entity, table: pa.Table, faults: Iterable[NamedFault]
) -> tuple[pa.Table, list[DataError]]:
    """The table without the faulty rows, and one error for each of them: its first fault."""
    first = {fault.row: fault for fault in reversed(list(faults))}
    if not first:
        return table, []
    keys = table.column(entity.key_column)
    errors = [
        DataError(
            fault.problem, entity=entity.name, record_id=keys[row].as_py(), field=fault.source
        )
        for row, fault in sorted(first.items())
    ]
    is_good = np.ones(table.num_rows, dtype=bool)
    is_good[list(first)] = False
    return table.filter(pa.array(is_good)), errors


def mistyped(entity: Entity, row: msgspec.Raw, error: msgspec.ValidationError) -> DataError:
    """The error of a row with a value of a wrong type."""
    found = _PATH.match(str(error))
    problem, column = (found["problem"], found["column"]) if found else ("is not a row", None)
    return DataError(
        problem[0].lower() + problem[1:],
        entity=entity.name,
        record_id=_record_id(entity, row),
        field=column or None,
    )


def deleted_ids(
    entity: Entity, tombstones: Sequence[Sequence[Any]]
) -> tuple[list[str], list[DataError]]:
    """Keys of the tombstones, and an error for each that does not say which row it means."""
    if not tombstones:
        return [], []
    found = guids([tombstone[DELETED_ID_AT] for tombstone in tombstones])
    keys = [key for key in found.arrays[0].to_pylist() if key is not None]
    errors = [
        DataError(
            "a deletion does not name its row", entity=entity.name, record_id=None, field="id"
        )
        for _ in range(len(tombstones) - len(keys))
    ]
    return keys, errors


def _record_id(entity: Entity, row: msgspec.Raw) -> str | None:
    try:
        key = _anything.decode(row).get(entity.key)
    except ValueError:
        return None
    return guids([key]).arrays[0].to_pylist()[0] if isinstance(key, str) else None
