"""What the store remembers between runs: whose rows it holds, how far it got, its last change.

The watermark of an entity says up to when everything that windows can show is in the store. It
moves in the transaction of the rows, only forwards, and only by a run whose window begins at or
before it. Anything else would leave a gap that no later run looks into. The revision is the number
of the last change. By it a load can tell whether the store has changed since its run looked, and a
reader can tell which rows are new. It only grows, over epochs and owners: no two changes share one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import case, delete, exists, func, insert, or_, select, true, update

from opportunity_sync.errors import WrongOrganizationError
from opportunity_sync.model import CONTACT
from opportunity_sync.store.schema.tables import (
    fact_table,
    owed_column,
    public_table,
    refused_row,
    sync_state,
    sync_store,
)
from opportunity_sync.store.statements.upsert import dialect_insert

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from opportunity_sync.model import Entity, Model
    from opportunity_sync.store.statements.change import Change

Interpretations = dict[str, str]
Noted = dict[str, Interpretations | None]  # by the column of `sync_state` that has them


@dataclass(frozen=True, slots=True)
class DeltaLink:
    """Where change tracking goes on, None where it is not used.

    `columns`: those that it gives, each with its interpretation; None: those of the link before.
    `is_whole`: the whole table was read.
    """

    url: str | None
    columns: Mapping[str, str] | None
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class StoreState:
    """The state as one transaction sees it. An entity without a watermark was never read whole.

    By entity name: `columns` are those that the whole table has, each with its interpretation (`''`
    is the usual one); `link_columns` are those that the delta link gives. Either is None if it is
    not known, in a store that an earlier version made. `offered`: the links with which whole passes
    of a quick sync ended; `offered_at`: the store's revision at that time. `fill_begun`: columns
    that the last quick sync began to fill, each with its interpretation. `is_erased_before`:
    somebody was erased before any load, which no revision tells.
    """

    organization_id: str | None
    revision: int
    watermarks: dict[str, datetime]
    epoch: int = 0
    delta_links: dict[str, str] = field(default_factory=dict)
    columns: dict[str, Interpretations | None] = field(default_factory=dict)
    link_columns: dict[str, Interpretations | None] = field(default_factory=dict)
    whole_passes: dict[str, int] = field(default_factory=dict)
    offered: dict[str, DeltaLink] = field(default_factory=dict)
    offered_at: dict[str, int] = field(default_factory=dict)
    fill_begun: dict[str, Interpretations] = field(default_factory=dict)
    is_erased_before: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether the store knows nothing of any record yet."""
        return self.revision == 0 and not self.is_erased_before


def read_state(connection: Connection) -> StoreState:
    """Read the state. Before the first run the store is nobody's and has revision 0."""
    store = connection.execute(select(sync_store)).one_or_none()
    rows = connection.execute(select(sync_state)).all()
    linked = [row for row in rows if row.delta_link]
    return StoreState(
        organization_id=store.organization_id if store else None,
        revision=store.revision if store else 0,
        epoch=store.epoch if store else 0,
        watermarks={row.entity: row.watermark_at for row in rows if row.watermark_at},
        delta_links={row.entity: row.delta_link for row in linked},
        columns={row.entity: _interpretations(row.columns) for row in rows},
        link_columns={row.entity: _interpretations(row.link_columns) for row in linked},
        offered={
            row.entity: DeltaLink(row.offered_link, _interpretations(row.offered_columns) or {})
            for row in rows
            if row.offered_link
        },
        offered_at={row.entity: row.offered_at or 0 for row in rows},
        fill_begun={row.entity: _interpretations(row.fill_begun) or {} for row in rows},
        whole_passes={row.entity: row.whole_passes for row in linked},
        is_erased_before=not (store and store.revision) and _knows_of_erased(connection),
    )


def _knows_of_erased(connection: Connection) -> bool:
    """It reads the contacts' facts, and is asked of a store that has hardly any."""
    erased = select(fact_table(CONTACT).c.contact_id).where(fact_table(CONTACT).c.is_erased)
    return connection.scalar(erased.limit(1)) is not None


def check_organization(
    connection: Connection, organization_id: str, *, handed_to: str | None = None
) -> None:
    """Check that the store is this organisation's, or nobody's yet. Nothing is written.

    `handed_to` is the organisation that a run is told to hand the store over to: it may read, and
    `begin_epoch` makes the store its own.

    Raises:
        WrongOrganizationError: the store holds another organisation's rows, or is to be handed
            over to another one.
    """
    if handed_to is not None and handed_to != organization_id:
        raise WrongOrganizationError(
            f"The store is to be handed over to organisation {handed_to}, the connection leads to "
            f"{organization_id}.",
            next_step="point dynamics_default to the new organisation, or give its id.",
        )
    owner = connection.scalar(select(sync_store.c.organization_id))
    if owner is not None and organization_id not in {owner, handed_to}:
        raise WrongOrganizationError(
            f"The store belongs to organisation {owner}, the connection leads to "
            f"{organization_id}.",
            next_step="point dynamics_default back, or give the other organisation its own store; "
            "if it has taken this one's place, see 'Another organisation' in docs/runbook.md.",
        )


