"""The contract's invariant: after any history of events and runs the store tells the truth.

Hundreds of random organisations live through random events and runs of every kind, whole,
overlapping, struck by faults and killed between tasks; then the store is compared with the
oracle. What fails is printed as a script that replays it. `make soak N=2000` plays more of them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from history_proof import ConvergenceError, Report, shrink_history, theatre
from history_runs import differences_at_the_end
from history_soak import missing_meetings, prove_many, statistics
from oracle import DEFAULT
from oracle_fields import parse_selected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL

    from history_draws import Told
    from history_proof import Theatre

# So many that each event must have met each kind of run; HISTORIES=20 is a quick sample.
ENOUGH = 300
HISTORIES = int(os.environ.get("HISTORIES", str(ENOUGH)))
# They take 10 to 15 minutes; a machine that is shared can be five times as slow.
MINUTES = 40
FIRST_SEED = 20_260_302


@pytest.fixture(scope="module")
def place() -> Iterator[Theatre]:
    """Where single histories are played."""
    with theatre() as made:
        yield made


@pytest.mark.timeout(4800)
def test_the_store_tells_the_truth_after_any_history(
    postgres_server: URL, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a reconciliation at the end, and without it where windows or tracking see enough."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\r{line}", end="", flush=True)  # noqa: T201 - minutes without a sign are long

    report = prove_many(
        HISTORIES, first_seed=FIRST_SEED, postgres=postgres_server, say=say, minutes=MINUTES
    )

    if report.histories < HISTORIES:
        pytest.xfail(
            f"None of {report.histories} histories failed, but this machine is too slow to play "
            f"{HISTORIES} of them in {MINUTES} minutes. For all: make soak N={HISTORIES}"
        )
    if HISTORIES >= ENOUGH:
        assert missing_meetings(report) == [], statistics(report)


def a_tale(*steps: list[object]) -> Told:
    """A history of a small organisation without change tracking."""
    rows = {"a": 3, "c": 3, "o": 3, "k": 2, "r": 2}
    options = {"seed": 1, "filters": "aco", "tracked": "", "page_size": 500, "rows": rows}
    return {"options": options, "steps": list(steps), "final": "continue"}


def test_a_history_that_no_window_can_follow_is_caught(place: Theatre) -> None:
    """The proof itself must be able to fail: a deletion shows in no window."""
    told = a_tale(["run", "continue", 0, 0], ["delete", "o0"])

    with pytest.raises(ConvergenceError, match="not expected"):
        place.play(told, Report())


def test_the_oracle_reads_an_empty_fields_file_as_the_default_selection(place: Theatre) -> None:
    """What it works out from a file is what it has written down of the contract."""
    organisation = place.stage.sandbox.organisation

    assert DEFAULT.columns == parse_selected("", organisation).columns


def test_a_selected_column_that_is_not_filled_is_caught(place: Theatre) -> None:
    """Without the quick sync at the end, rows that do not change lack it."""
    place.empty_store()
    history = place.stage.history(a_tale()["options"])
    whole_run: list[object] = ["run", "continue", 0, 0]
    quiet_hour: list[list[object]] = [whole_run, ["wait", 4000]]
    history.play([*quiet_hour, *quiet_hour, ["select", "rich"], whole_run])

    found = differences_at_the_end(history, place.engine)

    assert {"region_code", "region_label"} <= {line.partition(":")[0].split()[-1] for line in found}


def test_a_failing_history_is_cut_down_to_the_steps_it_needs() -> None:
    """Whatever happened besides is left out of the script: here all but what fails above."""
    told = a_tale(
        ["change", "c1", 3],
        ["run", "continue", 0, 0],
        ["wait", 700],
        ["move_contact", "c0", "a1"],
        ["delete", "o0"],
        ["rename_role", "r0", 2],
    )

    def fails(fewer: Told) -> bool:
        kinds = [step[0] for step in fewer["steps"]]
        return "run" in kinds and "delete" in kinds[kinds.index("run") :]

    least = shrink_history(told, fails)

    assert least["steps"] == [["run", "continue", 0, 0], ["delete", "o0"]]
    assert set(least["options"]["rows"].values()) == {0}


def test_a_history_counts_which_event_met_which_run(place: Theatre) -> None:
    """An event meets the run that sees it first, and every run during which it happens."""
    report = Report()
    place.play(
        a_tale(
            ["begin", "A", "full", 0, 0, "extract_contacts"],
            ["rename_role", "r0", 2],
            ["begin", "B", "continue", 0, 0, "transform"],
            ["kill", "B", True],
            ["go", "A", "finish"],
        ),
        report,
    )

    assert {kind for event, kind in report.meetings if event == "rename_role"} == {
        "full",
        "killed",
        "overlapping",
        "scheduled",
    }
