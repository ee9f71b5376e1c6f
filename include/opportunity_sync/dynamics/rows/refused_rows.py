"""Rows that cannot be taken, each named by table, record, column and the shape of its value.

A value itself is never named: it is a customer's data, and errors are shown and kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import numpy as np
import pyarrow as pa

from opportunity_sync.dynamics.pages.envelope import MALFORMED, split_members
from opportunity_sync.dynamics.rows.arrow_columns import ArrowColumns, BadValue, build_guids
from opportunity_sync.dynamics.rows.row_shape import DELETED_ID_AT, KEY_AT, VERSION_AT, Slot
from opportunity_sync.errors import DataError
from opportunity_sync.model import VERSION, VERSION_SOURCE, Entity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Value = TypeVar("Value", str, int)

_DELETED: Final = "/$deletedEntity"
_PATH: Final = re.compile(r"^(?P<problem>.*) - at `\$\.?(?P<column>[^`]*)`$")
_NO_JSON: Final = "is not whole JSON (NaN, Infinity, or a character that must be escaped)"
_LONGEST_KEY_BYTES: Final = 2400  # what PostgreSQL's index takes beside two GUIDs


@dataclass(frozen=True, slots=True)
class RefusalReason:
    """A fault and the Dataverse column it is in."""

    row: int
    source: str
    problem: str


def reasons_of(source: str, faults: Iterable[BadValue]) -> list[RefusalReason]:
    return [RefusalReason(fault.row, source, fault.problem) for fault in faults]


def find_unidentified(entity: Entity, values: Sequence[Sequence[Any]]) -> list[RefusalReason]:
    """Rows without a key or a version: they could be neither found again nor ordered."""
    identity = ((entity.key, values[KEY_AT]), (VERSION_SOURCE, values[VERSION_AT]))
    return [
        RefusalReason(row, source, "is missing")
        for source, column in identity
        if None in column
        for row, value in enumerate(column)
        if value is None
    ]


def find_unusable(slot: Slot, built: ArrowColumns) -> list[RefusalReason]:
    """Rows without a value that nothing can be made of the row without, or with too long a one."""
    longest = slot.field.max_length
    if not slot.field.required and longest is None:
        return []
    return [
        RefusalReason(row, slot.field.source, problem)
        for row, value in enumerate(built.arrays[0].to_pylist())
        if (problem := _problem_of(value, slot, longest)) is not None
    ]


def _problem_of(value: str | None, slot: Slot, longest: int | None) -> str | None:
    if not value:
        return "is empty" if slot.field.required else None
    if longest is None:
        return None
    if len(value) > longest or len(value.encode()) > _LONGEST_KEY_BYTES:
        return f"is longer than {longest:,} characters, or {_LONGEST_KEY_BYTES:,} bytes"
    return None


def refuse_rows(
    entity: Entity, table: pa.Table, faults: Iterable[RefusalReason]
) -> tuple[pa.Table, list[DataError]]:
    """The table without the faulty rows, and one error for each of them: its first fault."""
    first = {fault.row: fault for fault in reversed(list(faults))}
    if not first:
        return table, []
    keys, versions = table.column(entity.key_column), table.column(VERSION.name)
    errors = [
        DataError(
            fault.problem,
            entity=entity.name,
            record_id=keys[row].as_py(),
            field=fault.source,
            version=versions[row].as_py(),
        )
        for row, fault in sorted(first.items())
    ]
    is_good = np.ones(table.num_rows, dtype=bool)
    is_good[list(first)] = False
    return table.filter(pa.array(is_good)), errors


def mistyped_row_error(entity: Entity, row: bytes, error: Exception) -> DataError:
    """The error of a row that is no JSON, or has a value of a wrong type."""
    found = _PATH.match(str(error)) if isinstance(error, msgspec.ValidationError) else None
    problem, column = (found["problem"], found["column"]) if found else (_NO_JSON, None)
    key, version = _read_identity(entity, row)
    return DataError(
        problem[0].lower() + problem[1:],
        entity=entity.name,
        record_id=key,
        field=column or None,
        version=version,
    )


def repeated_member_error(entity: Entity, row: bytes) -> DataError | None:
    """The error of a row that names its key or its version twice: nobody knows which one counts."""
    names = [name for name, _ in split_members(row)]
    twice = next((name for name in (entity.key, VERSION_SOURCE) if names.count(name) > 1), None)
    if twice is None:
        return None
    key, version = _read_identity(entity, row)
    problem = "is named twice in one row"
    return DataError(problem, entity=entity.name, record_id=key, field=twice, version=version)


def read_deleted_ids(
    entity: Entity, tombstones: Sequence[Sequence[Any]]
) -> tuple[list[str], list[DataError]]:
    """Keys of the tombstones, and an error for each that does not say which row it means."""
    if not tombstones:
        return [], []
    found = build_guids([tombstone[DELETED_ID_AT] for tombstone in tombstones])
    keys = [key for key in found.arrays[0].to_pylist() if key is not None]
    errors = [
        DataError(
            "a deletion does not name its row", entity=entity.name, record_id=None, field="id"
        )
        for _ in range(len(tombstones) - len(keys))
    ]
    return keys, errors


def _read_identity(entity: Entity, row: bytes) -> tuple[str | None, int | None]:
    """Key and version of a row, each where it can be read; of a deletion the key that it names."""
    try:
        members = split_members(row)
    except ValueError:
        return None, None
    values: dict[str, set[bytes]] = {}
    for name, value in members:
        values.setdefault(name, set()).add(value)
    is_deletion = is_tombstone(_only_value(values.get("@odata.context"), str))
    key = _only_value(values.get("id" if is_deletion else entity.key), str)
    version = _only_value(values.get(VERSION_SOURCE), int)
    has_version = version is not None and -(2**63) <= version < 2**63
    return build_guids([key]).arrays[0].to_pylist()[0], version if has_version else None


def _only_value(written: set[bytes] | None, kind: type[Value]) -> Value | None:
    """The one value of a member, where it has just one, of this kind."""
    if written is None or len(written) != 1:
        return None
    try:
        return msgspec.json.decode(next(iter(written)), type=kind)
    except MALFORMED:
        return None


def is_tombstone(context: str | None) -> bool:
    """Whether a row of this context says that a record was deleted."""
    return context is not None and context.endswith(_DELETED)
