"""Histories drawn by Hypothesis: which steps there are, how often, and with what values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from hypothesis import strategies as st

from dynamics_sandbox import FaultKind
from histories import AGES, COUNTS
from history_runs import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from histories import Step

# What only a reconciliation can see, and what change tracking sees besides.
Sight = Literal["reconciliation", "tracking", "windows"]
HIDDEN = ("hide", "show")
UNSEEN_BY_WINDOWS = (
    *HIDDEN, "delete", "restore", "merge", "change_unseen", "change_backdated",
    "expire_delta_tokens",
)  # fmt: skip

_WAITS = (1, 1, 40, 700, 4000, 90_000)
_BOUNDS = (0, 1, 600, 4000, 86_400, 5 * 86_400, 30 * 86_400)
_PASSING_FAULTS = [kind.value for kind in FaultKind]


def _slot(letters: str) -> st.SearchStrategy[str]:
    """A row of one of these tables; one more than there are to begin with."""
    return st.sampled_from(
        [f"{letter}{index}" for letter in letters for index in range(COUNTS[letter] + 1)]
    )


def _or_none(letters: str) -> st.SearchStrategy[str | None]:
    return st.none() | _slot(letters)


def _step(kind: str, *values: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(kind), *values).map(list)


_number = st.integers(0, 99)
_age = st.sampled_from(AGES)
_any = _slot("acokr")

EVENT_DRAWS: Mapping[str, st.SearchStrategy[Step]] = {
    "create": _step("create", _any, _or_none("ac"), _number, st.just(0)),
    "change": _step("change", _any, _number),
    "change_unseen": _step("change_unseen", _slot("aco"), _number),
    "change_backdated": _step("change_backdated", _slot("aco"), _number, _age),
    "change_many": _step("change_many", st.sampled_from("acok"), _number),
    "delete": _step("delete", _any),
    "restore": _step("restore", _any),
    "merge": st.sampled_from("ac").flatmap(lambda letter: _step("merge", *[_slot(letter)] * 2)),
    "move_contact": _step("move_contact", _slot("c"), _or_none("ac")),
    "change_customer": _step("change_customer", _slot("o"), _or_none("ac")),
    "change_connection": _step("change_connection", _slot("k"), _number),
    "end_connection": _step("end_connection", _slot("k"), st.integers(0, 1)),
    "rename_role": _step("rename_role", _slot("r"), _number),
    "recategorise_role": _step("recategorise_role", _slot("r"), _number),
    "flip_filter": _step("flip_filter", _slot("aco"), st.sampled_from([False, True, None])),
    "hide": _step("hide", _any),
    "show": _step("show", _any),
    "expire_delta_tokens": _step("expire_delta_tokens"),
}


def _window(mode: str) -> tuple[st.SearchStrategy[int], st.SearchStrategy[int]]:
    return (st.sampled_from(_BOUNDS[2:]), st.sampled_from(_BOUNDS[:2])) if mode == "range" else (
        st.just(0), st.just(0)
    )
