"""What one part of a load did, in the numbers that `sync_run` keeps for each entity.

They are counted by the database while it writes, so that a run which finds nothing changed can
prove it, and parts of a load add up.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows that were read, and what became of them in the store."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    refused: int = 0
    # Private rows written: the store moved, though no public row may have.
    facts: int = field(default=0, compare=False)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.read + other.read,
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.deleted + other.deleted,
            self.refused + other.refused,
            self.facts + other.facts,
        )

    @property
    def changed(self) -> int:
        """Rows of the store that are not as they were before."""
        return self.inserted + self.updated + self.deleted
