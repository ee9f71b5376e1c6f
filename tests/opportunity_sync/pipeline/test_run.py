"""What can be asked of a run, which window follows, and how tasks hand the run on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from opportunity_sync.dynamics import Plan
from opportunity_sync.errors import ConfigError, StagingError
from opportunity_sync.model import ACCOUNT, CONNECTION_ROLE, CONTACT, DEFAULT_MODEL
from opportunity_sync.pipeline.run import (
    Baseline,
    Link,
    Run,
    RunRequest,
    Window,
    move_back,
    open_run,
    window_for,
)

if TYPE_CHECKING:
    from pathlib import Path

    from opportunity_sync.pipeline.run import Mode

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
EVENING = datetime(2024, 5, 1, 18, tzinfo=UTC)
OVERLAP = timedelta(minutes=10)


def a_request(mode: Mode = "continue", **told: Any) -> RunRequest:
    """What Airflow asks for."""
    return RunRequest("a_dag", "a_run", mode, **told)


def a_run(folder: Path, **told: Any) -> Run:
    """A begun run of the default model, which reads everything."""
    tables = {entity.name: Baseline(window=Window()) for entity in DEFAULT_MODEL}
    given: dict[str, Any] = {
        "dag_id": "a_dag",
        "run_id": "a_run",
        "attempt": "1",
        "mode": "continue",
        "staging": str(folder),
        "started_at": NOON,
        "model": DEFAULT_MODEL,
        "plan": Plan.complete(DEFAULT_MODEL, "an-organisation"),
        "tables": tables,
    }
    return Run(**given | told)


@pytest.mark.parametrize(
    ("mode", "told", "problem"),
    [
        ("range", {}, "needs both"),
        ("range", {"window_start": NOON}, "needs both"),
        ("range", {"window_end": NOON}, "needs both"),
        ("range", {"window_start": NOON, "window_end": NOON}, "is empty"),
        ("range", {"window_start": EVENING, "window_end": NOON}, "is empty"),
        ("fill", {"window_start": NOON}, "needs both"),
        ("fill", {"window_end": NOON}, "needs both"),
        ("fill", {"window_start": EVENING, "window_end": NOON}, "is empty"),
        ("continue", {"new_epoch": True}, "must begin with every row"),
        ("reconcile", {"accept_filter_gone": True}, "must all be read"),
        ("full", {"new_organization": "another"}, "an epoch begins"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    mode: Mode, told: dict[str, Any], problem: str
) -> None:
    """Before anything is read, with what to trigger instead."""
    with pytest.raises(ConfigError, match=problem) as raised:
        a_request(mode, **told)
    assert "trigger" in raised.value.next_step


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("range", {"window_start": NOON, "window_end": EVENING}),
        ("fill", {}),
        ("fill", {"window_start": NOON, "window_end": EVENING}),
        ("continue", {"window_start": NOON}),
        ("full", {"new_epoch": True, "new_organization": "another", "accept_filter_gone": True}),
    ],
)
def test_a_request_that_makes_sense_is_taken(mode: Mode, told: dict[str, Any]) -> None:
    """Airflow gives every run a window, and only a range asks for one."""
    assert a_request(mode, **told).mode == mode


def test_a_scheduled_run_goes_on_from_the_watermark_less_the_overlap() -> None:
    """Without an end: what is modified while it reads comes as well."""
    window = window_for(a_request(), CONTACT, watermark=NOON, overlap=OVERLAP)
    assert window == Window(NOON - OVERLAP)


def test_a_table_without_a_watermark_is_read_from_the_beginning() -> None:
    """It was never in the store as a whole."""
    window = window_for(a_request(), CONTACT, watermark=None, overlap=OVERLAP)
    assert (window, window.is_everything) == (Window(), True)


@pytest.mark.parametrize("mode", ["full", "reconcile"])
def test_a_run_over_everything_has_no_bounds(mode: Mode) -> None:
    """Whatever the watermark says."""
    assert window_for(a_request(mode), CONTACT, watermark=NOON, overlap=OVERLAP) == Window()


@pytest.mark.parametrize("mode", ["continue", "range", "fill"])
def test_a_handful_of_rows_is_always_read_whole(mode: Mode) -> None:
    """Connection roles, also by a run over a range."""
    request = a_request(mode, window_start=NOON, window_end=EVENING)
    assert window_for(request, CONNECTION_ROLE, watermark=NOON, overlap=OVERLAP) == Window()


def test_a_range_is_read_as_it_was_asked_for() -> None:
    """Without an overlap, so that contiguous ranges do not meet."""
    request = a_request("range", window_start=NOON, window_end=EVENING)
    assert window_for(request, ACCOUNT, watermark=NOON, overlap=OVERLAP) == Window(NOON, EVENING)


@pytest.mark.parametrize(("by", "source"), [("modified", "modifiedon"), ("created", "createdon")])
def test_a_quick_sync_may_go_by_creation(by: Any, source: str) -> None:
    """Its range is of the column that was chosen."""
    request = a_request("fill", window_start=NOON, window_end=EVENING, ranges_by=by)
    window = window_for(request, ACCOUNT, watermark=NOON, overlap=OVERLAP)
    assert window == Window(NOON, EVENING, source)


@pytest.mark.parametrize(
    ("window", "sentence"),
    [
        (Window(), "everything"),
        (Window(NOON), "modified since 2024-05-01 12:00:00 UTC"),
        (
            Window(NOON, EVENING, "createdon"),
            "created since 2024-05-01 12:00:00 UTC, before 2024-05-01 18:00:00 UTC",
        ),
        (Window(None, EVENING), "from the beginning, before 2024-05-01 18:00:00 UTC"),
    ],
)
def test_a_window_is_said_in_words(window: Window, sentence: str) -> None:
    """As the log has it."""
    assert str(window) == sentence


def test_an_overlap_goes_no_further_than_the_calendar() -> None:
    """A watermark near its beginning is moved to the beginning."""
    earliest = datetime.min.replace(tzinfo=UTC)
    assert move_back(NOON, OVERLAP) == NOON - OVERLAP
    assert move_back(earliest + timedelta(minutes=10), OVERLAP) == earliest
    assert move_back(earliest + timedelta(minutes=9), OVERLAP) == earliest


def test_a_run_is_opened_as_it_was_saved(tmp_path: Path) -> None:
    """Model, plan, windows and links go through JSON; tasks pass on a small dict."""
    tables = {entity.name: Baseline(window=Window(NOON)) for entity in DEFAULT_MODEL}
    tables["contact"] = Baseline(
        window=Window(),
        link=Link("https://example.com/link", {"email": ""}),
        waiting=("phone", "email"),
        unasked=("phone",),
    )
    run = a_run(tmp_path, tables=tables, fills={"contact": ("phone",)}, filter_gone=("account",))

    pointer = run.save()

    assert open_run(pointer) == run
    assert pointer == {
        "dag_id": "a_dag",
        "run_id": "a_run",
        "attempt": "1",
        "mode": "continue",
        "staging": str(tmp_path),
        "started_at": "2024-05-01T12:00:00+00:00",
        "reads_whole": False,
        "is_first": False,
        "to_fill": ["contact.phone"],
    }


@pytest.mark.parametrize("content", [{"format": 2}, {}, {"dag_id": 5}])
def test_a_run_of_another_version_is_begun_again(tmp_path: Path, content: dict[str, Any]) -> None:
    """An upgrade may come between two tasks."""
    run = a_run(tmp_path, format=2)
    pointer = run.save()
    if "format" not in content:
        run.folder.write_json("plan.json", content)

    with pytest.raises(StagingError, match="another version of the pipeline"):
        open_run(pointer)


@pytest.mark.parametrize(
    ("mode", "is_read_whole", "lists"),
    [("reconcile", False, True), ("reconcile", True, False), ("full", False, False)],
)
def test_a_reconciliation_lists_what_it_need_not_read(
    tmp_path: Path, mode: Mode, is_read_whole: bool, lists: bool
) -> None:
    """Listed keys are staged beside the place of rows, so that nobody takes them for rows."""
    tables = {"contact": Baseline(window=Window(), is_read_whole=is_read_whole)}
    run = a_run(tmp_path, mode=mode, tables=tables)

    assert run.lists(CONTACT) == lists
    assert run.rows_group(CONTACT) == ("listing/contact" if lists else "contact")


def test_a_quick_sync_reads_only_the_tables_that_it_fills(tmp_path: Path) -> None:
    """Every other run reads them all."""
    fills = {"contact": ("email",)}
    quick, usual = a_run(tmp_path, mode="fill", fills=fills), a_run(tmp_path)

    assert [quick.reads(entity) for entity in (CONTACT, ACCOUNT)] == [True, False]
    assert [usual.reads(entity) for entity in (CONTACT, ACCOUNT)] == [True, True]


@pytest.mark.parametrize(
    ("mode", "table", "expected"),
    [
        ("continue", Baseline(window=Window(NOON)), False),
        ("range", Baseline(window=Window(NOON, EVENING)), False),
        ("continue", Baseline(window=Window(NOON), is_tracked=True, link=Link("l", {})), False),
        ("continue", Baseline(window=Window(NOON), is_tracked=True), True),
        ("continue", Baseline(window=Window()), True),
        ("reconcile", Baseline(window=Window(NOON)), True),
    ],
    ids=["window", "range", "link", "first tracked pass", "no watermark", "reconciliation"],
)
def test_a_run_says_whether_it_reads_a_table_whole(
    tmp_path: Path, mode: Mode, table: Baseline, expected: object
) -> None:
    """Roles, a handful, are always read whole and do not count; all others do."""
    tables = {entity.name: table for entity in DEFAULT_MODEL}
    tables[CONNECTION_ROLE.name] = Baseline(window=Window())
    run = a_run(tmp_path, mode=mode, tables=tables)

    assert run.save()["reads_whole"] is expected
