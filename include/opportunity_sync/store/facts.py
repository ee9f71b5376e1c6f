"""Finding facts by index: what the rules ask the store about the neighbourhood of a change.

The ids to look for can be a handful or a million, so they go into a temporary table and are
joined; the database is told how many there are, so that it picks the index for the handful.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from sqlalchemy import Column, Table, select

from opportunity_sync.core.frames import to_frame, to_table
from opportunity_sync.entities import VERSION, Kind
from opportunity_sync.store.bulk import append, staged_table
from opportunity_sync.store.tables import fact_table
from opportunity_sync.store.types import Identifier

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from sqlalchemy import Connection

    from opportunity_sync.entities import Entity

_ARROW: dict[Kind, pa.DataType] = {Kind.INTEGER: pa.int64(), Kind.BOOLEAN: pa.bool_()}
_CHUNK_ROWS = 50_000


def find_facts(connection: Connection) -> Callable[[Entity, str, pd.Series], pd.DataFrame]:
    """A look-up over this connection's view of the store.

    It takes an entity, one of its fact columns (or its key) and distinct ids, and returns the
    rows whose column is among the ids: key, `version_number`, the fact columns, `is_deleted`,
    `deleted_noticed_at`. Deleted rows are among them.
    """

    def find(entity: Entity, column: str, ids: pd.Series) -> pd.DataFrame:
        wanted = to_table(ids.dropna().drop_duplicates().to_frame("wanted"))
        with staged_table(connection, "wanted_ids", (Column("wanted", Identifier),)) as staged:
            append(connection, staged, wanted)
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"ANALYZE {staged.name}")
            return _joined(connection, staged, entity=entity, column=column)

    return find


def _joined(connection: Connection, staged: Table, *, entity: Entity, column: str) -> pd.DataFrame:
    fact = fact_table(entity)
    types: dict[str, pa.DataType] = {
        entity.key_column: pa.string(),
        VERSION.name: pa.int64(),
        **{known.name: _ARROW.get(known.kind, pa.string()) for known in entity.fact_columns},
        "is_deleted": pa.bool_(),
        "deleted_noticed_at": pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema(types)
    query = select(*(fact.c[name] for name in schema.names)).join_from(
        staged, fact, fact.c[column] == staged.c.wanted
    )
    batches = []
    result = connection.execute(query)
    while rows := result.fetchmany(_CHUNK_ROWS):
        values = zip(*rows, strict=True)
        arrays = [pa.array(each, field.type) for each, field in zip(values, schema, strict=True)]
        batches.append(pa.record_batch(arrays, schema=schema))
    return to_frame(pa.Table.from_batches(batches, schema=schema))
