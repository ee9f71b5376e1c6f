"""What `transform` hands over to `load`, and from which staged tables it was made.

One manifest names all of it: the rows that came by id, the keys that are gone, what is derived for
each staged row, the associations, and the checksums of the tables it was made from. So `load` never
mixes two tries. If the store has changed since, `load` resolves again under its lock. The new
tables then count in place of the staged ones, and stay in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opportunity_sync.errors import StagingError
from opportunity_sync.pipeline.reading.parts import Reading
from opportunity_sync.pipeline.reading.readings import published_table, require_every_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

    from opportunity_sync.model import Entity
    from opportunity_sync.pipeline.run import Run
    from opportunity_sync.staging import Manifest, Part

_OUTCOME = "outcome"

Groups = dict[str, tuple["Part", ...]]
Tables = dict[str, tuple["pa.Table", ...]]


@dataclass(frozen=True)
class Outcome:
    """What `transform` has found, as its manifest names it.

    `groups` by name: `found/<entity>`, `gone/<entity>`, `derived/<entity>`, `resolved/...`.
    `readings`: what came by id, by entity name. `settled_at`: the store's revision at the look
    before Dynamics was asked; `revision`: its revision when the associations were resolved.
    `sources`: the checksum of each extracted table. `compared`: how many records a reconciliation
    compared, by entity name. `resolved_again`: tables that count in place of groups of that name.
    """

    groups: Groups
    readings: Mapping[str, Reading]
    settled_at: int
    revision: int
    sources: Mapping[str, str]
    compared: Mapping[str, int]
    resolved_again: Tables = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest) -> Outcome:
        """Read the outcome from its manifest."""
        state = manifest.state
        readings = {name: Reading.from_dict(each) for name, each in state["readings"].items()}
        for name, reading in readings.items():
            group = f"found/{name}"
            require_every_part(group, manifest.groups[group], reading=reading)
        return cls(
            groups=dict(manifest.groups),
            readings=readings,
            settled_at=state["settled_at"],
            revision=state["revision"],
            sources=state["sources"],
            compared=state["compared"],
        )

    def publish(self, run: Run) -> None:
        """Publish the manifest, unless the extracted tables have changed meanwhile."""
        require_same_sources(run, self)
        run.folder.publish(
            _OUTCOME,
            self.groups,
            readings={name: reading.to_dict() for name, reading in self.readings.items()},
            settled_at=self.settled_at,
            revision=self.revision,
            sources=dict(self.sources),
            compared=dict(self.compared),
        )

    def tables(self, run: Run, group: str, *, numbers: slice = slice(None)) -> Iterable[pa.Table]:
        """The tables of a group, one at a time, or those of these numbers."""
        if group in self.resolved_again:
            return self.resolved_again[group][numbers]
        return run.folder.tables(self.groups[group][numbers])


def read_outcome(run: Run) -> Outcome:
    """What `transform` published. Raises `StagingError` if the extracts have changed since."""
    outcome = Outcome.of(run.folder.read_manifest(_OUTCOME))
    require_same_sources(run, outcome)
    return outcome


def read_sources(run: Run) -> dict[str, str]:
    """The checksum of what each extract task has published, by entity name."""
    return {entity.name: published_table(run, entity).checksum for entity in run.model}


def require_same_sources(run: Run, outcome: Outcome) -> None:
    """Compare what the extract tasks have published with what the outcome was made from.

    A task that Airflow took for dead can publish at any time, even while the outcome is read. So
    this is compared once more when all is done. Raises `StagingError`.
    """
    if outcome.sources != read_sources(run):
        raise StagingError(
            "The staged rows have changed since they were transformed.",
            next_step="clear `transform` and what follows it.",
        )


def row_parts(run: Run, entity: Entity, groups: Groups) -> tuple[Sequence[Part], Sequence[Part]]:
    """Staged parts of whole rows: those of the extract task, and those asked for by id."""
    extracted: Sequence[Part] = ()
    if not run.lists(entity):
        extracted = published_table(run, entity).parts
    return extracted, groups[f"found/{entity.name}"]


def all_parts(run: Run, entity: Entity, groups: Groups) -> list[Part]:
    """All staged parts of whole rows, in the order of `row_parts`."""
    extracted, found = row_parts(run, entity, groups)
    return [*extracted, *found]
