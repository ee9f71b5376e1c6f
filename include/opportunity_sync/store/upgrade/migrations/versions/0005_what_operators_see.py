"""What operators see: tasks and lags of runs, events, checks, alerts, backlog, shares, history.

Facts can be erased: a person's wish leaves key, version and deletion, for ever.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from opportunity_sync.store.schema.types import Identifier, Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_FACTS = ("account", "connection", "connectionrole", "contact", "opportunity")
_MADE = (
    "sync_run_task",
    "sync_run_lag",
    "sync_event",
    "sync_check",
    "sync_alert",
    "table_backlog",
    "left_out_field",
    "backlog_sample",
    "column_share",
    "history",
)

_NAMES = "SELECT column_name FROM store_column WHERE entity = 'opportunity' AND source = 'name'"
_PUBLIC = ("opportunity", "contact", "account")
# Lists that a page shows, with their keys and the further columns by which they are put in order.
_LISTS = {
    "sync_run": (
        ("dag_id", "run_id"),
        ("run_id", "mode", "started_at", "ended_at", "outcome"),
    ),
    "refused_row": (
        ("entity", "record_id"),
        ("record_id", "field", "code", "first_seen_at", "last_tried_at", "tries"),
    ),
    "unresolved_association": (
        ("opportunity_id", "kind", "reference_id"),
        ("kind", "reference_id", "reason", "first_seen_at"),
    ),
}


def _column(name: str, kind: object, *, required: bool = False) -> sa.Column[object]:
    return sa.Column(name, kind, nullable=not required)  # type: ignore[arg-type]


def _of_run() -> tuple[sa.Column[object], ...]:
    return (
        _column("dag_id", sa.Text(), required=True),
        _column("run_id", sa.Text(), required=True),
    )


def upgrade() -> None:
    """Make the tables, and let facts be erased."""
    _make_tables_of_runs()
    _make_tables_of_operators()
    _make_tables_of_rows()
    _make_indexes()
    _index_names()
    for entity in _FACTS:
        op.add_column(
            f"fact_{entity}",
            sa.Column("is_erased", sa.Boolean(), nullable=False, server_default=sa.false()),
        )


def _make_tables_of_runs() -> None:
    op.create_table(
        "sync_run_task",
        *_of_run(),
        _column("task_id", sa.Text(), required=True),
        _column("started_at", Instant, required=True),
        _column("ended_at", Instant),
        sa.PrimaryKeyConstraint("dag_id", "run_id", "task_id", name="pk_sync_run_task"),
    )
    op.create_table(
        "sync_run_lag",
        *_of_run(),
        _column("entity", sa.Text(), required=True),
        _column("seconds", sa.BigInteger(), required=True),
        _column("rows", sa.BigInteger(), required=True),
        sa.PrimaryKeyConstraint("dag_id", "run_id", "entity", "seconds", name="pk_sync_run_lag"),
    )


def _make_tables_of_operators() -> None:
    op.create_table(
        "sync_event",
        sa.Column("position", sa.BigInteger(), nullable=False, autoincrement=False),
        _column("at", Instant, required=True),
        _column("kind", sa.Text(), required=True),
        _column("entity", sa.Text()),
        _column("message", sa.Text(), required=True),
        _column("dag_id", sa.Text()),
        _column("run_id", sa.Text()),
        sa.PrimaryKeyConstraint("position", name="pk_sync_event"),
    )
    op.create_index("ix_sync_event_at", "sync_event", ["at"])
    op.create_table(
        "sync_check",
        sa.Column("position", sa.BigInteger(), nullable=False, autoincrement=False),
        *(_column(name, sa.Text(), required=True) for name in ("name", "state", "asked", "found")),
        _column("next_step", sa.Text()),
        _column("code", sa.Text()),
        _column("checked_at", Instant, required=True),
        sa.PrimaryKeyConstraint("position", name="pk_sync_check"),
    )
    op.create_table(
        "sync_alert",
        _column("code", sa.Text(), required=True),
        _column("entity", sa.Text(), required=True),
        _column("since", Instant, required=True),
        _column("told_at", Instant),
        _column("message", sa.Text(), required=True),
        _column("next_step", sa.Text()),
        sa.PrimaryKeyConstraint("code", "entity", name="pk_sync_alert"),
    )


def _make_tables_of_rows() -> None:
    op.create_table(
        "table_backlog",
        _column("entity", sa.Text(), required=True),
        _column("waiting", sa.BigInteger()),
        _column("oldest_waiting_at", Instant),
        _column("as_of", Instant, required=True),
        sa.PrimaryKeyConstraint("entity", name="pk_table_backlog"),
    )
    op.create_table(
        "left_out_field",
        _column("entity", Identifier, required=True),
        _column("field", Identifier, required=True),
        *(_column(name, sa.Text(), required=True) for name in ("source", "state", "reason")),
        sa.PrimaryKeyConstraint("entity", "field", name="pk_left_out_field"),
    )
    op.create_table(
        "backlog_sample",
        _column("entity", sa.Text(), required=True),
        _column("as_of", Instant, required=True),
        _column("waiting", sa.BigInteger(), required=True),
        sa.PrimaryKeyConstraint("entity", "as_of", name="pk_backlog_sample"),
    )
    op.create_index("ix_backlog_sample_as_of", "backlog_sample", ["as_of"])
    op.create_table(
        "column_share",
        _column("entity", Identifier, required=True),
        _column("column_name", Identifier, required=True),
        _column("filled_share", sa.Double(), required=True),
        _column("as_of", Instant, required=True),
        sa.PrimaryKeyConstraint("entity", "column_name", name="pk_column_share"),
    )
    op.create_table(
        "history",
        _column("opportunity_id", Identifier, required=True),
        _column("revision", sa.BigInteger(), required=True),
        _column("at", Instant, required=True),
        *_of_run(),
        _column("changes", sa.Text(), required=True),
        sa.PrimaryKeyConstraint("opportunity_id", "revision", name="pk_history"),
    )
    op.create_index("ix_history_at", "history", ["at"])


def _make_indexes() -> None:
    for table, (key, columns) in _LISTS.items():
        for name in columns:
            order = [name, *(part for part in key if part != name)]
            op.create_index(f"ix_{table}_by_{name}", table, order)
    op.create_index("ix_sync_run_success", "sync_run", ["outcome", "ended_at"])
    for table in _PUBLIC:
        op.create_index(
            f"ix_{table}_is_deleted",
            table,
            ["is_deleted"],
            postgresql_where=sa.text("is_deleted = true"),
            sqlite_where=sa.text("is_deleted = 1"),
        )


def _index_names() -> None:
    """By which opportunities are found by name, if that is selected; later columns bring theirs.

    PostgreSQL takes no long text into an index; SQLite knows the case of ASCII letters only.
    """
    connection = op.get_bind()
    quote = connection.dialect.identifier_preparer.quote
    for name in connection.scalars(sa.text(_NAMES)).all():
        column = quote(name)
        folded = {
            "postgresql": f'(left(lower({column}), 100) COLLATE "C")',
            "sqlite": f"{column} COLLATE NOCASE",
        }[connection.dialect.name]
        index = quote(f"ix_opportunity_by_{name}")
        op.execute(f"CREATE INDEX {index} ON opportunity ({folded}, opportunity_id)")


def downgrade() -> None:
    """Forget all of it."""
    connection = op.get_bind()
    for name in connection.scalars(sa.text(_NAMES)).all():
        op.drop_index(f"ix_opportunity_by_{name}", "opportunity")
    for table in _PUBLIC:
        op.drop_index(f"ix_{table}_is_deleted", table)
    op.drop_index("ix_sync_run_success", "sync_run")
    for table, (_key, columns) in _LISTS.items():
        for name in columns:
            op.drop_index(f"ix_{table}_by_{name}", table)
    for entity in _FACTS:
        op.drop_column(f"fact_{entity}", "is_erased")
    for table in reversed(_MADE):
        op.drop_table(table)
