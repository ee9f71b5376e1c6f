"""Items of the staging folder: can it be written, by whom read, and do all workers see it?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opportunity_sync.check.items import FailedItemError, Question, UndecidedItemError
from opportunity_sync.staging import StagingProbe

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Sighting:
    """Whether a worker has found what another one wrote into staging."""

    host: str
    is_seen: bool


def find_writable(url: str) -> str:
    """Whether a file can be written, read back and removed."""
    probe = StagingProbe(url)
    name = probe.write()
    try:
        if not probe.is_seen(name):
            raise FailedItemError(
                "A file that was written is not there when it is read back.",
                next_step="see whether the staging folder is a cache, or several ones",
            )
    finally:
        probe.remove(name)
    return f"A file was written to {url}, read back and removed."


def find_private(url: str) -> str:
    """Whether staged rows are closed to everybody else on the machine."""
    found = StagingProbe(url).open_folders()
    if found is None:
        raise UndecidedItemError(
            "It is no local disk: who may read is settled there.",
            next_step="see that the bucket or share is not public",
        )
    if found:
        raise FailedItemError(
            f"Everybody on this machine may read {', '.join(found[:5])} in {url}.",
            next_step="chmod -R o-rwx the staging folder",
        )
    return "What is staged is its owner's, and not everybody's."


def find_shared(sightings: Sequence[Sighting]) -> str:
    """Whether all the workers that answered have seen the same folder."""
    blind = sorted({each.host for each in sightings if not each.is_seen})
    hosts = sorted({each.host for each in sightings})
    if blind:
        raise FailedItemError(
            f"{len(blind)} of {len(hosts)} workers that answered do not see what another one "
            f"staged: {', '.join(blind)}.",
            next_step="set OPPORTUNITY_SYNC_STAGING_URL to a folder that every worker sees",
        )
    if len(hosts) < 2:  # noqa: PLR2004 - one worker proves nothing of others
        raise UndecidedItemError(
            "No more than one worker answered.",
            next_step="nothing, where there is one worker; else trigger dynamics_validate again "
            "while all of them are up",
        )
    return f"All {len(hosts)} workers that answered see the same folder."


def staging_questions(url: str, sightings: Sequence[Sighting]) -> list[Question]:
    """The items of a staging folder; `sightings` come from tasks on as many workers as answer."""
    return [
        Question(
            "staging.writable",
            "Can the staging folder be written?",
            "staging.unwritable",
            lambda: find_writable(url),
            on_transient="failed",
        ),
        Question(
            "staging.private",
            "Are staged rows closed to everybody else?",
            "staging.world_readable",
            lambda: find_private(url),
        ),
        Question(
            "staging.shared",
            "Do all workers see the same staging folder?",
            "staging.not_shared",
            lambda: find_shared(sightings),
        ),
    ]
