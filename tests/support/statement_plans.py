"""How the databases would run each statement of a load, asked of them while it runs.

A load must look rows up by index: one that reads a table for every row takes the square of its
rows, and one that reads a whole table for a handful of rows takes as long as the store is large.
Neither shows in a test's few rows, but both show in the plan. So every statement that goes through
an engine is explained just before it runs, with its own values and on its own connection.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

_BY_INDEX = {"Index Scan", "Index Only Scan"}
_EXPLAINED = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


@dataclass(frozen=True)
class Reading:
    """A table that a statement reads from end to end; `again`: for each row of something else.

    `in_sequence`: not even by an index, which is smaller, and gives an order.
    """

    table: str
    again: bool
    statement: str
    in_sequence: bool


@contextmanager
def watching_plans() -> Iterator[list[Reading]]:
    """Collect all whole readings of tables by the statements of any engine."""
    found: list[Reading] = []

    def look(
        connection: Connection, _cursor: Any, statement: str, parameters: Any, *how: Any
    ) -> None:
        if statement.lstrip().upper().startswith(_EXPLAINED):
            given = parameters[0] if how[-1] else parameters
            found.extend(_readings(connection, statement, given))

    event.listen(Engine, "before_cursor_execute", look)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", look)


def _readings(connection: Connection, statement: str, parameters: Any) -> Iterator[Reading]:
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        rows = driver.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
        yield from (Reading(table, again, statement, way) for table, again, way in _of_sqlite(rows))
        return
    with driver.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
        plan = cursor.fetchone()[0][0]["Plan"]
    yield from (Reading(table, again, statement, way) for table, again, way in _of_postgres(plan))


def _of_sqlite(rows: list[tuple[int, int, int, str]]) -> Iterator[tuple[str, bool, bool]]:
    """Steps below one parent are loops, each inside the one before it."""
    details = {number: detail for number, _parent, _unused, detail in rows}
    parents = {number: parent for number, parent, _unused, _detail in rows}
    loops: set[int] = set()
    for number, parent, _unused, detail in rows:
        words = detail.split()
        if words[0] not in {"SCAN", "SEARCH"}:
            continue
        is_inner = parent in loops
        loops.add(parent)
        # The answer of a PRAGMA is a virtual table, and no rows of the store.
        is_scan = words[0] == "SCAN" and "VIRTUAL" not in words
        is_whole = is_scan or "AUTOMATIC" in words
        if is_whole and words[1] not in {"CONSTANT", "SUBQUERY"}:
            repeated = _is_correlated(number, parents, details)
            yield (
                words[1],
                repeated or (is_inner and words[0] == "SCAN"),
                "INDEX" not in words or "AUTOMATIC" in words,
            )


def _is_correlated(number: int, parents: dict[int, int], details: dict[int, str]) -> bool:
    while number := parents.get(number, 0):
        if details[number].startswith("CORRELATED"):
            return True
    return False


def _of_postgres(plan: dict[str, Any], *, again: bool = False) -> Iterator[tuple[str, bool, bool]]:
    """A step inside a loop is run for each row of the outside, however few PostgreSQL expects.

    It expects a handful of tables that it knows nothing of, such as one that this load has filled.
    An index without a condition leads through the whole table as well, but at its real price: it
    is chosen inside a loop only where the table is tiny.
    """
    in_sequence = plan["Node Type"] == "Seq Scan"
    is_whole = in_sequence or (plan["Node Type"] in _BY_INDEX and "Index Cond" not in plan)
    if is_whole and not plan["Relation Name"].startswith("pg_"):
        yield plan["Relation Name"], again and in_sequence, in_sequence
    for child in plan.get("Plans", ()):
        is_inner = plan["Node Type"] == "Nested Loop" and child["Parent Relationship"] == "Inner"
        is_hashed = f"hashed {child.get('Subplan Name')}" in str(plan)
        is_repeated = child["Parent Relationship"] == "SubPlan" and not is_hashed
        yield from _of_postgres(child, again=again or is_inner or is_repeated)
