"""Facts as they arrive and as the store gives them, in Arrow; columns not named are null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from opportunity_sync.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opportunity_sync.model import Entity

_ARROW: dict[Kind, pa.DataType] = {Kind.INTEGER: pa.int64(), Kind.BOOLEAN: pa.bool_()}


def fact_types(entity: Entity) -> dict[str, pa.DataType]:
    """The entity's fact columns with their types, without key and version."""
    return {column.name: _ARROW.get(column.kind, pa.string()) for column in entity.fact_columns}


def arriving_facts(entity: Entity, rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Staged facts; the version is 2 where none is given."""
    schema = pa.schema(_key_types(entity) | fact_types(entity))
    return pa.Table.from_pylist([{"version_number": 2} | row for row in rows], schema=schema)


def stored_facts(entity: Entity, rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Facts of the store, alive and of version 1 where nothing else is given."""
    marks: dict[str, pa.DataType] = {"is_deleted": pa.bool_(), "deleted_revision": pa.int64()}
    schema = pa.schema(_key_types(entity) | fact_types(entity) | marks)
    filled = [{"version_number": 1, "is_deleted": False} | row for row in rows]
    return pa.Table.from_pylist(filled, schema=schema)


def _key_types(entity: Entity) -> dict[str, pa.DataType]:
    return {entity.key_column: pa.string(), "version_number": pa.int64()}
