"""Guards against the loss of many rows, and against an organisation that went back in time.

Without them one bad day of permissions or formats would empty a store. Each guard raises before
anything is written, and says how to let the run through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync.dynamics import DataverseClient, sees_every_row
from opportunity_sync.errors import ConfigError, PrivilegeError
from opportunity_sync.pipeline.settling.open_questions import FEW_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from opportunity_sync.model import Entity
    from opportunity_sync.pipeline.reading.parts import Reading, Refused
    from opportunity_sync.pipeline.run import Run
    from opportunity_sync.pipeline.settling.answers import Answers
    from opportunity_sync.pipeline.settling.open_questions import OpenQuestions
    from opportunity_sync.settings import Settings


def require_few_refusals(
    run: Run,
    opened: Mapping[str, OpenQuestions],
    answers: Mapping[str, Answers],
    *,
    settings: Settings,
) -> None:
    """Raise `ConfigError` if the run newly refuses more records than is believed."""
    for entity in run.model:
        what = opened[entity.name]
        readings = (what.reading, answers[entity.name].reading)
        require_few_refused(run, entity, readings, known=what.refused, settings=settings)


def require_few_refused(
    run: Run,
    entity: Entity,
    readings: Sequence[Reading],
    *,
    known: Mapping[str, int | None],
    settings: Settings,
) -> None:
    """Do the same for what was read of one table; `known`: versions of the records listed."""
    if run.accept_refusals:
        return
    new = _new_refusals((each for reading in readings for each in reading.refusals), known)
    read = sum(reading.rows for reading in readings) + len(new)
    has_refused_page = any(reading.has_refused_page(known) for reading in readings)
    share = 0 if has_refused_page else int(read * settings.max_refused_share)
    if len(new) > (allowed := max(FEW_ROWS, share)):
        raise _too_many_refused(entity, new, read, allowed=allowed)


def _new_refusals(refused: Iterable[Refused], known: Mapping[str, int | None]) -> list[Refused]:
    """Records refused now and not yet listed at this version. Each one without an id counts."""
    new = {
        each.record_id or number: each
        for number, each in enumerate(refused)
        if not each.is_listed(known)
    }
    return list(new.values())


def _too_many_refused(
    entity: Entity, new: Sequence[Refused], read: int, *, allowed: int
) -> ConfigError:
    reason = new[0].reason
    where = f"{entity.name}.{reason.field}" if reason.field else entity.name
    return ConfigError(
        f"{len(new):,} of {read:,} {entity.set_name} can't be taken, more than the sync accepts on "
        f"its own ({allowed:,}); the first: {where} {reason.message}.",
        next_step="look at the records in Dynamics; if the others shall be loaded without them, "
        "trigger the DAG with accept_refusals.",
        is_guard=True,
    )


def refuse_older(entity: Entity, found: dict[str, int], live: Mapping[str, int]) -> None:
    """Raise `ConfigError` if Dynamics has a lower version of a record than the store."""
    older = [key for key, version in found.items() if version < live.get(key, version)]
    if older:
        raise ConfigError(
            f"{entity.name} {older[0]} (and {len(older) - 1} others) has a lower version in "
            "Dynamics than in the store: the organisation was restored from a backup.",
            next_step="trigger the DAG with mode full and new_epoch (docs/runbook.md).",
            is_guard=True,
        )


def require_sight(client: DataverseClient, found: Answers) -> None:
    """Raise `PrivilegeError` if a row would count as gone and not every row can be seen any more.

    Roles change while a run is under way, so this is asked once more. It matters even for a record
    that was never stored, since that record may be listed as refused.
    """
    entity = found.entity
    if found.gone and not sees_every_row(client, entity):
        raise PrivilegeError(
            f"Not every row of {entity.set_name} can be seen any more, so none counts as gone.",
            next_step=f"give the application user {entity.privilege} at organisation level again, "
            "then clear the task.",
        )


def require_few_deletions(
    entity: Entity, what: OpenQuestions, found: Answers, *, run: Run, settings: Settings
) -> None:
    """Raise `ConfigError` if more rows are gone than the set share of a table, unless accepted."""
    count = len(found.gone & what.live.keys())
    allowed = max(FEW_ROWS, int(what.live_count * settings.max_deleted_share))
    if count > allowed and not run.accept_deletions:
        raise ConfigError(
            f"{count:,} of {what.live_count:,} {entity.set_name} seem to be gone, more than the "
            f"sync accepts on its own ({allowed:,}).",
            next_step="look in Dynamics; if they were deleted, trigger the DAG with "
            "accept_deletions, else mend the application user's role.",
            is_guard=True,
        )
