"""One change of the store: its number in the order of all, and what its run had seen before.

Clocks of several machines cannot order what runs did; the store's revision can. A load takes the
next number under the store's lock, and remembers the one that its run began with: whatever the
store got in between, the run cannot have known. The number stands in every public row that the
change touches, so that readers can ask for what is new to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Change:
    """How a load writes.

    `revision`: the number of this change, higher than the store's. `begun`: the store's revision
    when the run began. `moment` becomes `synced_at` and `deleted_at`. `run`: DAG and run id, under
    which is noted what the change did to single rows, also in their history if it `leaves_history`.
    `fresh_since`: rows that say they were modified since then tell how long a change takes into the
    store; None where none do.
    """

    revision: int
    begun: int
    moment: datetime
    run: tuple[str, str] | None = None
    fresh_since: datetime | None = None
    leaves_history: bool = True

    @property
    def stamps(self) -> dict[str, datetime | int]:
        """What a public row gets with whatever else this change writes into it, by column."""
        return {"synced_at": self.moment, "revision": self.revision}
