"""Whether the running sync is late, or fails: said once for alerts, the page and a monitor outside.

A failure that heals by itself is no more than lateness, which tells of it once it lasts: throttling
or a restart of the database turns a run red, and the next one brings all that it would have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync import codes, errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

FAILURES_IN_A_ROW = 3  # of those that should have healed


def is_late(last_success_at: datetime | None, *, now: datetime, after: timedelta) -> bool:
    """Whether nothing has come in for too long; a sync that never ended well yet is not late."""
    return last_success_at is not None and now - last_success_at > after


def needs_person(error_code: str) -> bool:
    """Whether trying again can't help with an error of this code."""
    kind = getattr(errors, error_code, None)
    return isinstance(kind, type) and issubclass(kind, errors.ConfigError)


def is_failing(ended: Sequence[str | None], *, failures: int = FAILURES_IN_A_ROW) -> bool:
    """Whether a failure needs a person, or as many in a row have not healed.

    `ended`: of the last runs, the newest first, the error's code where one failed, else None.
    """
    if not ended or ended[0] is None:
        return False
    in_a_row = next((n for n, code in enumerate(ended) if code is None), len(ended))
    return in_a_row >= failures or needs_person(ended[0])


def code_of_failure(ended: Sequence[str | None]) -> str | None:
    """By which code a failing sync is told: the error's own where it needs a person.

    None where the sync does not fail; `ended` as in `is_failing`.
    """
    if not is_failing(ended):
        return None
    newest = ended[0] or ""
    return newest if needs_person(newest) else codes.SYNC_FAILING.name
