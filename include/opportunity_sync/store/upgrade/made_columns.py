"""The selected columns of public tables: made as they are selected, never changed, never dropped.

For each column that it made, the store remembers the field, the Dataverse column and the kind. A
field is left out of the run if somebody else made its column, or if the column was made for another
Dataverse column or kind. Its values would mean something else to those who read the table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, Engine, false, select, true, update
from sqlalchemy.schema import CreateColumn

from opportunity_sync.errors import ConfigError, StoreUnavailableError, SyncError
from opportunity_sync.model import Entity, Field, Model
from opportunity_sync.store.books.owed_columns import (
    add_owed,
    count_owed_by_column,
    forget_owed_columns,
)
from opportunity_sync.store.books.state import forget_interpretations
from opportunity_sync.store.books.table_sizes import holds_nothing
from opportunity_sync.store.schema.tables import OF_COLUMN, fact_table, public_table, store_column
from opportunity_sync.store.sessions.lock import lock_store, read_store
from opportunity_sync.store.statements.upsert import dialect_insert
from opportunity_sync.store.upgrade.columns_there import read_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

LOCK_SECONDS = 2  # the longest wait for others; then the run goes on without the column


@dataclass(frozen=True, slots=True)
class MadeColumn:
    """What a column of a public table was made for."""

    field: str
    source: str
    kind: str


@dataclass(frozen=True, slots=True)
class Misfit:
    """A selected field for which the store has no column, and why; `error`: what postponed it."""

    entity: str
    field: str
    source: str
    state: Literal["refused", "retyped", "postponed"]
    reason: str
    error: SyncError | None = None


@dataclass(frozen=True, slots=True)
class FittedModel:
    """The model as far as the store has columns for it; `added`: fields with new columns."""

    model: Model
    misfits: tuple[Misfit, ...] = ()
    added: tuple[str, ...] = ()


def fit_columns(
    engine: Engine,
    model: Model,
    *,
    wait_seconds: float = 1800,
    on_wait: Callable[[float], None] = lambda _waited: None,
    needs_columns: bool = False,
) -> FittedModel:
    """Make the columns of the model's fields, and leave out the fields that can have none.

    Columns are added in a transaction of their own, which waits `LOCK_SECONDS` at most for others,
    or `wait_seconds` for other runs where the run `needs_columns`. If that fails, or the database
    role may not change tables, the fields are `postponed`: the run goes on without them, and the
    next one tries again.

    Raises:
        StoreUnavailableError: the columns of a table that has neither columns of fields nor
            records, so that there is nothing to go on with. Other runs, which begin with an empty
            store at the same time, were waited for.
    """
    with read_store(engine) as connection:
        there = read_columns(connection)
        tables = [_Table.read(connection, each, there) for each in model.public]
        unused = {
            each.entity.name
            for each in tables
            if not each.made and holds_nothing(connection, each.entity)
        }
    fitted = {}
    for table in tables:
        name = table.entity.name
        is_patient = needs_columns or name in unused
        fitted[name] = _fit_entity(
            engine,
            table,
            is_unused=name in unused,
            wait_seconds=wait_seconds if is_patient else LOCK_SECONDS,
            on_wait=on_wait,
        )
    return _gather_models(model, fitted)


def expect_columns(engine: Engine, model: Model) -> FittedModel:
    """What `fit_columns` would make and leave out, even for a store without any table yet."""
    fitted: dict[str, FittedModel] = {}
    with read_store(engine) as connection:
        there = read_columns(connection)
        for entity in model.public:
            nothing = _Table(entity, frozenset(), {})
            is_made = store_column.name in there
            table = _Table.read(connection, entity, there) if is_made else nothing
            fitted[entity.name] = _fit_to_table(table)
    return _gather_models(model, fitted)


def _gather_models(model: Model, fitted: Mapping[str, FittedModel]) -> FittedModel:
    """One fitted model of the entities that were fitted one by one."""
    entities = tuple(
        fitted[entity.name].model[entity.name] if entity.name in fitted else entity
        for entity in model
    )
    return FittedModel(
        Model(entities),
        misfits=tuple(misfit for each in fitted.values() for misfit in each.misfits),
        added=tuple(name for each in fitted.values() for name in each.added),
    )


def made_columns(connection: Connection, entity: str) -> dict[str, MadeColumn]:
    """What each selected column of a public table was made for, by the column's name."""
    rows = connection.execute(select(store_column).where(store_column.c.entity == entity))
    return {row.column_name: MadeColumn(row.field, row.source, row.value_kind) for row in rows}


