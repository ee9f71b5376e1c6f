"""What the end of a red task's log says: what happened, the next step, details, the runbook.

Airflow prints an exception as one long line and some thirty lines of frames, and its page opens
at the end of the log. So the end is written for the person who reads it there: four short lines,
each for itself. Of an error of ours the frames say nothing and are left away (at level DEBUG they
are logged); of an error that nobody foresaw they are all there is, but its text may quote rows.
"""

from __future__ import annotations

import logging
import re
from typing import Final

from airflow.sdk.exceptions import AirflowTaskTimeout

from opportunity_sync.errors import SyncError, TransientError

log = logging.getLogger(__name__)

RUNBOOK: Final = "docs/runbook.md"
NO_PROMISE: Final = "mend the cause and clear the task with everything downstream"
_PROMISE: Final = re.compile(r"\b(re)?tried\b|\bnext try\b")
_OPENING: Final = re.compile(r"^(if it stays,|otherwise)\s+")
# Addresses as well: the path of a webhook's is its secret.
_QUOTED: Final = re.compile(
    r"'[^']*'|\"[^\"]*\"|\([^()]*\)|\[[^\[\]]*\]|\d{3,}|https?://\S+|(?<=url: )\S+"
)


class UnforeseenError(Exception):
    """An error that nobody foresaw, without the values that its own text may quote."""


def report(error: BaseException, *, outlook: str) -> None:
    """Log the four lines; `outlook` says which try it was and what becomes of the task."""
    log.info("::endgroup::")  # Airflow has opened one, which its page would show closed
    for line in lines(error, outlook=outlook):
        log.error("%s", line)


def lines(error: BaseException, *, outlook: str) -> list[str]:
    """The four lines, each of one line of text."""
    match error:
        case SyncError():
            happened, step = error.problem, error.next_step
            entry = str(getattr(error, "runbook_entry", type(error).__name__))
            details = f"{error.request}. {outlook}" if error.request else outlook
        case AirflowTaskTimeout():
            happened = "The task took longer than its execution_timeout, and was ended."
            step = "see in the lines above what it waited for; a clear of the task tries it again."
            details, entry = outlook, "Classes of errors"
        case _:
            happened = f"An error that was not foreseen: {describe_unforeseen(error)}"
            step = (
                "report it as a defect, with the frames above; a clear of the task tries it again."
            )
            details, entry = outlook, "Classes of errors"
    anchor = entry.lower().replace(" ", "-")
    told = {
        "What happened": happened,
        "Next step": step,
        "Details": details,
        "Runbook": f"{RUNBOOK}#{anchor}",
    }
    return [f"{name}: {' '.join(text.split())}" for name, text in told.items()]


def describe_unforeseen(error: BaseException) -> UnforeseenError:
    """The class and text of an error and its causes, without what they quote."""
    if isinstance(error, UnforeseenError):
        return error
    said = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        first = next(iter(str(cause).splitlines()), "")
        said.append(f"{type(cause).__name__}: {_QUOTED.sub('…', first)[:200]}".rstrip(": "))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return UnforeseenError(", caused by ".join(said))


def without_promise(error: TransientError, *, outlook: str) -> TransientError:
    """The same error, whose next step does not say that it is tried again: there is no try left.

    `outlook`: what becomes of the run's work otherwise.
    """
    clauses = [
        _drop_promises(clause.strip()) for clause in re.split(r"[;.](?:\s|$)", error.next_step)
    ]
    step = "; ".join([*filter(None, clauses), NO_PROMISE, f"{outlook}."])
    error.args = (str(error).replace(error.next_step, step),)
    error.next_step = step
    return error


def _drop_promises(clause: str) -> str:
    """What of a clause of a next step a person can still do."""
    if clause.startswith("nothing"):
        return ""
    parts = re.split(r",? and |, ", clause)
    kept = [part for part in parts if not _PROMISE.search(part)]
    return _OPENING.sub("", ", ".join(kept) if len(kept) < len(parts) else clause)
