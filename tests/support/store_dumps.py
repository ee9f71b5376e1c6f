"""Everything the store holds, to the last time stamp, less the records of the runs themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, text

if TYPE_CHECKING:
    from sqlalchemy import Engine

# A run that finds nothing changed may still write these.
OWN_RECORDS = {
    "sync_run",
    "sync_run_entity",
    "sync_error",
    "sync_state",
    "sync_store",
    "refused_row",
    "sync_alert",
    "sync_event",
    "sync_run_lag",
    "sync_run_progress",
    "sync_run_task",
    "table_backlog",
    "backlog_sample",
    "column_share",
    "table_size",
}

Dump = dict[str, dict[tuple[Any, ...], dict[str, Any]]]


def dump(engine: Engine) -> Dump:
    """Rows by key, by table."""
    inspector = inspect(engine)
    tables = sorted(set(inspector.get_table_names()) - OWN_RECORDS)
    content: Dump = {}
    with engine.connect() as connection:
        for table in tables:
            key = inspector.get_pk_constraint(table)["constrained_columns"]
            rows = connection.execute(text(f'SELECT * FROM "{table}"')).mappings()
            content[table] = {tuple(row[name] for name in key): dict(row) for row in rows}
    return content
