"""One change of the store: its number in the order of all, and what its run had seen before.

Clocks of several machines cannot order what runs did; the store's revision can. A load takes the
next number under the store's lock, and remembers the one that its run began with: whatever the
store got in between, the run cannot have known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Change:
    """How a load writes.

    `revision`: the number of this change, one more than the store's. `begun`: the store's revision
    when the run began. `moment` becomes `synced_at` and `deleted_at`.
    """

    revision: int
    begun: int
    moment: datetime