def stopped_fields(
    connection: Connection, entity: str, selected: Collection[str]
) -> dict[str, MadeColumn]:
    """Fields that are no longer selected and have a column in the store, by name."""
    stopped = stopped_columns(connection, entity, selected).values()
    return {column.field: column for column in stopped}


def stopped_columns(
    connection: Connection, entity: str, selected: Collection[str]
) -> dict[str, MadeColumn]:
    """Columns of fields that are no longer selected, by name."""
    made = made_columns(connection, entity)
    return {name: column for name, column in made.items() if column.field not in selected}


def let_go_of_unread(
    connection: Connection, entity: Entity, read: Collection[str], *, most_owed: int
) -> list[str]:
    """Stop owing, row by row, fields that are not read and that too many rows lack.

    Returns these fields. Nobody selects such a field any more, or it can't be read. When it is read
    again, a quick sync fills all rows.
    """
    unread = wanted_columns(connection, entity) - set(read)
    owed = count_owed_by_column(connection, entity, unread) if unread else {}
    fields = sorted(name for name, count in owed.items() if count > most_owed)
    if fields:
        of_fields = store_column.c.entity == entity.name, store_column.c.field.in_(fields)
        connection.execute(update(store_column).values(is_wanted=False).where(*of_fields))
        forget_owed_columns(connection, entity, fields)
        forget_interpretations(connection, entity.name, fields)
    return fields


@dataclass(frozen=True)
class _Table:
    """A public table as the database has it: its columns, and what ours were made for."""

    entity: Entity
    names: frozenset[str]
    made: Mapping[str, MadeColumn]

    @classmethod
    def read(
        cls, connection: Connection, entity: Entity, there: Mapping[str, frozenset[str]]
    ) -> _Table:
        names = there.get(entity.name, frozenset())
        return cls(entity, names, made_columns(connection, entity.name))

    def misfit(self, field: Field) -> Misfit | None:
        """Why this field can have no columns here; None if it has them, or may get them."""
        for column in field.columns:
            made, name = self.made.get(column.name), f"{self.entity.name}.{column.name}"
            if made is None and column.name in self.names:
                return self._refuse_field(field, f"{name} was made by somebody else")
            if made is not None and made.source != field.source:
                return self._refuse_field(field, f"{name} holds {made.source}")
            if made is not None and made.kind != field.kind:
                reason = f"{name} was made for {made.kind} values, and it is {field.kind} now"
                return self._refuse_field(field, reason, state="retyped")
        return None

    def _refuse_field(
        self, field: Field, reason: str, state: Literal["refused", "retyped"] = "refused"
    ) -> Misfit:
        names = (replace(field, column=f"{field.column}_{number}") for number in count(2))
        is_free = (each for each in names if not {c.name for c in each.columns} & self.names)
        reason = f"{reason}; a free name is {next(is_free).column}"
        return Misfit(self.entity.name, field.column, field.source, state, reason)

    def lacks(self, field: Field) -> bool:
        """Whether a column of the field has yet to be made."""
        return any(column.name not in self.names for column in field.columns)

    def fields_to_make(self) -> list[Field]:
        """The selected fields whose columns have yet to be made, and may be."""
        fields = self.entity.selected_fields
        return [each for each in fields if self.lacks(each) and self.misfit(each) is None]


def _fit_entity(
    engine: Engine,
    table: _Table,
    *,
    is_unused: bool,
    wait_seconds: float,
    on_wait: Callable[[float], None],
) -> FittedModel:
    if not table.fields_to_make():
        return _fit_to_table(table)
    try:
        with lock_store(engine, wait_seconds=wait_seconds, on_wait=on_wait) as connection:
            # Another run may have made them meanwhile, or others of the same names.
            table = _Table.read(connection, table.entity, read_columns(connection))
            _make_columns(connection, table)
    except ConfigError as error:
        return _postpone(table, error)
    except StoreUnavailableError as error:
        with read_store(engine) as connection:
            table = _Table.read(connection, table.entity, read_columns(connection))
        if is_unused and not table.made:
            raise
        return _postpone(table, error)
    return _fit_to_table(table)


