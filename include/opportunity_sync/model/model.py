"""All tables that a deployment reads, as one value that is made once and handed on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opportunity_sync.model.entity import Entity  # noqa: TC001 - read when a model is decoded

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Model:
    """The entities of a deployment, in the order in which they are read and written."""

    entities: tuple[Entity, ...]

    def __iter__(self) -> Iterator[Entity]:
        """Each entity."""
        return iter(self.entities)

    def __getitem__(self, name: str) -> Entity:
        """The entity of a logical name. Raises `KeyError` for another one."""
        return {entity.name: entity for entity in self.entities}[name]

    @property
    def public(self) -> tuple[Entity, ...]:
        """The entities that have a public table."""
        return tuple(entity for entity in self.entities if entity.is_public)

    @property
    def extract_tasks(self) -> tuple[str, ...]:
        """The tasks that read Dynamics, one beside the other; each is named by an entity."""
        return tuple(dict.fromkeys(entity.read_by for entity in self.entities))

    def entities_read_by(self, task: str) -> tuple[Entity, ...]:
        """The entities that an extract task reads."""
        return tuple(entity for entity in self.entities if entity.read_by == task)
