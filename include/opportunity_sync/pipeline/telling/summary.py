"""A run in a few sentences: what it brought, how fresh the store is, and what is left to mend.

They are the last task's log and its result, so that nobody has to ask the store how a run went.
"""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from opportunity_sync import store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Engine

    from opportunity_sync.store import Figures

log = logging.getLogger(__name__)

_KINDS = {
    "continue": "Continuing sync",
    "range": "Sync of a range",
    "full": "Full sync",
    "reconcile": "Reconciliation",
    "fill": "Quick sync",
}
_BECAME = ("inserted", "updated", "unchanged", "filtered", "refused", "superseded")
_BESIDES = ("deleted", "rewritten")
_WRITTEN = ("inserted", "updated", *_BESIDES)
_WORDS = {"filtered": "left out by the filter", "superseded": "older than the store's"}
_MANY_WAITING = 5_000  # begin counts no further
_TWO_MINUTES = 120  # seconds

# Endings of reasons: when such an association is made, and whether somebody can see to that.
RESOLVES: Final[Mapping[str, tuple[str, bool]]] = {
    "_not_found": ("when the record appears, or the sync may read it", True),
    "_excluded": ("when the record's filter says Yes", False),
    "_refused": ("when the record is mended", True),
    "_circle": ("when the records are merged into one that stays", True),
    "_erased": ("never", False),
}


def figures_of(engine: Engine, run: Mapping[str, Any]) -> Figures | None:
    """The run in numbers; raises `StoreUnavailableError` where the store can't be read."""
    with store.read_store(engine) as connection:
        return store.read_figures(connection, run["dag_id"], run["run_id"])


def report_run(
    figures: Figures | None,
    run: Mapping[str, Any],
    *,
    waits: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Log how a run went; returns the same as a flat dict, for Airflow to show and keep.

    `waits`: by task what it waited for Dynamics, as `say_waits` takes it.
    """
    if figures is None:
        return {"summary": "The store has no record of this run."}
    sentence = say_what_came(figures, is_first=bool(run.get("is_first")))
    log.info("%s", sentence)
    for line in (say_waits(waits), say_freshness(figures), say_waiting(figures)):
        if line:
            log.info("%s", line)
    if refused := say_refused(figures):
        log.warning("%s", refused)
    for line, can_be_mended in say_unresolved(figures):
        log.log(logging.WARNING if can_be_mended else logging.INFO, "%s", line)
    return {
        "summary": sentence,
        "mode": figures.mode,
        **{name: figures.total(name) for name in ("read", *_BECAME, *_BESIDES)},
        **{f"roles_{name}": figures.roles(name) for name in _WRITTEN},
        "requests": figures.requests,
        "seconds": round(figures.seconds),
        "waited_seconds": sum(each["waited_seconds"] for each in waits.values()),
        "refused_now": sum(figures.refused.values()),
        "unresolved_now": sum(figures.unresolved.values()),
    }


def say_what_came(figures: Figures, *, is_first: bool) -> str:
    """Kind of run, what became of the records read, roles, requests and time, in one sentence."""
    kind = "First sync" if is_first else _KINDS.get(figures.mode, "Run")
    parts = [f"{figures.total('read'):,} records read"]
    if became := _in_words(figures.total, _BECAME):
        parts[0] += f": {became}"
    if besides := _in_words(figures.total, _BESIDES):
        parts.append(f"besides {besides}")
    if roles := _in_words(figures.roles, _WRITTEN):
        parts.append(f"contact roles: {roles}")
    if not any(figures.total(name) or figures.roles(name) for name in _WRITTEN):
        parts.append("no row changed")
    cost = f"{figures.requests:,} requests, {figures.seconds:,.0f} s"
    return f"{kind}: {'; '.join(parts)} ({cost})."


def say_waits(waits: Mapping[str, Mapping[str, int]]) -> str:
    """For how long which tasks waited before they asked Dynamics again; nothing where none did.

    By task: `retries`, `throttled` (how many of them by "too many requests"), `waited_seconds`.
    """
    said = [
        f"{_duration(each['waited_seconds'])} in {task} ({_causes(each)})"
        for task, each in waits.items()
        if each["retries"]
    ]
    return f"Waited for Dynamics: {', '.join(said)}." if said else ""


def say_freshness(figures: Figures) -> str:
    """How long a change takes into the store; nothing where no change came."""
    median, most = figures.freshness(0.5), figures.freshness(0.95)
    if median is None or most is None:
        return ""
    return (
        f"Freshness: half of the changes were here within {median:,.0f} s, "
        f"95 % within {most:,.0f} s."
    )


def say_waiting(figures: Figures) -> str:
    """What waited in Dynamics when the run began."""
    known = {name: count for name, count in figures.waiting.items() if count}
    shown = [
        f"{name} {count:,}{' or more' if count >= _MANY_WAITING else ''}"
        for name, count in sorted(known.items())
    ]
    return f"Backlog when it began, in Dynamics: {', '.join(shown)}." if shown else ""


def say_refused(figures: Figures) -> str:
    """Records that can't be taken now, of all runs, and what to do about them."""
    if not figures.refused:
        return ""
    return (
        f"Refused now: {_counts_in_words(figures.refused)}. The rest goes on. Next step: mend them "
        "in Dynamics; refused_row says what is wrong with each."
    )


def say_unresolved(figures: Figures) -> list[tuple[str, bool]]:
    """Associations that could not be made: a line for each way out, and whether it needs one."""
    said = []
    for ending, (when, can_be_mended) in RESOLVES.items():
        found = {name: n for name, n in figures.unresolved.items() if name.endswith(ending)}
        if found:
            counts = _counts_in_words(found)
            said.append((f"Unresolved associations: {counts}. Resolved {when}.", can_be_mended))
    return said


def when_resolved(reason: str) -> str:
    """When an association that is unresolved for that reason is made."""
    return next((when for ending, (when, _) in RESOLVES.items() if reason.endswith(ending)), "")


def _counts_in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _in_words(count: Callable[[str], int], names: Sequence[str]) -> str:
    return ", ".join(f"{count(name):,} {_WORDS.get(name, name)}" for name in names if count(name))


def _duration(seconds: int) -> str:
    return f"{seconds} s" if seconds < _TWO_MINUTES else f"{seconds / 60:,.0f} min"


def _causes(waits: Mapping[str, int]) -> str:
    throttled, others = waits["throttled"], waits["retries"] - waits["throttled"]
    answers = f"{throttled} answer{'' if throttled == 1 else 's'} of 'too many requests'"
    tries = f"{others} {'try' if others == 1 else 'tries'} failed otherwise"
    return ", ".join(text for text, count in ((answers, throttled), (tries, others)) if count)
