"""What arrived in the store, in words and small tables, after a run of the demo.

The figures are read from the public tables with plain SQL, as anyone would who looks at the
store: the same queries can be typed by hand.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, create_engine, text

from embedded import given_connections
from opportunity_sync.pipeline.telling.summary import when_resolved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Row, RowMapping

    from embedded import Embedded

    _Record = Row[tuple[str, str, str | None, str]]

TABLES = ("opportunity", "opportunity_contact_role", "contact", "account")

ROWS = "SELECT count(*), count(CASE WHEN is_deleted THEN 1 END) FROM {}"
BY_RULE = """
SELECT CASE customer_type WHEN 'contact' THEN 'customer_is_contact'
                          WHEN 'account' THEN 'customer_is_account'
                          ELSE 'no_customer' END AS rule_name,
       count(*), count(account_id)
FROM opportunity WHERE NOT is_deleted GROUP BY 1 ORDER BY 1
"""
BY_SOURCE = """
SELECT source, count(*), count(DISTINCT opportunity_id), count(DISTINCT role)
FROM opportunity_contact_role WHERE NOT is_deleted GROUP BY 1 ORDER BY 1
"""
BY_REASON = """
SELECT kind, reason, count(*) FROM unresolved_association GROUP BY 1, 2 ORDER BY 1, 2
"""
LAST_RUN = "SELECT * FROM sync_run ORDER BY started_at DESC, ended_at DESC LIMIT 1"
LOOK = """\
  .venv/bin/python -c "import pandas, sqlite3; print(pandas.read_sql(
    'SELECT name, customer_type, account_id FROM opportunity LIMIT 10',
    sqlite3.connect('{}')))\""""
COUNTED = ("read", "inserted", "updated", "unchanged", "filtered", "refused", "superseded")
CHANGED = ("deleted", "rewritten")
WRITTEN = ("inserted", "updated", *CHANGED)
COUNTS = """
SELECT {} FROM sync_run_entity
WHERE dag_id = :dag_id AND run_id = :run_id AND (entity = 'role') = {}
"""
SUM = "coalesce(sum({0}), 0) AS {0}"
REFUSED = "SELECT entity, record_id, field, code FROM refused_row ORDER BY entity, record_id"
SHOWN = 10
WORDS = {"filtered": "left out by the filter", "superseded": "older than the store's"}


@dataclass(frozen=True, slots=True)
class Summary:
    """The closing page, and the tables of which every record was refused."""

    text: str
    wholly_refused: tuple[str, ...]


def summary(environment: dict[str, str], demo: Embedded, *, seconds: float, log: Path) -> Summary:
    """What arrived, what did not, and where to look."""
    url = store_url(environment, demo)
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            refused = connection.execute(text(REFUSED)).all()
            parts = [
                *store_contents(connection),
                "",
                *refused_lines(refused),
                *last_run(connection),
            ]
            none_of = wholly_refused_tables(connection, refused)
    finally:
        engine.dispose()
    lines = ["", *parts, f"Time taken: {seconds:.0f} s", "", *closing_lines(url, log)]
    return Summary("\n".join(lines), none_of)


def wholly_refused_tables(connection: Connection, refused: Sequence[_Record]) -> tuple[str, ...]:
    """The tables that are empty because nothing of them could be taken."""
    names = {str(record[0]) for record in refused}.intersection(TABLES)
    return tuple(
        name for name in sorted(names) if connection.execute(text(ROWS.format(name))).one()[0] == 0
    )


def store_url(environment: dict[str, str], demo: Embedded) -> URL:
    """Where the run's store is: the demo's file, or what the given connection says."""
    if not given_connections():
        return URL.create("sqlite", database=str(demo.state / "marketo.sqlite"))
    os.environ.update(environment)
    from marketo_store_hook import MarketoStoreHook  # noqa: PLC0415 Airflow reads the environment

    return MarketoStoreHook().url()


def store_contents(connection: Connection) -> list[str]:
    """What the store holds now."""
    unresolved = [(*row, when_resolved(row.reason)) for row in connection.execute(text(BY_REASON))]
    rows = [(name, *connection.execute(text(ROWS.format(name))).one()) for name in TABLES]
    return [
        "What is in the store",
        *table(("table", "rows", "deleted"), rows),
        "",
        "Opportunities by rule",
        *table(("rule", "rows", "with an account"), connection.execute(text(BY_RULE)).all()),
        "",
        "Contact roles by source",
        *table(
            ("source", "roles", "opportunities", "role names"),
            connection.execute(text(BY_SOURCE)).all(),
        ),
        "",
        "Unresolved associations",
        *table(("kind", "reason", "rows", "resolved"), unresolved),
    ]


def refused_lines(refused: Sequence[_Record]) -> list[str]:
    """The records that wait until they are mended in Dynamics: which, and where to look."""
    if not refused:
        return []
    more = [f"  and {len(refused) - SHOWN:,} more"] if len(refused) > SHOWN else []
    return [
        "Refused records (mend them in Dynamics; table refused_row says what is wrong)",
        *table(("table", "id", "column", "code"), refused[:SHOWN]),
        *more,
        "",
    ]


def last_run(connection: Connection) -> list[str]:
    """What the last run asked for and wrote; what became of the rows adds up to those read."""
    run = connection.execute(text(LAST_RUN)).mappings().one()
    records, roles = (
        run_counts(connection, run, are_roles=are_roles) for are_roles in (False, True)
    )
    read, *became = COUNTED
    parts = in_words(records, became)
    lines = [
        f"This run: {run['requests']:,} requests; {records[read]:,} records read: {parts}.",
        f"Contact roles: {in_words(roles, ('inserted', 'updated', 'deleted'))}.",
        f"Besides: {in_words(records, CHANGED)}.",
    ]
    if not any(part[name] for part in (records, roles) for name in WRITTEN):
        lines.append("Nothing has changed in Dynamics since the last run: no row was written.")
    return lines


def run_counts(connection: Connection, run: RowMapping, *, are_roles: bool) -> Mapping[str, int]:
    """What the run did with the records of Dynamics, or with the roles made of them."""
    sums = ", ".join(SUM.format(name) for name in (*COUNTED, *CHANGED))
    query = text(COUNTS.format(sums, str(are_roles).upper()))
    found = connection.execute(query, {name: run[name] for name in ("dag_id", "run_id")})
    return {name: int(count) for name, count in found.mappings().one().items()}


def in_words(counts: Mapping[str, int], names: Iterable[str]) -> str:
    """Some of the counts, each with its word."""
    return ", ".join(f"{counts[name]:,} {WORDS.get(name, name)}" for name in names)


def table(
    head: Sequence[str], rows: Sequence[Row[tuple[object, ...]] | tuple[object, ...]]
) -> list[str]:
    """Lines of aligned columns, numbers to the right."""
    shown = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    if not shown:
        return ["  none"]
    widths = [max(len(cell) for cell in column) for column in zip(head, *shown, strict=True)]
    numeric = [isinstance(cell, int) for cell in rows[0]]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in (list(head), *shown)
    ]


def closing_lines(url: URL, log: Path) -> list[str]:
    """Where everything is, and what to run next."""
    if url.get_backend_name() == "sqlite":
        path = shorten_path(Path(url.database or ""))
        where = [f"Store:     {path}", "Look at it:", *LOOK.format(path).splitlines()]
    else:
        where = [f"Store:     {url.render_as_string(hide_password=True)}"]
    return [
        *where,
        f"Full log:  {shorten_path(log)}",
        "",
        "Next: `make demo` again (nothing will change), or `make ui` for Airflow's user interface.",
    ]


def shorten_path(path: Path) -> Path:
    """The path as seen from the folder in which the person typed the command."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
