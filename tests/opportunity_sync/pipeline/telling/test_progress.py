"""How far a long read is: told now and then, never at the read's expense."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from opportunity_sync.errors import StoreUnavailableError
from opportunity_sync.pipeline import extraction
from opportunity_sync.pipeline.bookkeeping.progress import record_progress
from opportunity_sync.pipeline.telling.progress import ProgressNotes
from opportunity_sync.store import lock_store
from opportunity_sync.store.schema.tables import sync_run_progress

if TYPE_CHECKING:
    import pytest

    from sync_runs import SyncRuns


def told_rows(runs: SyncRuns) -> list[tuple[str, int, int | None, bool]]:
    """What the store has of the progress of all runs."""
    told = sync_run_progress.c
    query = select(told.entity, told.rows_read, told.rows_expected, told.is_whole)
    with runs.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(told.entity))]


def extract_slowly(runs: SyncRuns, *, every: float = 0) -> None:
    """Read opportunities in pages of 20, of which each is worth telling."""
    runs.settings = runs.settings.model_copy(update={"page_size": 20})
    run = runs.begin()
    notes = ProgressNotes(partial(record_progress, runs.engine, run), every=every)
    with runs.client() as client:
        extraction.extract(client, run, task="extract_opportunities", on_progress=notes)


def test_a_long_read_is_told_to_its_end(sqlite_runs: SyncRuns) -> None:
    """Beside the total that the organisation names; a run that begins anew has read nothing."""
    extract_slowly(sqlite_runs)
    assert told_rows(sqlite_runs) == [("opportunity", 150, 150, True)]
    sqlite_runs.count -= 1
    sqlite_runs.begin()
    assert told_rows(sqlite_runs) == []


def test_a_short_read_leaves_nothing(sqlite_runs: SyncRuns) -> None:
    """It is over before the first word is due, so its end is no news either."""
    extract_slowly(sqlite_runs, every=60)
    assert told_rows(sqlite_runs) == []


def test_a_read_does_not_wait_for_a_load(
    sqlite_runs: SyncRuns, caplog: pytest.LogCaptureFixture
) -> None:
    """The store is another run's: nobody is told any more, and every row is staged."""
    tried: list[dict[str, Any]] = []

    def write(run: dict[str, Any], **told: Any) -> None:
        tried.append(told)
        with lock_store(sqlite_runs.engine, wait_seconds=5):
            record_progress(sqlite_runs.engine, run, **told)

    sqlite_runs.settings = sqlite_runs.settings.model_copy(update={"page_size": 20})
    run = sqlite_runs.begin()
    notes = ProgressNotes(partial(write, run), every=0)
    with sqlite_runs.client() as client:
        staged = extraction.extract(client, run, task="extract_opportunities", on_progress=notes)

    assert staged["opportunity"]["rows"] == 150
    assert len(tried) == 1
    assert "can't be told in the store" in caplog.text


def test_progress_is_told_again_after_a_pause() -> None:
    """A load of seconds must not end what a read of hours has to tell."""
    tried: list[int] = []

    def write(*, rows_read: int, **_told: Any) -> None:
        tried.append(rows_read)
        if rows_read == 1:
            raise StoreUnavailableError("Another run has it.", next_step="wait.")

    notes = ProgressNotes(write, every=0, pause=0)
    notes("contact", 1, None)
    notes("contact", 2, None)

    assert tried == [1, 2]


def test_an_error_that_nobody_foresaw_is_told_by_its_name_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its text could quote a secret; ours may be read by anybody."""

    def fail(error: Exception, **_told: Any) -> None:
        raise error

    caplog.set_level("INFO")
    for error in (OSError("password=hunter2"), StoreUnavailableError("Full.", next_step="look.")):
        ProgressNotes(partial(fail, error), every=0)("contact", 1, None)

    assert "OSError" in caplog.text
    assert "hunter2" not in caplog.text
    assert "Full." in caplog.text
