"""Arrow rows into a database table, as fast as each database takes them.

PostgreSQL gets COPY: Arrow writes the CSV itself, where a null is nothing and an empty text is
`""`, so no row passes through Python and every text arrives byte for byte. SQLite gets
`executemany` over whole columns that were turned into what it stores (`store/schema/types.py`).
Rows that must be compared with stored ones go into a temporary table first.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from sqlalchemy import Boolean, Column, Index, MetaData, Table, delete, insert
from sqlalchemy.exc import DBAPIError

from opportunity_sync.store.schema.tables import (
    fact_table,
    opportunity_contact_role,
    public_table,
    unresolved_association,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from opportunity_sync.model import Model

_CSV = csv.WriteOptions(include_header=False, quoting_style="needed")
_FEW_ROWS = 20_000  # that many look-ups cost no more than reading a table of some hundred thousand
# PostgreSQL's ways to read all of a table.
_WHOLE_TABLE = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")
_SEARCHED = "searched"
_KEEPS_INDEXES = (psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege)
_CHUNK_ROWS = 5_000  # what a page holds; bounds the memory where a part is larger


def temporary_table(name: str, *columns: Column[Any], searched: Sequence[str]) -> Table:
    """A temporary table, yet to be made. Statements about the same one are compiled only once.

    `searched`: the columns by which a statement looks its rows up one by one; without an index
    each look-up would read the whole table, and the load would take the square of its rows. The
    index also spares PostgreSQL the price that `looked_up_by_index` puts on reading a table:
    before version 18 that is a number so high that beside it no other price counts, and a plan
    that reads the large table through an index passes for as good as one that looks rows up.
    """
    return Table(
        name,
        MetaData(),
        *columns,
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
        info={_SEARCHED: tuple(searched)},
    )


@contextmanager
def staged_table(connection: Connection, table: Table) -> Iterator[Table]:
    """Make a temporary table, empty; it is gone afterwards, whatever happens."""
    table.create(connection, checkfirst=False)
    yield table
    table.drop(connection, checkfirst=False)  # after an error the transaction's end drops it


def clear_table(connection: Connection, table: Table) -> None:
    """Empty a temporary table for the next part."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"TRUNCATE {table.name}")
    else:
        connection.execute(delete(table))


def analyze_table(connection: Connection, table: Table) -> None:
    """Make a filled temporary table fit for statements: its index, and its size for PostgreSQL.

    The index is built at once and not row by row, which costs half. To be called for each filling
    of a table that is cleared in between.
    """
    names = ", ".join(map(connection.dialect.identifier_preparer.quote, table.info[_SEARCHED]))
    connection.exec_driver_sql(
        f"CREATE INDEX IF NOT EXISTS ix_{table.name} ON {table.name} ({names})"
    )
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"ANALYZE {table.name}")


def take_statistics(connection: Connection, model: Model) -> None:
    """Let PostgreSQL's planner know tables that were filled just now; SQLite needs none.

    Autovacuum does so a minute later or more. Until then a load of a few rows reads whole indexes.
    So what rows are found by is looked at, and other columns are left to it: they take half as
    long as the load itself. A table that somebody vacuums at the moment is passed over. Books are
    left out: they are small.
    """
    if connection.dialect.name == "postgresql":
        tables = [
            *(public_table(entity) for entity in model.public),
            *(fact_table(entity) for entity in model),
            *(opportunity_contact_role, unresolved_association),
        ]
        named = ", ".join(_with_searched_columns(connection, table) for table in tables)
        # Of each table 6,000 rows instead of 30,000: enough to know which index leads to a few.
        connection.exec_driver_sql("SET LOCAL default_statistics_target TO 20")
        connection.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {named}")
        connection.exec_driver_sql("SET LOCAL default_statistics_target TO DEFAULT")


def _with_searched_columns(connection: Connection, table: Table) -> str:
    quote = connection.dialect.identifier_preparer.quote
    searched = {column.name for index in table.indexes for column in index.columns}
    searched |= {column.name for column in table.c if column.primary_key or _is_flag(column)}
    return f"{quote(table.name)} ({', '.join(map(quote, sorted(searched)))})"


def _is_flag(column: Column[Any]) -> bool:
    """Whether a column says yes or no, such as `is_deleted`, by which rows are left out."""
    return isinstance(column.type, Boolean) and not column.nullable


def append_rows(connection: Connection, table: Table, rows: pa.Table) -> None:
    """Add rows to a table; columns that are not given, or hold nothing, get the table's default."""
    filled = [name for name in rows.column_names if rows[name].null_count < rows.num_rows]
    if not filled:
        return
    rows = rows.select(filled)
    write = _copy if connection.dialect.name == "postgresql" else _insert
    for start in range(0, rows.num_rows, _CHUNK_ROWS):
        write(connection, table, rows.slice(start, _CHUNK_ROWS).combine_chunks())


