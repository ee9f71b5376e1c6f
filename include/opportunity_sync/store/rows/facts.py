"""Finds facts by index: what the rules ask the store about the neighbourhood of a change.

There can be a handful of ids to look for, or a million. A handful become parameters of the query.
More go into a temporary table that is joined. Up to some thousands the join uses the index; beyond
that PostgreSQL decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from sqlalchemy import Column, bindparam, select

from opportunity_sync.model import VERSION, Kind
from opportunity_sync.store.schema.tables import fact_table
from opportunity_sync.store.schema.types import Identifier
from opportunity_sync.store.statements.bulk import (
    analyze_table,
    append_rows,
    prefer_index,
    staged_table,
    temporary_table,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Select

    from opportunity_sync.core.ids import IdSet
    from opportunity_sync.model import Entity

_ARROW: dict[Kind, pa.DataType] = {Kind.INTEGER: pa.int64(), Kind.BOOLEAN: pa.bool_()}
_CHUNK_ROWS = 50_000
_FEW = 100
_WANTED = temporary_table("wanted_ids", Column("wanted", Identifier), searched=["wanted"])


def find_facts(connection: Connection) -> Callable[[Entity, str, IdSet], pa.Table]:
    """A look-up over this connection's view of the store.

    It takes an entity, one of its fact columns (or its key) and ids. It returns the rows whose
    column is among the ids, deleted rows too: key, `version_number`, the fact columns,
    `is_deleted`, `deleted_revision`.
    """

    def find(entity: Entity, column: str, ids: IdSet) -> pa.Table:
        facts = fact_table(entity)
        schema = _schema(entity)
        query = select(*(facts.c[name] for name in schema.names))
        with prefer_index(connection, len(ids)):
            if len(ids) <= _FEW:
                few = query.where(facts.c[column].in_(bindparam("wanted", expanding=True)))
                return _read(connection, few, schema, wanted=ids.to_list())
            with staged_table(connection, _WANTED) as staged:
                append_rows(connection, staged, pa.table({"wanted": ids.array}))
                analyze_table(connection, staged)
                joined = query.join_from(staged, facts, facts.c[column] == staged.c.wanted)
                return _read(connection, joined, schema)

    return find


def _schema(entity: Entity) -> pa.Schema:
    types: dict[str, pa.DataType] = {
        entity.key_column: pa.string(),
        VERSION.name: pa.int64(),
        **{known.name: _ARROW.get(known.kind, pa.string()) for known in entity.fact_columns},
        "is_deleted": pa.bool_(),
        "deleted_revision": pa.int64(),
    }
    return pa.schema(types)


def _read(
    connection: Connection, query: Select[*tuple[object, ...]], schema: pa.Schema, **given: object
) -> pa.Table:
    batches = []
    result = connection.execute(query, given)
    while rows := result.fetchmany(_CHUNK_ROWS):
        values = zip(*rows, strict=True)
        arrays = [pa.array(each, field.type) for each, field in zip(values, schema, strict=True)]
        batches.append(pa.record_batch(arrays, schema=schema))
    return pa.Table.from_batches(batches, schema=schema)
