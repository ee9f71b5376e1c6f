"""What the store remembers between runs: whose rows it holds, how far it got, how often it moved.

The watermark of an entity says up to when everything that windows can show is in the store. It
moves in the transaction of the rows, only forwards, and only by a run whose window begins at or
before it: anything else would leave a gap that no later run looks into. The revision counts the
loads that changed something, so that a load can tell whether the store moved since its run looked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import exists, insert, or_, select, true, update

from opportunity_sync.entities import ENTITIES, PUBLIC_ENTITIES
from opportunity_sync.errors import WrongOrganizationError
from opportunity_sync.store.tables import fact_table, public_table, sync_state, sync_store

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class StoreState:
    """The state as one transaction sees it; an entity without a watermark was never read wholly."""

    organization_id: str | None
    revision: int
    watermarks: dict[str, datetime]
    epoch: int = 0
    delta_links: dict[str, str] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    whole_passes: dict[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether no load has changed the store yet."""
        return self.revision == 0


@dataclass(frozen=True, slots=True)
class DeltaLink:
    """Where change tracking goes on, None where it is not used.

    `fingerprint` stands for the columns that were read; `is_whole`: the whole table was.
    """

    url: str | None
    fingerprint: str
    is_whole: bool = False


def read_state(connection: Connection) -> StoreState:
    """The state; before the first run the store is nobody's and has revision 0."""
    store = connection.execute(select(sync_store)).one_or_none()
    marks = connection.execute(
        select(sync_state).where(sync_state.c.watermark_at.is_not(None))
    ).all()
    return StoreState(
        organization_id=store.organization_id if store else None,
        revision=store.revision if store else 0,
        epoch=store.epoch if store else 0,
        watermarks={row.entity: row.watermark_at for row in marks},
        delta_links={row.entity: row.delta_link for row in marks if row.delta_link},
        fingerprints={row.entity: row.columns_fingerprint for row in marks},
        whole_passes={row.entity: row.whole_passes for row in marks if row.delta_link},
    )


def claim_organization(
    connection: Connection, organization_id: str, *, handed_to: str | None = None
) -> None:
    """Make the store this organisation's, or find that it is.

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
    if owner is None:
        connection.execute(insert(sync_store), {"singleton": 1, "organization_id": organization_id})
    elif organization_id not in {owner, handed_to}:
        raise WrongOrganizationError(
            f"The store belongs to organisation {owner}, the connection leads to "
            f"{organization_id}.",
            next_step="point dynamics_default back, or give the other organisation its own store; "
            "if it has taken this one's place, see 'Another organisation' in docs/runbook.md.",
        )


def bump_revision(connection: Connection) -> None:
    """Say that the store moved, so that whoever resolved on older facts resolves again."""
    connection.execute(update(sync_store).values(revision=sync_store.c.revision + 1))


def begin_epoch(connection: Connection, organization_id: str) -> None:
    """Rank everything stored below every version to come: the organisation went back in time.

    Or another one has taken its place: the store is this organisation's from now on. Rows are
    ordered by epoch, then version: those of earlier epochs all count as version 0 from now on, and
    runs that began in an earlier epoch are refused by `load`.
    """
    begun = {"epoch": sync_store.c.epoch + 1, "organization_id": organization_id}
    connection.execute(update(sync_store).values(begun))
    public = [public_table(entity) for entity in PUBLIC_ENTITIES]
    for table in (*public, *(fact_table(entity) for entity in ENTITIES)):
        connection.execute(update(table).values(version_number=0))


def move_watermark(
    connection: Connection, entity: str, *, window_start: datetime | None, to: datetime
) -> bool:
    """Move an entity's watermark forwards to `to`; return whether it moved.

    A full read (`window_start` None) may always move it, and is the only one that may set a first
    one; a window only where it begins at or before the watermark.
    """
    of_entity = sync_state.c.entity == entity
    known = connection.scalar(select(exists(select(sync_state).where(of_entity))))
    if window_start is None and not known:
        connection.execute(insert(sync_state), {"entity": entity, "watermark_at": to})
        return True
    mark = sync_state.c.watermark_at
    is_reached = true() if window_start is None else mark >= window_start
    is_forwards = or_(mark.is_(None), mark < to)
    statement = update(sync_state).values(watermark_at=to)
    return bool(connection.execute(statement.where(of_entity, is_reached, is_forwards)).rowcount)


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
    statement = (
        update(sync_state)
        .values(delta_link=to.url, columns_fingerprint=to.fingerprint, whole_passes=passes)
        .where(
            sync_state.c.entity == entity,
            sync_state.c.delta_link.is_not_distinct_from(began_with),
        )
    )
    return bool(connection.execute(statement).rowcount)