def claim_organization(
    connection: Connection, organization_id: str, *, handed_to: str | None = None
) -> None:
    """Make the store this organisation's, if it is nobody's yet.

    Raises:
        WrongOrganizationError: as `check_organization`.
    """
    check_organization(connection, organization_id, handed_to=handed_to)
    if not connection.scalar(select(exists(select(sync_store)))):
        connection.execute(insert(sync_store), {"singleton": 1, "organization_id": organization_id})


def note_organization_url(connection: Connection, organization_id: str, url: str) -> None:
    """Remember where the organisation is, if the store is its own; what is known is not written."""
    is_its_own = sync_store.c.organization_id == organization_id
    is_new = sync_store.c.organization_url.is_distinct_from(url)
    connection.execute(update(sync_store).where(is_its_own, is_new).values(organization_url=url))


def organization_url(connection: Connection) -> str | None:
    """Where the last run found the organisation; None where none has said so yet."""
    url: str | None = connection.scalar(select(sync_store.c.organization_url))
    return url


def bump_revision(connection: Connection, to: int) -> None:
    """Raise the store's revision, so that whoever resolved on older facts resolves again."""
    is_forwards = sync_store.c.revision < to
    connection.execute(update(sync_store).values(revision=to).where(is_forwards))


def begin_epoch(
    connection: Connection, organization_id: str, *, model: Model, change: Change
) -> None:
    """Rank everything stored below every version to come.

    The organisation went back in time, or another one takes its place; the store is this one's from
    now on. All stored rows count as version 0, and `load` refuses runs that began in an earlier
    epoch. What was tracked, refused or owed counts no more, and no column counts as complete until
    it has been read. Every public row is touched, so the change takes a number even if it writes
    nothing else.
    """
    is_another = sync_store.c.organization_id != organization_id
    begun = {
        "epoch": sync_store.c.epoch + 1,
        "organization_id": organization_id,
        "organization_url": case((is_another, None), else_=sync_store.c.organization_url),
    }
    connection.execute(update(sync_store).values(begun))
    bump_revision(connection, change.revision)
    for entity in model.public:
        connection.execute(update(public_table(entity)).values(version_number=0, **change.stamps))
    for entity in model:
        connection.execute(update(fact_table(entity)).values(version_number=0))
    for table in (owed_column, refused_row):
        connection.execute(delete(table))
    nothing = {
        "delta_link": None,
        "link_columns": None,
        "columns": _NONE,
        "offered_link": None,
        "offered_columns": None,
        "fill_begun": None,
    }
    connection.execute(update(sync_state).values(nothing))


def newest_modified_at(connection: Connection, model: Model) -> datetime | None:
    """The earliest of the public tables' latest `modified_at`; None if there is no row."""
    newest = (
        connection.scalar(select(func.max(public_table(entity).c.modified_at)))
        for entity in model.public
    )
    return min((moment for moment in newest if moment is not None), default=None)


def move_watermark(
    connection: Connection, entity: str, *, window_start: datetime | None, to: datetime
) -> bool:
    """Move an entity's watermark forwards to `to`; return whether it moved.

    A full read (`window_start` is None) may always move it, and only a full read may set the first
    one. A window may move it only if it begins at or before the watermark.
    """
    of_entity = sync_state.c.entity == entity
    known = connection.scalar(select(exists(select(sync_state).where(of_entity))))
    if window_start is None and not known:
        _add_state(connection, entity, watermark_at=to)
        return True
    mark = sync_state.c.watermark_at
    is_reached = true() if window_start is None else mark >= window_start
    is_forwards = or_(mark.is_(None), mark < to)
    statement = update(sync_state).values(watermark_at=to)
    return bool(connection.execute(statement.where(of_entity, is_reached, is_forwards)).rowcount)


def correct_watermark(connection: Connection, entity: str, to: datetime) -> None:
    """Set a watermark to `to`, forwards or back: it lies in the future."""
    statement = update(sync_state).values(watermark_at=to)
    connection.execute(statement.where(sync_state.c.entity == entity))


def complete_columns(
    connection: Connection, entity: str, interpretations: Mapping[str, str]
) -> None:
    """Note that the whole table has these columns, each with its interpretation."""
    _add_interpretations(connection, entity, interpretations, column="columns")


def forget_state(connection: Connection, entity: str) -> None:
    """Let the next run read the entity whole, as if it had never been read."""
    connection.execute(delete(sync_state).where(sync_state.c.entity == entity))


def forget_column(connection: Connection, entity: Entity, column: str) -> None:
    """Note that the entity's rows have lost a column of the store, so that it is read again."""
    lost = {
        field.column
        for field in entity.all_fields
        if column in {stored.name for stored in field.columns}
    }
    forget_interpretations(connection, entity.name, lost)


