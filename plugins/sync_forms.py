"""The trigger forms: what a run may be asked to bring, and the switches for repairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

if TYPE_CHECKING:
    from collections.abc import Sequence

REPAIRS = "Repairs"

MODES = {
    "continue": "continue: what changed since the last successful run.",
    "interval": "interval: what was modified in the run's own data interval.",
    "range": "range: what was modified in the window below.",
    "full": "full: every row.",
    "reconcile": "reconcile: key and version of every row, and then the rows that differ.",
}
MOMENT: dict[str, Any] = {"type": ["null", "string"], "format": "date-time"}
EXAMPLES = ("contact.job_title", "account.industry", "opportunity.estimated_value")


def sync_form(modes: Sequence[str]) -> dict[str, Param]:
    """The trigger form; the first mode is what a scheduled run takes."""
    mode = Param(
        modes[0],
        enum=list(modes),
        title="What to bring",
        description=" ".join(MODES[mode] for mode in modes),
    )
    window = window_fields() if "range" in modes else {}
    return {"mode": mode} | window | repair_fields() | (full_fields() if "full" in modes else {})


def window_fields() -> dict[str, Param]:
    """The two ends of a range."""
    return {
        "window_start": Param(None, **MOMENT, title="Window start", description="For range only."),
        "window_end": Param(
            None, **MOMENT, title="Window end (not included)", description="For range only."
        ),
    }


def repair_fields() -> dict[str, Param]:
    """The switches that let through what a guard has refused."""
    return {
        "accept_deletions": switch(
            "Accept deletions",
            "Mark missing rows as deleted even if there are more of them than the guard allows. "
            "Not for mode range.",
        ),
        "retry_refused": switch(
            "Try refused records again",
            "Ask for all records that could not be taken, also those that wait for their next try.",
        ),
        **refusals_field(),
    }


def refusals_field() -> dict[str, Param]:
    """The switch that lets through many records that can't be taken."""
    return {
        "accept_refusals": switch(
            "Accept refusals",
            "Go on although more records than usual can't be taken; they are listed and tried "
            "again by later runs.",
        )
    }


def full_fields() -> dict[str, Param]:
    """What only a full run can do: it reads every row by the new rules."""
    return {
        "accept_filter_gone": switch(
            "Accept that the filter is gone",
            "Go on although a table has lost its sync filter column and some records were "
            "excluded by it: they are synced from now on. For "
            "full only.",
        ),
        "new_epoch": switch(
            "New epoch",
            "After the organisation was restored from a backup: let its lower versions replace "
            "those of the store. For full only.",
        ),
        "new_organization": Param(
            None,
            type=["null", "string"],
            title="New organisation",
            description="Hand the store over to the organisation with this id, which has taken the "
            "other one's place. With new epoch only.",
            section=REPAIRS,
        ),
    }


def switch(title: str, description: str) -> Param:
    """A rare yes or no, in a section of its own that is closed at first."""
    return Param(
        default=False, type="boolean", title=title, description=description, section=REPAIRS
    )


def quick_sync_form() -> dict[str, Param]:
    """Which fields to fill, and of which records."""
    return {
        "fields": Param(
            [],
            type=["null", "array"],
            items={"type": "string"},
            title="Fields",
            description="One a line, as table.field: "
            + ", ".join(EXAMPLES)
            + ". None: all selected fields that the stored rows do not have yet.",
        ),
        "range_of": Param(
            "modified",
            enum=["modified", "created"],
            title="Range of",
            description="What the two times below are compared with.",
        ),
        **{
            name: Param(None, **MOMENT, title=title, description="Without both: all records.")
            for name, title in (
                ("window_start", "From"),
                ("window_end", "To (not included)"),
            )
        },
        **refusals_field(),
    }
