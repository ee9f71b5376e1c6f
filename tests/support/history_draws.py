"""Histories drawn by Hypothesis: which steps there are, how often, and with what values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

from hypothesis import strategies as st

from dynamics_sandbox import FaultKind
from histories import AGES, COUNTS
from history_runs import STAGES
from history_selections import SELECTIONS
from world_events import SECONDS_AHEAD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histories import Step
    from opportunity_sync.pipeline.run import Mode

# What only a reconciliation can see, and what change tracking sees besides.
Sight = Literal["reconciliation", "tracking", "windows"]
HIDDEN = ("hide", "show")
# A row that nobody could name, and rows that were out of sight, show in no change and no window.
UNSEEN_BY_TRACKING = (*HIDDEN, "garble_id", "lose_privilege")
UNSEEN_BY_WINDOWS = (
    *UNSEEN_BY_TRACKING, "switch_tracking", "delete", "restore", "merge", "change_unseen",
    "change_backdated", "expire_delta_tokens",
)  # fmt: skip

_WAITS = (1, 1, 40, 700, 4000, 90_000)
_BOUNDS = (0, 1, 600, 4000, 86_400, 5 * 86_400, 30 * 86_400)
_SPANS = [(since, until) for since in _BOUNDS for until in _BOUNDS if since > until]
_WINDOWS = [("range", *span) for span in _SPANS] + [("fill", *span) for span in _SPANS[::4]]
_FAULTS = [kind.value for kind in FaultKind]
_NOT_EVENTS = ("wait", "run", "begin", "go", "kill", "again", "run_with_fault", "select")
# Events of a history's runs, not of its organisation.
RUN_EVENTS = ("select", "skew_worker", "set", "upgrade", "lose_part", "erase")
# So that each kind of event meets each kind of run some times in 300 histories.
_WEIGHTS = {
    "wait": 4, "run": 4, "begin": 3, "go": 4, "kill": 2, "again": 3, "run_with_fault": 2,
    "select": 3, "flip_filter": 2, "create": 2, "delete": 2,
    "erase": 3,
    "lose_part": 8, "garble": 3, "garble_id": 5, "lose_privilege": 5, "regain_privilege": 3,
    "switch_tracking": 3, "switch_organisation": 5, "leave_out_column": 3, "restore_column": 2,
    "drop_column": 2, "secure_column": 2, "retype_column": 2,
    "rename_option": 2,
    "skew_one_answer": 3, "skew_worker": 2, "skew_server": 2,
}  # fmt: skip


def _slot(letters: str) -> st.SearchStrategy[str]:
    """A row of one of these tables; one more than there are to begin with."""
    return st.sampled_from(
        [f"{letter}{index}" for letter in letters for index in range(COUNTS[letter] + 1)]
    )


def _slot_or_none(letters: str) -> st.SearchStrategy[str | None]:
    return st.none() | _slot(letters)


def _step(kind: str, *values: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(kind), *values).map(list)


# Not `integers`: those prefer numbers that stand in the code, so other code would draw others.
_number = st.sampled_from(range(100))
_age = st.sampled_from(AGES)
_any = _slot("acokr")

EVENT_DRAWS: Mapping[str, st.SearchStrategy[Step]] = {
    "create": _step("create", _any, _slot_or_none("ac"), _number, st.just(0)),
    "change": _step("change", _any, _number),
    "change_unseen": _step("change_unseen", _slot("aco"), _number),
    "change_backdated": _step("change_backdated", _slot("aco"), _number, _age),
    "change_many": _step("change_many", st.sampled_from("acok"), _number),
    "delete": _step("delete", _any),
    "restore": _step("restore", _any),
    "merge": st.sampled_from("ac").flatmap(lambda letter: _step("merge", *[_slot(letter)] * 2)),
    "move_contact": _step("move_contact", _slot("c"), _slot_or_none("ac")),
    "change_customer": _step("change_customer", _slot("o"), _slot_or_none("ac")),
    "change_connection": _step("change_connection", _slot("k"), _number),
    "end_connection": _step("end_connection", _slot("k"), st.sampled_from((0, 1))),
    "rename_role": _step("rename_role", _slot("r"), _number),
    "recategorise_role": _step("recategorise_role", _slot("r"), _number),
    "flip_filter": _step("flip_filter", _slot("aco"), st.sampled_from([False, True, None])),
    "hide": _step("hide", _any),
    "show": _step("show", _any),
    "expire_delta_tokens": _step("expire_delta_tokens"),
}

_columned = st.sampled_from("aco")
_seconds = st.sampled_from(SECONDS_AHEAD)
WORLD_DRAWS: Mapping[str, st.SearchStrategy[Step]] = {
    "drop_column": _step("drop_column", _columned, _number),
    "secure_column": _step("secure_column", _columned, _number),
    "retype_column": _step("retype_column", _columned, _number),
    "leave_out_column": _step("leave_out_column", _columned, _number),
    "restore_column": _step("restore_column", _columned, _number),
    "rename_option": _step("rename_option", _columned, _number),
    "garble": _step("garble", _any, _number),
    "garble_all": _step("garble_all", st.sampled_from("acok")),
    "garble_id": _step("garble_id", _any),
    "mend": _step("mend", _any),
    "lose_privilege": _step(
        "lose_privilege", st.sampled_from("acok"), st.sampled_from(["None", "Basic"])
    ),
    "regain_privilege": _step("regain_privilege", st.sampled_from("acok")),
    "switch_tracking": _step("switch_tracking", st.sampled_from("acok"), st.booleans()),
    "skew_server": _step("skew_server", st.sampled_from([0, *SECONDS_AHEAD])),
    "skew_one_answer": _step("skew_one_answer", _seconds),
    "switch_organisation": _step("switch_organisation"),
    "skew_worker": _step("skew_worker", st.sampled_from([0, 3600, -3600])),
    "set": st.sampled_from(
        [
            ("overlap_minutes", 0),
            ("overlap_minutes", 60),
            ("label_language", 1031),
            ("label_language", None),
            ("time_zone", "Europe/Berlin"),
            ("page_size", 3),
            ("purge_deleted_after", 1),
        ]
    ).map(lambda drawn: ["set", *drawn]),
    "upgrade": _step("upgrade"),
    "erase": _step("erase", _slot("c")),
    "lose_part": _step("lose_part", st.sampled_from("AB"), _number),
}


class Told(TypedDict):
    """A whole history, as it is printed and replayed."""

    options: dict[str, Any]
    steps: list[Step]
    final: Mode


def _run_requests(sight: Sight) -> st.SearchStrategy[tuple[str, int, int]]:
    """Mode and window of a run."""
    compared = ["reconcile"] if sight == "reconciliation" else []
    modes = ["continue", "continue", "full", "fill", *compared]
    plain = st.sampled_from([(mode, 0, 0) for mode in modes])
    return plain | plain | st.sampled_from(_WINDOWS)


def _run_draws(sight: Sight) -> dict[str, st.SearchStrategy[Step]]:
    asked, name = _run_requests(sight), st.sampled_from("AB")
    return {
        "wait": _step("wait", st.sampled_from(_WAITS)),
        "run": asked.map(lambda run: ["run", *run]),
        "begin": st.tuples(name, asked, st.sampled_from(STAGES[:-2])).map(
            lambda drawn: ["begin", drawn[0], *drawn[1], drawn[2]]
        ),
        "go": _step("go", name, st.sampled_from([*STAGES[1:], "finish", "finish"])),
        "kill": _step("kill", name, st.booleans()),
        "again": _step("again", st.sampled_from(range(6))),
        "run_with_fault": st.tuples(
            asked, st.sampled_from(_FAULTS), st.sampled_from("acok"), st.booleans(), st.booleans()
        ).map(lambda drawn: ["run_with_fault", *drawn[0], *drawn[1:]]),
        "select": _step("select", st.sampled_from(list(SELECTIONS))),
    }


def event_kinds(sight: Sight) -> list[str]:
    """The events that this sight is expected to cope with."""
    unseen = {
        "reconciliation": (),
        "tracking": UNSEEN_BY_TRACKING,
        "windows": UNSEEN_BY_WINDOWS,
    }[sight]
    return [kind for kind in (*EVENT_DRAWS, *WORLD_DRAWS) if kind not in unseen]


def _options(sight: Sight) -> st.SearchStrategy[dict[str, Any]]:
    tracked = {"reconciliation": ["", "acok", "ok", "ac"], "tracking": ["acokr"], "windows": [""]}
    return st.fixed_dictionaries(
        {
            "seed": st.sampled_from(range(10_001)),
            "filters": st.sampled_from(["aco", "", "aco", "o", "ac"]),
            "tracked": st.sampled_from(tracked[sight]),
            "page_size": st.sampled_from([500, 500, 4]),
            "rows": st.fixed_dictionaries(
                {
                    letter: st.sampled_from([count, count - 2, 0, count])
                    for letter, count in COUNTS.items()
                }
            ),
        }
    )


def tales(sight: Sight, *, steps: int = 20) -> st.SearchStrategy[Told]:
    """Histories of this many steps or a few more."""
    draws = {**_run_draws(sight), **EVENT_DRAWS, **WORLD_DRAWS}
    kinds = [
        kind for kind in (*_NOT_EVENTS, *event_kinds(sight)) for _ in range(_WEIGHTS.get(kind, 1))
    ]
    quiet = [kind for kind in kinds if kind not in WORLD_DRAWS]
    one_of = {
        name: st.sampled_from(some).flatmap(draws.__getitem__)
        for name, some in (("odd", kinds), ("quiet", quiet))
    }
    # In every second history only rows change, so that these stay as many as they were.
    told = st.sampled_from(["odd", "quiet"]).flatmap(
        lambda world: st.lists(one_of[world], min_size=steps, max_size=steps + 4)
    )
    return st.fixed_dictionaries(
        {
            "options": _options(sight),
            "steps": told,
            "final": st.just("reconcile" if sight == "reconciliation" else "continue"),
        }
    )  # type: ignore[return-value]
