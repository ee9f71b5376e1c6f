"""Record ids that a statement is about: a handful or a million, in a temporary table.

They come in parts and are not kept. Look-ups by them go through the large table's index where
they are few.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Table

from opportunity_sync.model import VERSION
from opportunity_sync.store.schema.types import Identifier
from opportunity_sync.store.statements.bulk import (
    analyze_table,
    append_rows,
    prefer_index,
    staged_table,
    temporary_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa
    from sqlalchemy import Connection

    from opportunity_sync.model import Entity


@contextmanager
def staged_keys(
    connection: Connection, entity: Entity, keys: Iterable[pa.Table]
) -> Iterator[Table]:
    """The keys in a temporary table, with `version_number` where the parts have it.

    Other columns of the parts are passed over. Not to be nested for the same entity.
    """
    with staged_table(connection, _staged_keys(entity)) as staged:
        rows = 0
        for part in keys:
            names = [name for name in part.column_names if name in staged.c]
            append_rows(connection, staged, part.select(names))
            rows += part.num_rows
        analyze_table(connection, staged)
        with prefer_index(connection, rows):
            yield staged


@cache
def _staged_keys(entity: Entity) -> Table:
    columns = (Column(entity.key_column, Identifier), Column(VERSION.name, BigInteger))
    return temporary_table(f"keys_of_{entity.name}", *columns, searched=[entity.key_column])
