"""Stops a reading that goes on and on without coming to a new record.

Each link to a next page can be new while the rows behind it are the same, or none. No repeated link
gives such a circle away, so the keys decide. There can be millions of them, too many to keep. So
each sets one of many flags, and a page counts as new if it finds one that was not set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from opportunity_sync.errors import ResponseError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_PAGES: Final = 50  # in a row without anything new
_FLAGS: Final = 1 << 24
_MANY: Final = 1000
_ONE_OF: Final = 16


class Progress:
    """Counts the pages in a row that bring nothing new, within one reading after the other."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._pages = 0
        self._seen: np.ndarray | None = None

    def note_page(self, keys: Sequence[object], *, is_last: bool) -> None:
        """Take note of what a page brought: its keys, or whatever tells its content.

        The last page ends the reading, and the next page begins another.

        Raises:
            ResponseError: it is one of too many pages in a row that brought nothing new.
        """
        if is_last:
            self._pages, self._seen = 0, None
            return
        if self._seen is None:
            self._seen = np.zeros(_FLAGS, dtype=bool)
        hashes = np.array([*map(hash, keys)], np.int64)
        if len(hashes) >= _MANY:  # some of them tell as much, and always the same ones
            hashes = hashes[hashes % _ONE_OF == 0]
        places = hashes % _FLAGS
        is_new = not bool(self._seen[places].all())
        self._seen[places] = True
        self._pages = 0 if is_new else self._pages + 1
        if self._pages >= MOST_PAGES:
            raise ResponseError(
                f"{MOST_PAGES} pages of {self._name} in a row brought no new record and a link to "
                "the next.",
                next_step="wait: the next try reads it again; if it stays, find out who answers in "
                "Dataverse's place (a proxy or gateway?)",
            )
