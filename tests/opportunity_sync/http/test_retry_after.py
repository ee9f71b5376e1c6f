"""How long a server asks to wait, in each way that it can be written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from opportunity_sync.http.retry_after import (
    LONGEST_REST_SECONDS,
    parse_http_date,
    retry_after_seconds,
)

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("17", 17.0),
        ("17.4", 17.4),
        (" 5 ", 5.0),
        ("-3", 0.0),
        ("Tue, 03 Feb 2026 04:05:16 GMT", 10.0),
        ("Tue, 03 Feb 2026 04:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
    ],
    ids=repr,
)
def test_retry_after_comes_in_three_forms(value: str, seconds: float | None) -> None:
    """Whole seconds, decimal seconds, a date; anything else counts as not said."""
    assert seconds == retry_after_seconds({"Retry-After": value}, now=NOW)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3600", 3600),
        ("3601", LONGEST_REST_SECONDS),
        ("300000", LONGEST_REST_SECONDS),
        ("1e308", LONGEST_REST_SECONDS),
        ("9" * 5000, None),
        (str(int(NOW.timestamp()) + 90), 90),
        (str((int(NOW.timestamp()) + 90) * 1000), 90),
        (str(int(NOW.timestamp()) - 90), 0),
        ("99999999999999999999", LONGEST_REST_SECONDS),
        ("-99999999999999999999", 0),
        ("Tue, 03 Feb 2082 04:05:16 GMT", LONGEST_REST_SECONDS),
        ("Fri, 31 Dec 9999 23:59:59 -0100", None),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
        ("Tue, 03 Feb 2026 04:05:16 +99999999999", None),
        ("1e400", None),
        ("0x10", None),
        ("5 seconds", None),
        ("5, 6", None),
        ("\x00", None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_no_number_from_outside_reaches_a_clock_unbounded(
    value: str, seconds: float | None
) -> None:
    """Milliseconds, moments, far years and nonsense: an hour at most, or not said."""
    found = retry_after_seconds({"Retry-After": value}, now=NOW)
    assert found == seconds
    assert found is None or timedelta(seconds=found) <= timedelta(hours=1)


@pytest.mark.parametrize("value", ["", "soon", "Fri, 31 Dec 9999 23:59:59 -0100"])
def test_a_date_that_is_none_is_not_known(value: str) -> None:
    """The worker's clock counts alone then."""
    assert parse_http_date(value) is None


@pytest.mark.parametrize("value", ["Tue, 03 Feb 2026 04:05:16 GMT", "1770091516", "1770091516000"])
def test_a_moment_is_measured_by_the_clock_of_the_server_that_names_it(value: str) -> None:
    """The worker's may be years off; it counts where the server does not say its own."""
    headers = {"Retry-After": value, "Date": "Tue, 03 Feb 2026 04:05:06 GMT"}
    assert retry_after_seconds(headers) == 10.0
    assert retry_after_seconds({**headers, "Date": "yesterday"}, now=NOW) == 10.0
    assert retry_after_seconds({"Retry-After": "Tue, 03 Feb 2009 04:05:16 GMT"}) == 0.0