def _postpone(table: _Table, error: SyncError) -> FittedModel:
    """The entity without the columns that are still to be made."""
    entity = table.entity
    postponed = tuple(
        Misfit(entity.name, field.column, field.source, "postponed", error.problem, error)
        for field in table.fields_to_make()
    )
    return _leave_out_misfits(entity, (*_misfits(table), *postponed), added=())


def _fit_to_table(table: _Table) -> FittedModel:
    """The entity as far as its table has columns for it, or may get them."""
    added = tuple(f"{table.entity.name}.{field.column}" for field in table.fields_to_make())
    return _leave_out_misfits(table.entity, _misfits(table), added=added)


def _leave_out_misfits(
    entity: Entity, misfits: tuple[Misfit, ...], *, added: tuple[str, ...]
) -> FittedModel:
    left_out = {misfit.field for misfit in misfits}
    kept = tuple(field for field in entity.fields if field.column not in left_out)
    return FittedModel(Model((replace(entity, fields=kept),)), misfits, added)


def _misfits(table: _Table) -> tuple[Misfit, ...]:
    found = (table.misfit(field) for field in table.entity.selected_fields)
    return tuple(misfit for misfit in found if misfit is not None)


def _make_columns(connection: Connection, seen: _Table) -> None:
    """Add what the table lacks and list it. Every name is quoted."""
    entity, fields, table = seen.entity, seen.fields_to_make(), public_table(seen.entity)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout TO '{LOCK_SECONDS}s'")
    quoted = connection.dialect.identifier_preparer.format_table(table)
    for field in fields:
        for column in field.columns:
            if column.name not in seen.names:
                definition = CreateColumn(table.c[column.name]).compile(connection)
                connection.exec_driver_sql(f"ALTER TABLE {quoted} ADD COLUMN {definition}")
            _list_column(connection, entity.name, field, name=column.name)
    made = {column.name for field in fields for column in field.columns}
    for index in table.indexes:
        if index.info.get(OF_COLUMN) in made:
            index.create(connection, checkfirst=True)
    # Somebody has dropped a column that rows had: its values have to be read again.
    lost = {made.field for made in seen.made.values()} & {f.column for f in fields}
    live = select(fact_table(entity).c[entity.key_column]).where(~fact_table(entity).c.is_deleted)
    add_owed(connection, entity, live, columns=lost)


def _list_column(connection: Connection, table: str, field: Field, *, name: str) -> None:
    insert_of = dialect_insert(connection)
    statement = insert_of(store_column).values(
        entity=table,
        column_name=name,
        field=field.column,
        source=field.source,
        value_kind=str(field.kind),
    )
    connection.execute(statement.on_conflict_do_nothing())


def want_columns(connection: Connection, entity: Entity, fields: Collection[str]) -> None:
    """Let every row that is written without one of these fields owe it from now on.

    Public fields are listed already, when their columns are made; facts are listed here. Only what
    is new is written, so that runs which begin at the same time do not wait for each other.
    """
    known = set(made_columns(connection, entity.fact_table))
    for field in entity.facts:
        if field.column in fields and field.column not in known:
            _list_column(connection, entity.fact_table, field, name=field.column)
    is_unwanted = (
        store_column.c.entity.in_([entity.name, entity.fact_table]),
        store_column.c.field.in_(sorted(fields)),
        store_column.c.is_wanted == false(),
    )
    if connection.scalar(select(store_column.c.field).where(*is_unwanted).limit(1)):
        connection.execute(update(store_column).values(is_wanted=True).where(*is_unwanted))


def wanted_columns(connection: Connection, entity: Entity) -> frozenset[str]:
    """The fields of an entity that the store has or is filling."""
    query = select(store_column.c.field).where(
        store_column.c.entity.in_([entity.name, entity.fact_table]),
        store_column.c.is_wanted == true(),
    )
    return frozenset(connection.scalars(query))
