"""What of the sync's signs is worth an alert: one function a code, from plain values.

A late sync comes first, since nothing else shows it: where no run ends, no task is red. Limits
are such that a quiet evening, a night's import of a few hundred rows or a single failure that
heals tell nobody anything.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from opportunity_sync import codes
from opportunity_sync.core.standing import code_of_failure, is_failing, is_late
from opportunity_sync.store import Alert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from opportunity_sync.codes import Code
    from opportunity_sync.settings import Settings
    from opportunity_sync.store import Signs
    from opportunity_sync.store.journal.signs import EndedRun

_TIMES_USUAL = 10
_LEAST_VOLUME = 1_000  # rows of an hour that are worth a word, however quiet it is otherwise
_LEAST_USUAL = 100  # rows of an usual day, below which a day without any means nothing
_LEAST_DAYS = 3  # of history, below which nothing is usual
_LEAST_DRIFT = 50  # rows


def judge(signs: Signs, *, settings: Settings, now: datetime) -> list[Alert]:
    """Everything that is wrong now, the most urgent first."""
    return [
        *_judge_lateness(signs, after=timedelta(minutes=settings.late_after_minutes), now=now),
        *_judge_sync(signs.ended["continue"]),
        *_judge_rare_run(codes.RECONCILIATION_FAILING, signs.ended["reconcile"]),
        *_judge_rare_run(codes.QUICK_SYNC_FAILING, signs.ended["fill"]),
        *_judge_check(signs),
        *_judge_refusals(signs, limit=settings.alert_refused_rows),
        *_judge_volume(signs),
        *_judge_drift(signs, limit=settings.alert_drift_share),
    ]


def _judge_lateness(signs: Signs, *, after: timedelta, now: datetime) -> Iterator[Alert]:
    last = signs.last_success_at
    if is_late(last, now=now, after=after):
        yield _alert(
            codes.SYNC_LATE, f"The sync is late: nothing came in since {last:%Y-%m-%d %H:%M} UTC."
        )


def _judge_sync(ended: list[EndedRun]) -> Iterator[Alert]:
    """The sync, by the code of its error where that needs a person."""
    code = code_of_failure([run.failure for run in ended])
    if code is not None:
        yield _alert_of_run(codes.SYNC_FAILING, ended[0], code)


def _judge_rare_run(code: Code, ended: list[EndedRun]) -> Iterator[Alert]:
    """What runs seldom: one failure is one too many."""
    if is_failing([run.failure for run in ended], failures=1):
        yield _alert_of_run(code, ended[0], code.name)


def _alert_of_run(code: Code, run: EndedRun, name: str) -> Alert:
    """The run's own words, with the step that they end in where they have one."""
    said, _, step = run.error.partition(" Next step: ")
    return Alert(name, "", f"{code.meaning} {said}".strip(), step or code.next_step)


def _judge_refusals(signs: Signs, *, limit: int) -> Iterator[Alert]:
    for entity, count in sorted(signs.refused.items()):
        if count > limit:
            yield _alert(codes.REFUSED_ROWS, f"{entity}: {count:,} records are refused.", entity)


def _judge_volume(signs: Signs) -> Iterator[Alert]:
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


def _judge_drift(signs: Signs, *, limit: float) -> Iterator[Alert]:
    for entity, (mended, compared) in sorted(signs.mended.items()):
        if mended > max(_LEAST_DRIFT, limit * compared):
            told = f"{entity}: the last reconciliation mended {mended:,} of {compared:,} rows."
            yield _alert(codes.DRIFT, told, entity)


def _judge_check(signs: Signs) -> Iterator[Alert]:
    """An alert for each code, of the first item that has it."""
    by_code = {item.code: item for item in reversed(signs.failed_items)}
    for code, item in reversed(by_code.items()):
        yield Alert(code, "", f"The check fails: {item.name}: {item.found}", item.next_step)


def _alert(code: Code, message: str, entity: str = "") -> Alert:
    return Alert(code.name, entity, message, code.next_step)
