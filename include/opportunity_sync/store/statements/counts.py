"""What one part of a load did, in the numbers that `sync_run_entity` keeps for each entity.

They are counted by the database while it writes, so that a run which finds nothing changed can
prove it, and parts of a load add up. Whoever compares two dumps of the public tables finds the
same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows that were read and what became of them, and rows that changed without being read.

    `read` (distinct records) is the sum of `inserted`, `updated`, `unchanged`, `filtered` (an
    explicit No), `refused` and `superseded` (older than the store's). Beside the sum: `deleted`,
    `rewritten` (accounts that follow another row, labels) and `compared` (listed only).
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    filtered: int = 0
    refused: int = 0
    superseded: int = 0
    deleted: int = 0
    rewritten: int = 0
    compared: int = 0
    # Private rows written: the store moved, though no public row may have.
    facts: int = field(default=0, compare=False)

    def __add__(self, other: Counts) -> Counts:
        names = (each.name for each in fields(self))
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in names})

    @property
    def changed(self) -> int:
        """Rows of the store that are not as they were before."""
        return self.inserted + self.updated + self.deleted + self.rewritten

    @property
    def unaccounted(self) -> int:
        """Rows that were read and of which nothing is told: 0 once the numbers are complete."""
        outcomes = (self.inserted, self.updated, self.unchanged, self.filtered)
        return self.read - sum(outcomes) - self.refused - self.superseded
