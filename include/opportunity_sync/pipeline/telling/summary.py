"""A run in a few sentences: what it brought, how fresh the store is, and what is left to mend.

They are the last task's log and its result, so that nobody has to ask the store how a run went.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from opportunity_sync import store

if TYPE_CHECKING:
    from collections.abc import Mapping

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
_COUNTED = ("read", "inserted", "updated", "deleted", "rewritten", "refused")
_MANY_WAITING = 5_000  # begin counts no further


def figures_of(engine: Engine, run: Mapping[str, Any]) -> Figures | None:
    """The run in numbers; raises `StoreUnavailableError` where the store can't be read."""
    with store.read_store(engine) as connection:
        return store.read_figures(connection, run["dag_id"], run["run_id"])


def report_run(figures: Figures | None, run: Mapping[str, Any]) -> dict[str, Any]:
    """Log how a run went; returns the same as a flat dict, for Airflow to show and keep."""
    if figures is None:
        return {"summary": "The store has no record of this run."}
    is_first = bool(run.get("reads_whole")) and figures.mode == "continue"
    sentence = say_what_came(figures, is_first=is_first)
    log.info("%s", sentence)
    for line in (say_freshness(figures), say_waiting(figures)):
        if line:
            log.info("%s", line)
    for line in (say_refused(figures), say_unresolved(figures)):
        if line:
            log.warning("%s", line)
    return {
        "summary": sentence,
        "mode": figures.mode,
        **{name: figures.total(name) for name in _COUNTED},
        "requests": figures.requests,
        "seconds": round(figures.seconds),
        "refused_now": sum(figures.refused.values()),
        "unresolved_now": sum(figures.unresolved.values()),
    }


def say_what_came(figures: Figures, *, is_first: bool) -> str:
    """Kind of run, rows read and changed, requests and time, in one sentence."""
    kind = "Continuing sync, a table read whole" if is_first else _KINDS.get(figures.mode, "Run")
    did = [
        f"{figures.total(name):,} {name}"
        for name in ("inserted", "updated", "deleted", "rewritten")
        if figures.total(name)
    ]
    cost = f"{figures.requests:,} requests, {figures.seconds:,.0f} s"
    return (
        f"{kind}: {figures.total('read'):,} records read, {', '.join(did) or 'no row changed'} "
        f"({cost})."
    )


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


def say_unresolved(figures: Figures) -> str:
    """Associations that could not be made, by reason."""
    if not figures.unresolved:
        return ""
    return (
        f"Unresolved associations: {_counts_in_words(figures.unresolved)}. Each resolves by itself "
        "when its record appears; unresolved_association names them."
    )


def _counts_in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