def append_constants(rows: pa.Table, stamps: Mapping[str, datetime | int]) -> pa.Table:
    """The rows with more columns, each of which holds the same value throughout."""
    for name, value in stamps.items():
        kind = pa.int64() if isinstance(value, int) else pa.timestamp("s", tz="UTC")
        scalar: Any = pa.scalar(value, kind)
        rows = rows.append_column(name, pa.repeat(scalar, rows.num_rows))
    return rows


@contextmanager
def postpone_indexes(connection: Connection, tables: Sequence[Table]) -> Iterator[None]:
    """Fill empty PostgreSQL tables without their search indexes and build those at the end.

    Building an index at once costs half of growing it row by row. It needs the tables for itself,
    and their owner; where somebody reads them for longer than a moment, or they are another role's,
    they are filled with their indexes.
    """
    dropped = connection.dialect.name == "postgresql" and _drop_indexes(connection, tables)
    yield
    if dropped:
        for index in _indexes(tables):
            index.create(connection)


def _indexes(tables: Sequence[Table]) -> list[Index]:
    return [index for table in tables for index in sorted(table.indexes, key=lambda i: str(i.name))]


def _drop_indexes(connection: Connection, tables: Sequence[Table]) -> bool:
    usual = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
    savepoint = connection.begin_nested()
    connection.exec_driver_sql("SET LOCAL lock_timeout TO '1s'")
    try:
        for index in _indexes(tables):
            index.drop(connection, checkfirst=True)
    except DBAPIError as error:
        savepoint.rollback()  # takes the lock_timeout back, too
        if not isinstance(error.orig, _KEEPS_INDEXES):
            raise
        return False
    connection.exec_driver_sql(f"SET LOCAL lock_timeout TO '{usual}'")
    savepoint.commit()
    return True


@contextmanager
def prefer_index(connection: Connection, rows: int) -> Iterator[None]:
    """Join a few staged rows to a large table through the table's index.

    A temporary table has no statistics, nor has a large one that was filled just now, and
    PostgreSQL then likes to read and hash all of the large one for a handful of rows. Where the
    rows are many, that is right, and the planner is left alone.
    """
    if connection.dialect.name != "postgresql" or rows > _FEW_ROWS:
        yield
        return
    connection.exec_driver_sql("; ".join(f"SET LOCAL {each} TO off" for each in _WHOLE_TABLE))
    yield
    connection.exec_driver_sql("; ".join(f"SET LOCAL {each} TO DEFAULT" for each in _WHOLE_TABLE))


def _without_zone(column: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    """Instants as UTC without a zone: Arrow writes each of those out 20 times as fast."""
    if not pa.types.is_timestamp(column.type):
        return column
    if column.type.tz is None:
        return column.cast(pa.timestamp("s"), safe=False)
    return column.cast(pa.timestamp("s", tz="UTC"), safe=False).cast(pa.timestamp("s"))


def _copy(connection: Connection, table: Table, rows: pa.Table) -> None:
    quoted = connection.dialect.identifier_preparer.quote
    names = ", ".join(quoted(name) for name in rows.column_names)
    statement = f"COPY {quoted(table.name)} ({names}) FROM STDIN (FORMAT csv)".encode()
    sink = pa.BufferOutputStream()
    plain = [_without_zone(column) for column in rows.columns]
    csv.write_csv(pa.Table.from_arrays(plain, names=rows.column_names), sink, _CSV)
    driver: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # SQLAlchemy knows any driver's
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(memoryview(sink.getvalue()))


def _insert(connection: Connection, table: Table, rows: pa.Table) -> None:
    statement = insert(table).values(dict.fromkeys(rows.column_names))
    driver: Any = connection.connection.driver_connection
    values = zip(*map(_sqlite_values, rows.columns), strict=True)
    driver.executemany(str(statement.compile(dialect=connection.dialect)), values)


def _sqlite_values(column: pa.ChunkedArray[Any]) -> list[Any]:
    """The column as SQLite stores it: text, numbers, 0 and 1, None."""
    if pa.types.is_timestamp(column.type):
        has_zone = column.type.tz is not None
        column = pc.replace_substring(_without_zone(column).cast(pa.string()), " ", "T")
        column = pc.replace_substring_regex(column, "$", "Z") if has_zone else column
    elif pa.types.is_date(column.type):
        column = column.cast(pa.string())
    values: list[Any] = column.to_pylist()
    return values
