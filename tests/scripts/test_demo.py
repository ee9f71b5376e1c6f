"""What the terminal shows of a run, and what it makes of a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo import Progress
from embedded import CONNECTIONS, contradiction

if TYPE_CHECKING:
    from pathlib import Path

START = "2026-11-26T06:00:00.0Z [info     ] [DAG TEST] starting task_id={} map_index=-1 [airflow]"
OWN = "2026-11-26T06:00:01.000000Z [{:9}] {} [{}] loc=sync_report.py:40"
FAILED = "2026-11-26T06:00:02.0Z [error    ] Task failed with exception     [task] loc=x.py:1"


def test_own_lines_are_shown_and_those_of_airflow_are_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A newcomer sees what happens, and the rest is in the log."""
    progress = Progress()
    for line in (
        START.format("begin"),
        OWN.format("info", "The store is empty.", "opportunity_sync.pipeline.beginning"),
        OWN.format("info", "Performing upgrade", "airflow.cli"),
    ):
        progress.take(line)
    assert capsys.readouterr().out == "  begin\n      The store is empty.\n"
    assert progress.failures == 0


def test_a_failed_try_counts_once_with_our_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Airflow tells of it in another line, and of the next try in a third."""
    progress = Progress()
    own = OWN.format("error", "What happened: The host does not answer.", "sync_report")
    for line in (START.format("begin"), own, FAILED, "SomeError: chained"):
        progress.take(line)
    assert (progress.failures, progress.failed_task) == (1, "begin")
    assert progress.reason == "The host does not answer."
    for line in (START.format("begin"), own):
        progress.take(line)
    assert (progress.failures, progress.is_told) == (2, False)
    progress.take(OWN.format("error", "Runbook: docs/runbook.md#configerror", "sync_report"))
    assert progress.is_told
    assert "What happened" in capsys.readouterr().out


def test_an_error_without_our_words_is_told_by_its_own() -> None:
    """Its last line, as Python prints it."""
    progress = Progress()
    for line in (START.format("load"), FAILED, "  File x", "sqlalchemy.exc.SomeError: no"):
        progress.take(line)
    assert (progress.failures, progress.reason) == (1, "SomeError: no")


@pytest.mark.parametrize(
    ("with_rows", "given", "said"),
    [
        (False, (), None),
        (False, CONNECTIONS, None),
        (True, (), None),
        (True, CONNECTIONS, "DEMO_FOLDER and AIRFLOW_CONN_DYNAMICS_DEFAULT are both set"),
        (False, CONNECTIONS[:1], "AIRFLOW_CONN_MARKETO_STORE is not"),
        (False, CONNECTIONS[1:], "AIRFLOW_CONN_DYNAMICS_DEFAULT is not"),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other_are_said_before_anything_starts(
    tmp_path: Path, with_rows: bool, given: tuple[str, ...], said: str | None
) -> None:
    """A folder that would be ignored, and half a set-up."""
    found = contradiction(tmp_path if with_rows else None, given)
    assert found is None if said is None else said in (found or "")


def test_a_folder_of_rows_that_is_none_is_said(tmp_path: Path) -> None:
    """With the path as it was understood."""
    assert contradiction(tmp_path / "gone", ()) == f"DEMO_FOLDER: {tmp_path / 'gone'} is no folder."


def test_the_task_is_named_that_failed_and_not_the_last_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`finish` is red because `begin` is; marks for Airflow's page are not shown."""
    progress = Progress()
    for line in (
        START.format("begin"),
        OWN.format("info", "::endgroup::", "sync_report"),
        OWN.format("error", "What happened: The host does not answer.", "sync_report"),
        START.format("finish"),
        OWN.format("error", "What happened: The run has failed.", "sync_report"),
    ):
        progress.take(line)
    assert (progress.failed_task, progress.reason) == ("begin", "The host does not answer.")
    assert progress.failures == 2
    assert "endgroup" not in capsys.readouterr().out


def test_a_failure_that_healed_is_not_that_of_the_last_task() -> None:
    """A second try of `begin` went well; then `finish` fails by itself."""
    progress = Progress()
    for line in (
        START.format("begin"),
        OWN.format("error", "What happened: The host does not answer.", "sync_report"),
        START.format("begin"),
        START.format("finish"),
        OWN.format("error", "What happened: The store is away.", "sync_report"),
    ):
        progress.take(line)
    assert (progress.failed_task, progress.reason) == ("finish", "The store is away.")
