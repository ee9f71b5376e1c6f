"""How far a long read is, told now and then, for the page.

A first sync reads for hours, and else its log alone would say how far it is. A read that is over
within seconds tells nothing, so that the five-minute sync pays nothing for it. Where it can't be
told, it is not tried again: no read may wait or fail for that.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from opportunity_sync.errors import SyncError

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_EVERY: Final = 10.0  # seconds
_PAUSE: Final = 60.0  # seconds, after it could not be told


class OnProgress(Protocol):
    """Hears of each page of a table: rows so far, about how many there are, whether it was all."""

    def __call__(
        self, entity: str, rows: int, expected: int | None, *, is_whole: bool = False
    ) -> None:
        """Hear it."""


def hear_nothing(entity: str, rows: int, expected: int | None, *, is_whole: bool = False) -> None:
    """Nobody asked how far the read is."""


@dataclass
class ProgressNotes:
    """Hands on the progress of one extract task's reads, every ten seconds at most.

    Where it can't be told, a load has the store or it is away: it is tried again after a `pause`.
    `write` takes it by name: entity, rows_read, rows_expected, is_whole.
    """

    write: Callable[..., None]
    every: float = _EVERY
    pause: float = _PAUSE
    _told: set[str] = field(default_factory=set)
    _last: float = field(default_factory=time.monotonic)
    _silent_until: float = 0.0

    def __call__(
        self, entity: str, rows: int, expected: int | None, *, is_whole: bool = False
    ) -> None:
        """Tell it if it is time; the end of a table whose progress was told is told as well."""
        now = time.monotonic()
        is_due = now - self._last >= self.every
        if now < self._silent_until or not (entity in self._told if is_whole else is_due):
            return
        try:
            self.write(entity=entity, rows_read=rows, rows_expected=expected, is_whole=is_whole)
        except Exception as error:  # noqa: BLE001 - whatever it is, the read goes on
            reason = error if isinstance(error, SyncError) else type(error).__name__
            log.info("%s: how far the read is can't be told in the store: %s", entity, reason)
            self._silent_until = now + self.pause
        self._told.add(entity)
        self._last = time.monotonic()
