"""Settings come from the environment, and a wrong one is named before anything runs."""

from __future__ import annotations

import pytest

from opportunity_sync.errors import ConfigError
from opportunity_sync.settings import settings_from

ZONE = "OPPORTUNITY_SYNC_TIME_ZONE"


@pytest.mark.parametrize("given", ["Europe/Berlin", " Europe/Berlin\n", "UTC", "Etc/GMT+5"])
def test_a_time_zone_is_named_as_the_iana_database_names_it(given: str) -> None:
    """White space around a name is nobody's wish."""
    assert given.strip() == settings_from({ZONE: given}).time_zone


def test_without_a_time_zone_none_is_assumed() -> None:
    """Whoever needs one decides, and says so."""
    assert settings_from({}).time_zone is None
    assert settings_from({ZONE: ""}).time_zone is None


@pytest.mark.parametrize(
    "given",
    ["Mars/Phobos", "America", "../../etc/passwd", "localtime", "posix/Europe/Berlin", "CET\0"],
)
def test_what_is_no_time_zone_is_refused(given: str) -> None:
    """Folders, files and other names are no time zones."""
    with pytest.raises(ConfigError, match=f"{ZONE}: .*no time zone of the IANA database"):
        settings_from({ZONE: given})


def test_a_misspelt_time_zone_is_answered_with_the_nearest() -> None:
    """Who misspells a name wants to know the right one."""
    with pytest.raises(ConfigError, match="the nearest name is Europe/Berlin"):
        settings_from({ZONE: "Europe/berlin"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in ("REQUEST_TIMEOUT_SECONDS", "PAGE_TIMEOUT_SECONDS", "STORE_LOCK_SECONDS")
            for value in ("inf", "nan", "1e300", "0", "-1")
        ),
        *((name, str(10**12)) for name in ("OVERLAP_MINUTES", "STAGING_KEEP_DAYS")),
        ("REQUEST_ATTEMPTS", str(10**12)),
        ("MAX_DELETED_SHARE", "nan"),
        ("LABEL_LANGUAGE", "0"),
    ],
)
def test_a_number_that_no_clock_or_calendar_has_is_refused_when_it_is_read(
    name: str, value: str
) -> None:
    """Otherwise it is a wait without end, or an overflow in the middle of a run."""
    with pytest.raises(ConfigError, match=f"OPPORTUNITY_SYNC_{name}: "):
        settings_from({f"OPPORTUNITY_SYNC_{name}": value})


def test_a_staging_url_with_a_password_is_refused_without_showing_it() -> None:
    """The URL is in every log and handed from task to task."""
    with pytest.raises(ConfigError, match="must hold no user or password") as caught:
        settings_from({"OPPORTUNITY_SYNC_STAGING_URL": "ftp://joe:s3cret@host/staging"})
    assert "s3cret" not in str(caught.value)
