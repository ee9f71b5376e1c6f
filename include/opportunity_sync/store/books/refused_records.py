"""Records that can't be taken now: what is wrong with each, and when it is tried again.

A refused record is asked for again by its id, after a wait that doubles from try to try up to a
day, and at once by a version of the pipeline that has not tried it yet. Its row goes when the
record passes, or is gone in Dynamics.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    Column,
    Table,
    Text,
    and_,
    case,
    delete,
    exists,
    literal,
    null,
    or_,
    select,
    true,
)

from opportunity_sync.model import VERSION, Entity
from opportunity_sync.store.schema.tables import fact_table, refused_row
from opportunity_sync.store.schema.types import Identifier, Instant
from opportunity_sync.store.statements.bulk import (
    analyze_table,
    append_rows,
    prefer_index,
    staged_table,
    temporary_table,
)
from opportunity_sync.store.statements.keys import staged_keys
from opportunity_sync.store.statements.upsert import dialect_insert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Select

_FIRST_WAIT = timedelta(minutes=5)
_LONGEST_WAIT = timedelta(days=1)
_DOUBLINGS = 9  # five minutes nine times doubled are more than a day
_PLACE = ("dag_id", "run_id", "task_id", "map_index")
_GIVEN: dict[str, pa.DataType] = {
    "record_id": pa.string(),
    "field": pa.string(),
    "code": pa.string(),
    "message": pa.string(),
    VERSION.name: pa.int64(),
}


def note_refused(
    connection: Connection,
    entity: Entity,
    refused: Sequence[Mapping[str, Any]],
    *,
    moment: datetime,
    by: Mapping[str, Any],
) -> None:
    """List refused records, or count one more try of those that are listed.

    Of each: record_id, field, code, message, version (None where it can't be read); one without an
    id is passed over, and so is an older version than the one that the store has or has listed.
    `by`: dag_id, run_id, task_id and map_index of the task that tried, and `tried_by`, the
    version of the pipeline.
    """
    rows = {
        row["record_id"]: {name: row.get(name) for name in _GIVEN}
        | {VERSION.name: row.get("version")}
        for row in refused
        if row["record_id"] is not None
    }
    if not rows:
        return
    tried = {name: by.get(name) for name in (*_PLACE, "tried_by")}
    given = pa.Table.from_pylist(list(rows.values()), schema=pa.schema(_GIVEN))
    with staged_table(connection, _staged_records(entity)) as staged:
        append_rows(connection, staged, given)
        analyze_table(connection, staged)
        with prefer_index(connection, given.num_rows):
            listed = _rows_to_list(entity, staged, tried=tried, moment=moment)
            connection.execute(_statement(connection, listed, tried=tried, moment=moment))


def pass_refused(connection: Connection, entity: Entity, keys: pa.Table) -> None:
    """Take records off the list that passed, or are gone.

    `keys` has the entity's key, and `version_number` where the records were read: one that was
    refused at a later version stays.
    """
    of_entity = refused_row.c.entity == entity.name
    if not connection.scalar(select(exists(select(refused_row).where(of_entity)))):
        return
    with staged_keys(connection, entity, [keys]) as staged:
        ids = select(staged.c[entity.key_column])
        if VERSION.name in keys.column_names:
            listed = refused_row.alias("listed")
            same = and_(
                listed.c.entity == entity.name, listed.c.record_id == staged.c[entity.key_column]
            )
            is_older = listed.c[VERSION.name] <= staged.c[VERSION.name]
            is_passed = or_(listed.c[VERSION.name].is_(None), is_older)
            ids = select(listed.c.record_id).join_from(staged, listed, same).where(is_passed)
        remove_refused(connection, entity, ids)


def remove_refused(connection: Connection, entity: Entity, ids: Select[tuple[str]]) -> None:
    """Take the ids that a query gives off the list."""
    is_over = refused_row.c.entity == entity.name, refused_row.c.record_id.in_(ids)
    connection.execute(delete(refused_row).where(*is_over))


def refused_ids(connection: Connection, entity: Entity) -> dict[str, int | None]:
    """The version, where it is known, of each record that is listed."""
    query = select(refused_row.c.record_id, refused_row.c[VERSION.name])
    rows = connection.execute(query.where(refused_row.c.entity == entity.name))
    return {row[0]: row[1] for row in rows}


def due_refused(
    connection: Connection,
    *,
    moment: datetime,
    version: str,
    limit: int = 1000,
    everything: bool = False,
) -> dict[str, list[str]]:
    """Ids to try again by entity name, those first that have waited longest.

    All that another version of the pipeline tried last, and at most `limit` of those whose wait is
    over by `moment`; or `everything`.
    """
    is_other = refused_row.c.tried_by != version
    if everything:
        return _ids(connection, select(refused_row))
    due = _ids(connection, select(refused_row).where(is_other))
    waited = and_(~is_other, refused_row.c.next_try_at <= moment)
    for name, ids in _ids(connection, select(refused_row).where(waited), limit=limit).items():
        due.setdefault(name, []).extend(ids)
    return due


def _ids(
    connection: Connection, query: Select[*tuple[Any, ...]], *, limit: int | None = None
) -> dict[str, list[str]]:
    columns = (refused_row.c.entity, refused_row.c.record_id)
    ordered = query.with_only_columns(*columns).order_by(refused_row.c.last_tried_at, *columns)
    found: dict[str, list[str]] = {}
    for name, record_id in connection.execute(ordered.limit(limit)):
        found.setdefault(name, []).append(record_id)
    return found


@cache
def _staged_records(entity: Entity) -> Table:
    return temporary_table(
        f"refused_{entity.name}",
        Column("record_id", Identifier),
        Column("field", Text),
        Column("code", Text),
        Column("message", Text),
        Column(VERSION.name, BigInteger),
        searched=["record_id"],
    )


def _rows_to_list(
    entity: Entity, staged: Table, *, tried: Mapping[str, Any], moment: datetime
) -> Select[*tuple[Any, ...]]:
    """The rows as they are inserted, less those that the store has in a newer version."""
    fact = fact_table(entity)
    is_newer = exists().where(
        fact.c[entity.key_column] == staged.c.record_id,
        fact.c[VERSION.name] > staged.c[VERSION.name],
    )
    at = literal(moment, Instant())
    values = {
        "entity": literal(entity.name),
        **{name: staged.c[name] for name in _GIVEN},
        "first_seen_at": at,
        "last_tried_at": at,
        "tries": literal(1, BigInteger),
        "next_try_at": literal(moment + _FIRST_WAIT, Instant()),
        **{name: _literal(name, value) for name, value in tried.items()},
    }
    return select(*(value.label(name) for name, value in values.items())).where(~is_newer)


def _literal(name: str, value: object) -> ColumnElement[Any]:
    return null() if value is None else literal(value, refused_row.c[name].type)


def _statement(
    connection: Connection,
    rows: Select[*tuple[Any, ...]],
    *,
    tried: Mapping[str, Any],
    moment: datetime,
) -> Any:
    insert = dialect_insert(connection)
    statement = insert(refused_row).from_select(list(rows.selected_columns.keys()), rows)
    given, listed = statement.excluded, refused_row.c
    copied = ("field", "code", "message", VERSION.name, "last_tried_at", *tried)
    waits = {
        tries: moment + min(_FIRST_WAIT * 2**tries, _LONGEST_WAIT) for tries in range(1, _DOUBLINGS)
    }
    next_try = case(
        {tries: literal(at, Instant()) for tries, at in waits.items()},
        value=listed.tries,
        else_=literal(moment + _LONGEST_WAIT, Instant()),
    )
    is_older = given[VERSION.name] < listed[VERSION.name]
    return statement.on_conflict_do_update(
        index_elements=["entity", "record_id"],
        set_={
            **{name: given[name] for name in copied},
            "tries": listed.tries + 1,
            "next_try_at": next_try,
        },
        where=is_older.is_not(true()),
    )
