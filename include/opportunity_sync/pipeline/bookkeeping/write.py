"""What the steps of one load share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from opportunity_sync.pipeline.resolving.outcome import Outcome
    from opportunity_sync.pipeline.run import Run
    from opportunity_sync.store import Change


@dataclass(frozen=True)
class Write:
    """One load: its transaction, the run, what is written, and the number of the change."""

    connection: Connection
    run: Run
    outcome: Outcome
    change: Change
