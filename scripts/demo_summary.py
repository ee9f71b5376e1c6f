"""What arrived in the store, in words and small tables, after a run of the demo.

The figures are read from the public tables with plain SQL, as anyone would who looks at the
store: the same queries can be typed by hand.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, create_engine, text

from embedded import given_connections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from embedded import Embedded

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
LAST_RUN = """
SELECT dag_id, run_id, requests FROM sync_run ORDER BY started_at DESC, ended_at DESC LIMIT 1
"""
COUNTS = """
SELECT * FROM sync_run_entity WHERE dag_id = :dag_id AND run_id = :run_id
"""
LOOK = """\
  .venv/bin/python -c "import pandas, sqlite3; print(pandas.read_sql(
    'SELECT name, customer_type, account_id FROM opportunity LIMIT 10',
    sqlite3.connect('{}')))\""""
WRITTEN = ("inserted", "updated", "deleted", "rewritten")
READ = ("read", "unchanged", "filtered", "refused")


def summary(environment: dict[str, str], demo: Embedded, *, seconds: float, log: Path) -> str:
    """The closing page of the demo."""
    url = store_url(environment, demo)
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            found = [*arrived(connection), "", *last_run(connection)]
    finally:
        engine.dispose()
    return "\n".join(["", *found, f"Time taken: {seconds:.0f} s", "", *onward(url, log)])


def store_url(environment: dict[str, str], demo: Embedded) -> URL:
    """Where the run's store is: the demo's file, or what the given connection says."""
    if not given_connections():
        return URL.create("sqlite", database=str(demo.state / "marketo.sqlite"))
    os.environ.update(environment)
    from marketo_store_hook import MarketoStoreHook  # noqa: PLC0415 Airflow reads the environment

    return MarketoStoreHook().url()


def arrived(connection: Connection) -> list[str]:
    """What the store holds now."""
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
        "Unresolved associations (each resolves by itself when its record appears)",
        *table(("kind", "reason", "rows"), connection.execute(text(BY_REASON)).all()),
    ]


def last_run(connection: Connection) -> list[str]:
    """What the last run asked for and wrote."""
    run = connection.execute(text(LAST_RUN)).mappings().one()
    rows = connection.execute(text(COUNTS), dict(run)).mappings().all()
    records = [row for row in rows if row["entity"] != "role"]
    counts = {name: sum(row[name] for row in records) for name in READ}
    counts |= {name: sum(row[name] for row in rows) for name in WRITTEN}
    read, written = (
        ", ".join(f"{counts[name]:,} {name}" for name in names) for names in (READ, WRITTEN)
    )
    lines = [
        f"This run: {run['requests']:,} requests; records: {read}",
        f"Rows of the store, contact roles among them: {written}",
    ]
    if not any(counts[name] for name in WRITTEN):
        lines.append("Nothing has changed in Dynamics since the last run: no row was written.")
    return lines


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


def onward(url: URL, log: Path) -> list[str]:
    """Where everything is, and what to run next."""
    if url.get_backend_name() == "sqlite":
        path = short(Path(url.database or ""))
        where = [f"Store:     {path}", "Look at it:", *LOOK.format(path).splitlines()]
    else:
        where = [f"Store:     {url.render_as_string(hide_password=True)}"]
    return [
        *where,
        f"Full log:  {short(log)}",
        "",
        "Next: `make demo` again (nothing will change), or `make ui` for Airflow's user interface.",
    ]


def short(path: Path) -> Path:
    """The path as seen from the folder in which the person typed the command."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