def forget_interpretations(connection: Connection, entity: str, names: Collection[str]) -> None:
    """Note that the whole table no longer has these columns in one interpretation.

    The quick sync that filled them counts no more, so another one starts by itself.
    """
    _keep_interpretations(connection, entity, lambda name, _how: name not in names)


def forget_other_interpretations(
    connection: Connection, entity: str, interpretations: Mapping[str, str]
) -> None:
    """Do the same for columns that are held, or being filled, in another interpretation than given.

    Rows with the given interpretations have just been written.
    """
    _keep_interpretations(
        connection, entity, lambda name, how: interpretations.get(name, how) == how
    )


def _keep_interpretations(
    connection: Connection, entity: str, is_kept: Callable[[str, str], bool]
) -> None:
    def drop_others(known: Noted) -> Noted:
        return {
            column: {name: how for name, how in noted.items() if is_kept(name, how)}
            for column, noted in known.items()
            if noted
        }

    _note_interpretations(connection, entity, drop_others)


def _add_interpretations(
    connection: Connection, entity: str, interpretations: Mapping[str, str], *, column: str
) -> None:
    def add_these(known: Noted) -> Noted:
        return {column: {**(known.get(column) or {}), **interpretations}}

    _note_interpretations(connection, entity, add_these)


def _note_interpretations(
    connection: Connection, entity: str, change: Callable[[Noted], Noted]
) -> None:
    """Replace `columns` and `fill_begun` by what `change` makes of them, where that differs.

    Only what is to change is locked, and looked at once more then: another run may be about it.
    """
    query = select(sync_state.c.columns, sync_state.c.fill_begun)
    query = query.where(sync_state.c.entity == entity)
    changed: Noted = {}
    for asked in (query, query.with_for_update()):
        row = connection.execute(asked).mappings().one_or_none()
        known = {str(name): _interpretations(text) for name, text in (row or {}).items()}
        changed = {name: noted for name, noted in change(known).items() if noted != known.get(name)}
        if not changed:
            return
    _set_state(connection, entity, **{name: _json(noted or {}) for name, noted in changed.items()})


def forget_delta_link(connection: Connection, entity: str) -> None:
    """Let the next run read the entity whole, as if it had never been tracked."""
    connection.execute(
        update(sync_state).values(delta_link=None).where(sync_state.c.entity == entity)
    )


def move_delta_link(
    connection: Connection, entity: str, *, began_with: str | None, to: DeltaLink
) -> bool:
    """Replace an entity's delta link, unless another run has moved it since this one began.

    Returns whether it moved. The entity must have a watermark already.
    """
    passes = sync_state.c.whole_passes + int(to.is_whole)
    columns = {} if to.columns is None else {"link_columns": _json(to.columns)}
    statement = (
        update(sync_state)
        .values(delta_link=to.url, whole_passes=passes, **columns)
        .where(
            sync_state.c.entity == entity,
            sync_state.c.delta_link.is_not_distinct_from(began_with),
        )
    )
    return bool(connection.execute(statement).rowcount)


def offer_link(connection: Connection, entity: str, link: DeltaLink) -> None:
    """Leave the link of a whole pass for the running sync, which goes on with it when it can."""
    columns = _json(link.columns or {})
    revision = connection.scalar(select(sync_store.c.revision)) or 0
    offer = {"offered_link": link.url, "offered_columns": columns, "offered_at": revision}
    _set_state(connection, entity, **offer)


def withdraw_offer(connection: Connection, entity: str) -> None:
    """Forget the offered link: it has been taken up, or can't be."""
    nothing = {"offered_link": None, "offered_columns": None}
    connection.execute(update(sync_state).values(nothing).where(sync_state.c.entity == entity))


def note_fill(connection: Connection, entity: str, interpretations: Mapping[str, str]) -> None:
    """Note that a quick sync has begun to fill these columns, each with its interpretation."""
    _add_interpretations(connection, entity, interpretations, column="fill_begun")


_NONE = "{}"  # no column is complete; null would mean that nothing is known


def _set_state(connection: Connection, entity: str, **values: object) -> None:
    statement = update(sync_state).values(values).where(sync_state.c.entity == entity)
    if not connection.execute(statement).rowcount:
        _add_state(connection, entity, **values)


def _add_state(connection: Connection, entity: str, **values: object) -> None:
    """Add a row, or change it if another first run of the store has added it meanwhile."""
    insert_of = dialect_insert(connection)
    row = {"entity": entity, "columns": _NONE, **values}
    statement = insert_of(sync_state).values(row)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["entity"], set_=dict(values))
    )


def _json(interpretations: Mapping[str, str]) -> str:
    return json.dumps(dict(interpretations), sort_keys=True)


def _interpretations(text: str | None) -> Interpretations | None:
    return None if text is None else json.loads(text)
