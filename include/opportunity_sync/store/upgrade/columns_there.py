"""Which columns the store's tables have: their names alone, in one question to the database.

Every run asks. SQLAlchemy's inspector would tell their types as well, which takes ten times as long
and which nobody wants to know here.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

_QUERIES: Final = {
    "postgresql": """
        SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
          AND a.attnum > 0 AND NOT a.attisdropped""",
    "sqlite": """
        SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c
        WHERE t.type IN ('table', 'view')""",
}


def read_columns(connection: Connection) -> dict[str, frozenset[str]]:
    """The names of all columns, by table or view."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for table, column in connection.execute(text(_QUERIES[connection.dialect.name])):
        found[table].add(column)
    return {table: frozenset(columns) for table, columns in found.items()}
