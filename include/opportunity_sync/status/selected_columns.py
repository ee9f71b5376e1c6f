"""The columns of each table: what they are read from, whether they still are, how full they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.model.selection import is_selectable
from opportunity_sync.store.books.left_out_fields import left_out_fields
from opportunity_sync.store.books.selections import selection_changed_at
from opportunity_sync.store.journal.runs import last_failure
from opportunity_sync.store.schema.tables import (
    column_share,
    store_column,
    sync_state,
    sync_store,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Row

    from opportunity_sync.model import Entity, Model
    from opportunity_sync.store.books.left_out_fields import LeftOutField

READ, FILLING, FAILED, STOPPED = "read", "filling", "failed", "stopped"
_NEVER = {"filled_share": None, "as_of": None}
Answered = dict[str, Any]


def selected_columns(
    connection: Connection, model: Model = DEFAULT_MODEL
) -> dict[str, list[Answered]]:
    """By public table, each selected column that the store has, and selected fields without one.

    `reason` says why a column is not read. `filled_share` was computed by a run, `as_of` then; both
    are None where none has yet.
    """
    selected, shares = _selected_fields(connection), _shares(connection)
    left_out = {(each.entity, each.field): each for each in left_out_fields(connection)}
    unfilled = FAILED if _fill_has_failed(connection) else FILLING
    found: dict[str, list[Answered]] = {}
    for entity in model.public:
        name = entity.name
        wanted = None if selected is None else selected.get(name, set()) | _standing_fields(entity)
        held, made = _held_fields(connection, name), _made_columns(connection, name)
        columns = [
            _made_column(
                row,
                left_out.get((name, row.field)),
                otherwise=_state(row.field, wanted, held, unfilled=unfilled),
            )
            for row in made
        ]
        has_column = {row.field for row in made}
        columns += [
            _column_to_come(each)
            for (of, field), each in left_out.items()
            if of == name and field not in has_column
        ]
        found[name] = [row | shares.get((name, row["column"]), _NEVER) for row in columns]
    return found


def _made_column(row: Row[Any], out: LeftOutField | None, *, otherwise: str) -> Answered:
    return {
        "column": row.column_name,
        "source": row.source,
        "type": row.value_kind,
        "state": otherwise if out is None else _state_of(out),
        "reason": None if out is None else out.reason,
    }


def _column_to_come(out: LeftOutField) -> Answered:
    state = _state_of(out)
    named = {"column": out.field, "source": out.source, "type": None}
    return named | {"state": state, "reason": out.reason}


def _state_of(out: LeftOutField) -> str:
    """A column that could not be made yet is tried again by every run, and then filled."""
    return FILLING if out.state == "postponed" else out.state


def _state(
    field: str,
    wanted: Collection[str] | None,
    held: Collection[str] | None,
    *,
    unfilled: str,
) -> str:
    """Whether the field is selected, and whether the whole table has it; None: not known yet."""
    if wanted is not None and field not in wanted:
        return STOPPED
    return READ if held is None or field in held else unfilled


def _selected_fields(connection: Connection) -> dict[str, set[str]] | None:
    """The fields that the last run selected, by table; None where no run has noted any."""
    known = json.loads(connection.scalar(select(sync_store.c.selections)) or "[]")
    if not known:
        return None
    selected: dict[str, set[str]] = {}
    for name in known[0]["fields"]:
        entity, _dot, field = name.partition(".")
        selected.setdefault(entity, set()).add(field)
    return selected


def _standing_fields(entity: Entity) -> set[str]:
    """Fields that are read without being selected, such as the currency, which money brings."""
    return {field.column for field in entity.fields if not is_selectable(field)}


def _held_fields(connection: Connection, name: str) -> set[str] | None:
    noted = connection.scalar(select(sync_state.c.columns).where(sync_state.c.entity == name))
    return None if noted is None else set(json.loads(noted))


def _made_columns(connection: Connection, name: str) -> list[Row[Any]]:
    query = select(store_column).where(store_column.c.entity == name)
    return list(connection.execute(query.order_by(store_column.c.column_name)).all())


def _shares(connection: Connection) -> dict[tuple[str, str], dict[str, Any]]:
    rows = connection.execute(select(column_share))
    return {
        (row.entity, row.column_name): {"filled_share": row.filled_share, "as_of": row.as_of}
        for row in rows
    }


def _fill_has_failed(connection: Connection) -> bool:
    """Whether the quick sync of the selection of now failed, and waits for a person."""
    since = selection_changed_at(connection)
    return last_failure(connection, "fill", since=since) is not None
