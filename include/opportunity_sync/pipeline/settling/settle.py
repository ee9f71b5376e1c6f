"""Asks Dynamics by id for what a run's rows leave open. Only what it does not have is gone.

`find_open_questions` has looked at the store before, so no transaction is open while an answer is
waited for.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pyarrow as pa

from opportunity_sync.pipeline.settling.answers import Answers, fetch_rows
from opportunity_sync.pipeline.settling.guards import (
    refuse_older,
    require_few_deletions,
    require_few_refusals,
    require_sight,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opportunity_sync.dynamics import DataverseClient
    from opportunity_sync.model import Entity
    from opportunity_sync.pipeline.run import Run
    from opportunity_sync.pipeline.settling.open_questions import OpenQuestions
    from opportunity_sync.settings import Settings

log = logging.getLogger(__name__)


def settle(
    client: DataverseClient, run: Run, opened: Mapping[str, OpenQuestions], *, settings: Settings
) -> dict[str, Answers]:
    """Ask for what is open; returns what came and which keys are gone, by entity name.

    Raises:
        ConfigError: more rows are gone or refused than the guards let through, or the
            organisation went back in time.
        PrivilegeError: a row would be gone, and not every row can be seen any more.
    """
    answers = {
        entity.name: Answers(entity, run.folder.writer(f"found/{entity.name}"))
        for entity in run.model
    }
    require_few_refusals(run, opened, answers, settings=settings)
    for entity in run.model:
        what, found = opened[entity.name], answers[entity.name]
        asked = what.suspects | what.wanted | what.again
        fetch_rows(client, run, found, ids=sorted(asked))
        if not run.new_epoch:
            refuse_older(entity, found.versions, what.live)
        found.gone = what.suspects - found.versions.keys()
        require_sight(client, found)
        require_few_deletions(entity, what, found, run=run, settings=settings)
        if asked:
            log.info(
                "%s: %s asked for by id, %s found, %s gone",
                entity.set_name,
                len(asked),
                len(asked & found.versions.keys()),
                len(found.gone & what.live.keys()),
            )
    require_few_refusals(run, opened, answers, settings=settings)
    return answers


def gone_keys(entity: Entity, gone: set[str]) -> pa.Table:
    """The keys that are gone, as a table to stage."""
    return pa.table({entity.key_column: pa.array(sorted(gone), pa.string())})
