"""What of the sync's signs is worth an alert: one function a code, from plain values.

A late sync comes first, since nothing else shows it: where no run ends, no task is red. Limits
are such that a quiet evening, a night's import of a few hundred rows or a single failure that
heals tell nobody anything.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from opportunity_sync import codes, errors
from opportunity_sync.errors import ConfigError
from opportunity_sync.store import Alert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from opportunity_sync.codes import Code
    from opportunity_sync.settings import Settings
    from opportunity_sync.store import Signs
    from opportunity_sync.store.books.signs import EndedRun

_TIMES_USUAL = 10
_LEAST_VOLUME = 1_000  # rows of an hour that are worth a word, however quiet it is otherwise
_LEAST_USUAL = 100  # rows of an usual day, below which a day without any means nothing
_LEAST_DAYS = 3  # of history, below which nothing is usual
_LEAST_DRIFT = 50  # rows
_FAILURES = 3  # in a row, of those that heal


def judge(signs: Signs, *, settings: Settings, now: datetime) -> list[Alert]:
    """Everything that is wrong now, the most urgent first."""
    return [
        *_late(signs, after=timedelta(minutes=settings.late_after_minutes), now=now),
        *_failing(codes.SYNC_FAILING, signs.ended["continue"]),
        *_failing(codes.RECONCILIATION_FAILING, signs.ended["reconcile"], failures=1),
        *_failing(codes.QUICK_SYNC_FAILING, signs.ended["fill"], failures=1),
        *_check_failing(signs),
        *_many_refused(signs, limit=settings.alert_refused_rows),
        *_unusual_volume(signs),
        *_drift(signs, limit=settings.alert_drift_share),
    ]


def _late(signs: Signs, *, after: timedelta, now: datetime) -> Iterator[Alert]:
    last = signs.last_success_at
    if last is not None and now - last > after:
        yield _alert(
            codes.SYNC_LATE, f"The sync is late: nothing came in since {last:%Y-%m-%d %H:%M} UTC."
        )


def _failing(code: Code, ended: list[EndedRun], *, failures: int = _FAILURES) -> Iterator[Alert]:
    """One failure that needs a person, or several that should have healed."""
    if not ended or not ended[0].is_failed:
        return
    in_a_row = next((n for n, run in enumerate(ended) if not run.is_failed), len(ended))
    if in_a_row >= failures or needs_person(ended[0].error_code):
        yield _alert(code, f"{code.meaning} {ended[0].error}".strip())


def needs_person(error_code: str) -> bool:
    """Whether trying again can't help with an error of this code."""
    kind = getattr(errors, error_code, None)
    return isinstance(kind, type) and issubclass(kind, ConfigError)


def _many_refused(signs: Signs, *, limit: int) -> Iterator[Alert]:
    for entity, count in sorted(signs.refused.items()):
        if count > limit:
            yield _alert(codes.REFUSED_ROWS, f"{entity}: {count:,} records are refused.", entity)


def _unusual_volume(signs: Signs) -> Iterator[Alert]:
    if signs.days_known < _LEAST_DAYS:
        return
    usual_day = signs.changed_week / signs.days_known
    many = max(_LEAST_VOLUME, _TIMES_USUAL * usual_day / 24)
    if signs.changed_hour > many:
        told = f"{signs.changed_hour:,} rows changed in an hour; usual are {usual_day / 24:,.0f}."
        yield _alert(codes.VOLUME_HIGH, told)
    if not signs.changed_day and usual_day >= _LEAST_USUAL:
        told = f"No row has changed for a day; usual are {usual_day:,.0f}."
        yield _alert(codes.VOLUME_NONE, told)


def _drift(signs: Signs, *, limit: float) -> Iterator[Alert]:
    for entity, (mended, compared) in sorted(signs.mended.items()):
        if mended > max(_LEAST_DRIFT, limit * compared):
            told = f"{entity}: the last reconciliation mended {mended:,} of {compared:,} rows."
            yield _alert(codes.DRIFT, told, entity)


def _check_failing(signs: Signs) -> Iterator[Alert]:
    """An alert for each code; items without one share theirs."""
    by_code = {item.code or codes.CHECK_FAILING.name: item for item in signs.failed_items}
    for code, item in by_code.items():
        step = item.next_step or codes.CHECK_FAILING.next_step
        yield Alert(code, "", f"The check fails: {item.name}: {item.found}", step)


def _alert(code: Code, message: str, entity: str = "") -> Alert:
    return Alert(code.name, entity, message, code.next_step)
