"""What changed of an opportunity, change by change: names of columns, ids of account and contacts.

Each kind of change is noted by one statement, before or after the one that writes it, and only
where a run writes over rows that are there: a first sync leaves nothing, also where a backfill has
brought some rows before it. No value is kept. The JSON of a line has what applies of `columns`
(names), `account_id` (the id before and after), and `roles` (ids of contacts in `written` and
`deleted`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, and_, case, cast, func, literal, or_, select, true
from sqlalchemy.dialects import postgresql

from opportunity_sync.core.versions import is_current_sql
from opportunity_sync.model import OPPORTUNITY, VERSION, Entity
from opportunity_sync.store.schema.tables import (
    ACCOUNT_ID,
    history,
    opportunity_contact_role,
    public_table,
)
from opportunity_sync.store.statements.upsert import dialect_insert

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection, FromClause, Select, Table

    from opportunity_sync.store.statements.change import Change


def note_written_rows(
    connection: Connection,
    entity: Entity,
    staged: Table,
    *conditions: ColumnElement[bool],
    columns: Collection[str],
    change: Change,
) -> ColumnElement[bool]:
    """Note which of these columns staged rows are about to change; of a new row those with a value.

    `conditions`: which staged rows are to be written. Older versions than the stored ones are not.
    Returns which staged rows are worth writing: what is unchanged need not be compared again.
    """
    if not _is_noted(entity, change):
        return true()
    public, key = public_table(entity), entity.key_column
    joined = staged.outerjoin(public, public.c[key] == staged.c[key])
    changed = [name for name in columns if name != VERSION.name]
    differs = or_(*(_differs(public, staged, name) for name in columns))
    is_written = or_(
        public.c[key].is_(None),
        and_(
            is_current_sql(staged.c[VERSION.name], public.c[VERSION.name]),
            or_(public.c.is_deleted, differs),
        ),
    )
    content = literal('{"columns":[') + _names(public, staged, changed) + "]"
    if ACCOUNT_ID in columns:
        content += _account(public, staged)
    rows = select(staged.c[key], (content + "}").label("changes"))
    _add(connection, rows.select_from(joined).where(is_written, *conditions), change)
    # No EXISTS: PostgreSQL would join, and knows nothing yet of rows that were written just now.
    noted = select(history.c.revision).where(
        history.c.opportunity_id == staged.c[key], history.c.revision == change.revision
    )
    return noted.scalar_subquery().is_not(None)


def note_moved_accounts(
    connection: Connection,
    entity: Entity,
    staged: FromClause,
    *conditions: ColumnElement[bool],
    change: Change,
) -> None:
    """Note which accounts are about to change of rows that were not read themselves."""
    if not _is_noted(entity, change):
        return
    public, key = public_table(entity), entity.key_column
    content = literal('{"columns":["account_id"]') + _account(public, staged) + "}"
    rows = select(public.c[key], content.label("changes"))
    _add(connection, rows.where(*conditions), change)


def note_deleted_rows(connection: Connection, entity: Entity, change: Change) -> None:
    """Note the rows that this change has marked as deleted."""
    if not _is_noted(entity, change):
        return
    public, key = public_table(entity), entity.key_column
    is_marked = and_(public.c.revision == change.revision, public.c.is_deleted)
    rows = select(public.c[key], literal('{"columns":["is_deleted"]}').label("changes"))
    _add(connection, rows.where(is_marked), change)


def note_roles(connection: Connection, change: Change) -> None:
    """Note the contacts whose roles this change has written or marked as deleted."""
    if not _is_noted(OPPORTUNITY, change):
        return
    role = opportunity_contact_role
    touched = (
        select(role.c.opportunity_id, role.c.contact_id, role.c.is_deleted)
        .where(role.c.revision == change.revision)
        .distinct()
        .subquery()
    )
    quoted = literal('"') + touched.c.contact_id + '"'
    content = literal('{"roles":{"written":[') + _join_quoted(quoted, ~touched.c.is_deleted)
    content = content + '],"deleted":[' + _join_quoted(quoted, touched.c.is_deleted) + "]}}"
    rows = select(touched.c.opportunity_id, content.label("changes"))
    _add(connection, rows.where(touched.c.opportunity_id.is_not(None)), change, grouped=True)


def _is_noted(entity: Entity, change: Change) -> bool:
    return entity.keeps_history and change.run is not None and change.leaves_history


def _join_quoted(quoted: ColumnElement[str], is_listed: ColumnElement[bool]) -> ColumnElement[str]:
    listed = case((is_listed, quoted))
    return func.coalesce(func.aggregate_strings(listed, ","), "")


def _differs(public: Table, staged: FromClause, name: str) -> ColumnElement[bool]:
    return public.c[name].is_distinct_from(staged.c[name])


def _names(public: Table, staged: Table, columns: Collection[str]) -> ColumnElement[str]:
    """The names of columns that differ, as JSON has them between brackets."""
    names: ColumnElement[str] = literal("")
    for name in columns:
        names += case((_differs(public, staged, name), f',"{name}"'), else_="")
    return func.ltrim(names, ",")


def _account(public: Table, staged: FromClause) -> ColumnElement[str]:
    """The account before and after, where it differs."""
    before, after = (_id_or_null(table.c[ACCOUNT_ID]) for table in (public, staged))
    pair = literal(',"account_id":[') + before + "," + after + "]"
    return case((_differs(public, staged, ACCOUNT_ID), pair), else_="")


def _id_or_null(column: ColumnElement[Any]) -> ColumnElement[str]:
    return func.coalesce(literal('"') + cast(column, Text) + '"', "null")


def _add(
    connection: Connection, rows: Select[Any], change: Change, *, grouped: bool = False
) -> None:
    """Write the lines; what the same change has noted of an opportunity before is kept beside."""
    values = (change.revision, change.moment, *(change.run or ("", "")))
    names = ("revision", "at", "dag_id", "run_id")
    constants = [
        literal(value, history.c[name].type) for name, value in zip(names, values, strict=True)
    ]
    if grouped:
        rows = rows.group_by(next(iter(rows.selected_columns)))
    is_postgres = connection.dialect.name == "postgresql"
    insert = dialect_insert(connection)
    statement = insert(history).from_select(
        ["opportunity_id", "changes", *names], rows.add_columns(*constants)
    )
    before, after = history.c.changes, statement.excluded.changes
    if is_postgres:
        both = cast(before, postgresql.JSONB).concat(cast(after, postgresql.JSONB))
        merged: ColumnElement[Any] = cast(both, Text)
    else:
        merged = func.json_patch(before, after)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["opportunity_id", "revision"], set_={"changes": merged}
        )
    )
