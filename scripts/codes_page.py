"""The page of codes: those of alerts and the check, then the classes of errors."""

from __future__ import annotations

from opportunity_sync import errors
from opportunity_sync.codes import CODES
from opportunity_sync.errors import SyncError
from page_tables import NOTICE, code, table

INTRODUCTION = """
Alerts, the page, the runbook, metrics and `sync_run.error_code` agree by these names. None of them
is ever renamed. A class of errors is the code of a run that it ended.
"""

OTHERS = """
Beside them a run may end by `RunStopped` (no task says why:
[A run that nobody explains](runbook.md#a-run-that-nobody-explains)), by `AirflowTaskTimeout` (a
task took longer than it may), or by the class of an error that nobody foresaw
([Classes of errors](runbook.md#classes-of-errors))."""


def codes_page() -> str:
    """Every code with what it means, the next step and its entry in the runbook."""
    told = [
        (code(each.name), each.meaning, f"{each.next_step} ({entry_link(each.entry)})")
        for each in CODES
    ]
    kinds = [kind for kind in vars(errors).values() if is_error_class(kind)]
    classes = [
        (code(kind.__name__), first_line(kind.__doc__), entry_link(kind.__name__)) for kind in kinds
    ]
    return "\n".join(
        [
            "# Codes",
            NOTICE,
            INTRODUCTION,
            *table(("code", "what it means", "next step"), told),
            "\n## Classes of errors\n",
            *table(("code", "what it means", "in the runbook"), classes),
            OTHERS,
            "",
        ]
    )


def is_error_class(value: object) -> bool:
    """Whether it is a class of the sync's errors."""
    return isinstance(value, type) and issubclass(value, SyncError)


def first_line(docstring: str | None) -> str:
    """What a class says of itself in a sentence."""
    return (docstring or "").strip().partition("\n")[0]


def entry_link(heading: str) -> str:
    """A link to an entry of the runbook."""
    return f"[{heading}](runbook.md#{heading.lower().replace(' ', '-')})"
