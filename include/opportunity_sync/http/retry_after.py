"""How long a server asks to wait: a number from outside, read once and bounded.

It ends up in a clock or in a scheduler's calendar. Sent as milliseconds, or as a moment in seconds
since 1970, it would put a task into the year 2082.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_REST_SECONDS: Final = 3600.0
_FIRST_MOMENT: Final = 1e9  # a number so large is a moment, in seconds since 1970
_FIRST_MOMENT_IN_MILLISECONDS: Final = 1e12


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Seconds that `Retry-After` asks for, an hour at most; None if it is absent or unreadable.

    It comes as whole or decimal seconds, as an HTTP date, and in the wild as a moment. A date or a
    moment is of the server's clock, so `now` is by default what that one says (`Date`).
    """
    value = headers.get("Retry-After", "").strip()
    now = now or parse_http_date(headers.get("Date", "")) or datetime.now(UTC)
    seconds = _parse_seconds(value, now)
    if seconds is None or math.isnan(seconds):
        return None
    return min(max(0.0, seconds), LONGEST_REST_SECONDS)


def parse_http_date(value: str) -> datetime | None:
    """An HTTP date as an instant, UTC; None if it is none, or lies outside the calendar."""
    try:
        moment = parsedate_to_datetime(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def _parse_seconds(value: str, now: datetime) -> float | None:
    try:
        number = float(value)
    except ValueError:
        moment = parse_http_date(value)
        return (moment - now).total_seconds() if moment else None
    if not math.isfinite(number):
        return None
    if number >= _FIRST_MOMENT_IN_MILLISECONDS:
        number /= 1000
    return number - now.timestamp() if number >= _FIRST_MOMENT else number
