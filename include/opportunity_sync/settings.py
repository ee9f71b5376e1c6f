"""The sync's settings: parsed once from `OPPORTUNITY_SYNC_*`, frozen, unknown names refused.

Connections (URLs, credentials, the store) are Airflow connections and not here. A misspelt
variable is an error instead of a silently ignored wish. `docs/settings.md` is generated from
the descriptions below.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "OPPORTUNITY_SYNC_"
_DAY = 86_400  # seconds; a wait without a bound is none that anybody wishes for

_ZONE_NAME = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*)*")


def _time_zone(given: str) -> str:
    """The name as the IANA time zone database has it, without white space around it."""
    name = given.strip()
    known = sorted(filter(_ZONE_NAME.fullmatch, available_timezones()))
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, 1, 0.7)
    hint = f"; the nearest name is {near[0]}" if near else ""
    message = f"it is no time zone of the IANA database such as Europe/Berlin{hint}"
    raise ValueError(message if known else "no time zone database is installed (package tzdata)")


def _without_password(url: str) -> str:
    """The URL, which tasks hand to each other and logs show."""
    if re.search(r"://[^/]*@", url):
        message = "it must hold no user or password: give them as its file system's own settings"
        raise ValueError(message)
    return url


def _ways_to_tell(given: str) -> str:
    """The ways as they are written, if each is one that there is."""
    for way in given.split(","):
        kind, _, target = way.strip().partition(":")
        if (kind == "log") is bool(target) or kind not in {"log", "webhook", "email", "slack"}:
            message = f"{way.strip()!r} is none of log, webhook:..., email:..., slack:..."
            raise ValueError(message)
    return given


class Settings(BaseModel):
    """All settings; the variable is `OPPORTUNITY_SYNC_` and the name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    staging_url: Annotated[str, AfterValidator(_without_password)] = Field(
        default="",
        description="Folder for staged rows, any fsspec URL that every worker sees "
        "(`s3://bucket/staging`, `/mnt/shared/staging`). Empty: `opportunity_sync_staging` in "
        "AIRFLOW_HOME, for workers on one machine.",
    )
    staging_keep_days: int = Field(
        default=7, ge=0, le=3650, description="Days that the staged rows of a failed run are kept."
    )
    fields: Annotated[str, AfterValidator(_without_password)] = Field(
        default="",
        description="TOML file that selects the columns of opportunity, contact and account: a "
        "path that every worker sees, or any fsspec URL. Empty: the default selection "
        "(docs/store.md).",
    )
    page_size: int = Field(
        default=5000,
        ge=1,
        le=5000,
        description="Rows per page asked of Dataverse; its limit is 5000.",
    )
    request_timeout_seconds: float = Field(
        default=150,
        gt=0,
        le=_DAY,
        description="Longest wait for the head of a response, or for its next bytes.",
    )
    page_timeout_seconds: float = Field(
        default=900,
        gt=0,
        le=_DAY,
        description="Longest time without a whole page, retries and waits included, before the "
        "task fails.",
    )
    scheduled_page_timeout_seconds: float = Field(
        default=180,
        gt=0,
        le=_DAY,
        description="Shorter limit for scheduled runs that read no table whole. Such a run gives "
        "up early, because the next one continues from the same place.",
    )
    request_attempts: int = Field(
        default=6,
        ge=1,
        le=1000,
        description="Times one request is tried before its task fails. A server that "
        "throttles is asked again for as long as a page may take.",
    )
    overlap_minutes: int = Field(
        default=10,
        ge=0,
        le=525_600,
        description="Minutes that a continuing window reaches back before the last run's start, "
        "for rows that were committed late.",
    )
    label_language: int | None = Field(
        default=None,
        ge=1,
        description="LCID of the language of choice labels (1033 is English). Empty: the "
        "organisation's base language.",
    )
    time_zone: Annotated[str, AfterValidator(_time_zone)] | None = Field(
        default=None,
        description="IANA name (`Europe/Berlin`) of the time zone whose day counts where a date "
        "comes as an instant, as close dates do in organisations upgraded from CRM 2015 and older. "
        "There is no safe default: where it is needed and empty, UTC is taken, and every run warns "
        "of it.",
    )
    store_lock_seconds: float = Field(
        default=1800,
        gt=0,
        le=_DAY,
        description="Longest wait for another run's load before this one fails and is retried.",
    )
    max_deleted_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of a table that one run may mark as deleted without being told to; 50 "
        "rows are always allowed.",
    )
    max_refused_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of what a run reads of a table that may newly be refused without the "
        "run being told to; 50 records are always allowed.",
    )
    late_after_minutes: int = Field(
        default=15,
        ge=1,
        le=525_600,
        description="Minutes without a successful sync after which the page and the health route "
        "say that the sync is late.",
    )
    open_health: bool = Field(
        default=False,
        description="Whether `/dynamics-sync/api/health` answers without a login, for a monitor "
        "outside. Read when the API server starts.",
    )
    keep_days: int = Field(
        default=90,
        ge=7,
        le=3650,
        description="Days that the store remembers runs, their errors and events, and the history "
        "of opportunities. What is older goes with each reconciliation.",
    )
    purge_deleted_after: int | None = Field(
        default=None,
        ge=1,
        le=3650,
        description="Days after which a row that was deleted in Dynamics is emptied in the store, "
        "but for key and bookkeeping columns. Empty: never.",
    )
    alerts: Annotated[str, AfterValidator(_ways_to_tell)] = Field(
        default="log",
        description="Where alerts go, joined by commas: `log`, `webhook:<HTTP connection>`, "
        "`email:<address>` (connection smtp_default), `slack:<Slack webhook connection>` "
        "(docs/alerts.md).",
    )
    alert_refused_rows: int = Field(
        default=50,
        ge=0,
        le=10_000_000,
        description="Refused records of a table above which an alert tells of them.",
    )
    alert_drift_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of a table that a reconciliation may mend without an alert; 50 rows "
        "are always allowed.",
    )
    demo: Path | None = Field(
        default=None,
        description="Folder of the demo: its sandbox and SQLite file are used when neither "
        "connection exists.",
    )


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Parse the settings from an environment; raise `ConfigError` that names every bad variable."""
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and value
    }
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        faults = "; ".join(
            f"{PREFIX}{'.'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}"
            for fault in error.errors(include_input=False)
        )
        raise ConfigError(
            f"Settings are not valid: {faults}.",
            next_step="correct or remove the variables named; docs/settings.md lists all settings.",
        ) from None
