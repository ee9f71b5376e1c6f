"""Rows that can't be taken, each as an error that names table, record, column and problem.

An error never quotes the value. It belongs to a customer, and errors are shown and kept, so all
that is said of a value is its length or its type.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from opportunity_sync.dynamics.pages.brackets import split_members
from opportunity_sync.dynamics.pages.envelope import MALFORMED
from opportunity_sync.dynamics.rows.guid_columns import build_guids
from opportunity_sync.dynamics.rows.row_shape import KEY_AT, VERSION_AT, Column, Slot
from opportunity_sync.dynamics.rows.tombstones import is_tombstone
from opportunity_sync.errors import DataError
from opportunity_sync.model import VERSION, VERSION_SOURCE, Entity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opportunity_sync.dynamics.rows.arrow_columns import ArrowColumns, BadValue

Value = TypeVar("Value", str, int)

# How msgspec ends its message: the place of the value that it could not take.
_PLACE: Final = re.compile(r"^(?P<problem>.*) - at `\$\.?(?P<column>[^`]*)`$")
_NO_JSON: Final = "is not whole JSON (NaN, Infinity, or a character that must be escaped)"
_LONGEST_KEY_BYTES: Final = 2400  # what PostgreSQL's index takes beside two GUIDs


@dataclass(frozen=True, slots=True)
class RefusalReason:
    """Why a row of the page is refused: the Dataverse column and what is wrong with its value."""

    row: int
    source: str
    problem: str


def reasons_of(source: str, bad_values: Iterable[BadValue]) -> list[RefusalReason]:
    """The bad values of one Dataverse column as reasons to refuse their rows."""
    return [RefusalReason(bad.row, source, bad.problem) for bad in bad_values]


def find_unidentified(entity: Entity, columns: Sequence[Column]) -> list[RefusalReason]:
    """Rows without a key could not be found again, and rows without a version not be ordered."""
    identity = ((entity.key, columns[KEY_AT]), (VERSION_SOURCE, columns[VERSION_AT]))
    return [
        RefusalReason(row, source, "is missing")
        for source, column in identity
        if column.null_count
        for row in pc.indices_nonzero(column.is_null()).to_pylist()
    ]


def find_unusable(slot: Slot, built: ArrowColumns) -> list[RefusalReason]:
    """Rows whose value is empty though the field is required, or longer than the field allows."""
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
    entity: Entity, table: pa.Table, reasons: Iterable[RefusalReason]
) -> tuple[pa.Table, list[DataError]]:
    """The table without the rows that have a reason, and one error for each of them: its first."""
    first = {reason.row: reason for reason in reversed(list(reasons))}
    if not first:
        return table, []
    keys, versions = table.column(entity.key_column), table.column(VERSION.name)
    errors = [
        DataError(
            reason.problem,
            entity=entity.name,
            record_id=keys[row].as_py(),
            field=reason.source,
            version=versions[row].as_py(),
        )
        for row, reason in sorted(first.items())
    ]
    is_good = np.ones(table.num_rows, dtype=bool)
    is_good[list(first)] = False
    return table.filter(pa.array(is_good)), errors


def mistyped_row_error(entity: Entity, row: bytes, error: Exception) -> DataError:
    """The error of a row that is no JSON, or has a value of a wrong type."""
    found = _PLACE.match(str(error)) if isinstance(error, msgspec.ValidationError) else None
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
    """The error of a row that names its key or its version twice; None where it does not.

    Nobody can know which of the two counts.
    """
    names = [name for name, _ in split_members(row)]
    twice = next((name for name in (entity.key, VERSION_SOURCE) if names.count(name) > 1), None)
    if twice is None:
        return None
    key, version = _read_identity(entity, row)
    problem = "is named twice in one row"
    return DataError(problem, entity=entity.name, record_id=key, field=twice, version=version)


def _read_identity(entity: Entity, row: bytes) -> tuple[str | None, int | None]:
    """Key and version of a row, or None for what can't be read of them.

    A tombstone has the key of the record that it is about in another member.
    """
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
    (identity,) = build_guids(pa.array([key], pa.string())).arrays[0].to_pylist()
    return identity, version if has_version else None


def _only_value(written: set[bytes] | None, kind: type[Value]) -> Value | None:
    """The value of a member that has just one, and of this kind; None otherwise."""
    if written is None or len(written) != 1:
        return None
    try:
        return msgspec.json.decode(next(iter(written)), type=kind)
    except MALFORMED:
        return None
