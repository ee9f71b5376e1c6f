"""Whatever goes wrong on the wire ends in all rows, exactly once, or in an error that says why.

Every fault the sandbox knows is scripted twice: once, which must heal by itself, and for ever,
which must fail with a next step and leave the store as it was. Never fewer rows and a green run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox import FaultKind, Organisation, Sandbox
from opportunity_sync.errors import ConfigError, SyncError, TransientError
from oracle import actual_store, differences, expected_store
from store_dumps import dump
from sync_runs import SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from sqlalchemy import Engine

FOR_EVER = 1000

# What a fault on a page of contacts needs to strike, and whether it can heal when it stays.
FAULTS: dict[FaultKind, dict[str, Any]] = {
    FaultKind.THROTTLE: {"retry_after": "0.2"},
    FaultKind.STATUS: {"status": 503},
    FaultKind.DROP_CONNECTION: {},
    FaultKind.TRUNCATE: {},
    FaultKind.TRUNCATE_JSON: {},
    FaultKind.SIGN_IN_PAGE: {},
    FaultKind.STALL: {"seconds": 6.0},
    FaultKind.REVOKE_TOKENS: {},
    FaultKind.REPEAT_NEXT_LINK: {},
    FaultKind.LOSE_ANNOTATIONS: {},
}
HARMLESS = (FaultKind.EMPTY_PAGE, FaultKind.DUPLICATE_ROW)


@pytest.fixture
def impatient(sandbox: Sandbox, sqlite_engine: Engine, tmp_path: Path) -> SyncRuns:
    """Runs that give up soon: four seconds of silence, three attempts, small pages."""
    settings = settings_for_tests(
        tmp_path,
        page_size=60,
        request_timeout_seconds=4,
        request_attempts=3,
        page_timeout_seconds=15,
    )
    return SyncRuns(sandbox, sqlite_engine, settings)


@pytest.mark.parametrize("kind", [*FAULTS, *HARMLESS], ids=str)
@pytest.mark.parametrize("page", [1, 2], ids="page {}".format)
def test_a_fault_that_passes_costs_no_row(
    impatient: SyncRuns, organisation: Organisation, kind: FaultKind, page: int
) -> None:
    """The run ends green and the store holds every row, exactly once."""
    fault = impatient.sandbox.faults.add(kind, "contacts", page=page, **FAULTS.get(kind, {}))
    impatient.run()

    assert fault.struck == 1
    assert differences(expected_store(organisation), actual_store(impatient.engine)) == []


@pytest.mark.parametrize("kind", FAULTS, ids=str)
def test_a_fault_that_stays_fails_the_task_and_says_what_to_do(
    impatient: SyncRuns, kind: FaultKind
) -> None:
    """The error has a next step and the store is as it was; the task's retry brings everything."""
    impatient.sandbox.faults.add(kind, "contacts", page=2, times=FOR_EVER, **FAULTS[kind])
    run = impatient.begin()
    before = dump(impatient.engine)

    with pytest.raises(SyncError) as failure:
        impatient.extract(run, "extract_contacts")

    assert failure.value.next_step
    assert isinstance(failure.value, TransientError | ConfigError)
    assert dump(impatient.engine) == before


def test_a_link_to_a_foreign_host_is_never_followed(impatient: SyncRuns) -> None:
    """The token would go with it: a person must look."""
    impatient.sandbox.faults.add(FaultKind.FOREIGN_NEXT_LINK, "contacts", times=FOR_EVER)
    run = impatient.begin()

    with pytest.raises(ConfigError, match="not followed"):
        impatient.extract(run, "extract_contacts")


def test_the_retry_of_a_failed_extract_goes_on_after_its_last_part(
    impatient: SyncRuns, organisation: Organisation
) -> None:
    """Pages that are staged are not read again."""
    fault = impatient.sandbox.faults.add(FaultKind.STATUS, "contacts", page=3, times=FOR_EVER)
    run = impatient.begin()
    with pytest.raises(TransientError):
        impatient.extract(run, "extract_contacts")
    fault.times = 0
    seen = len(contact_requests(impatient))
    summary = impatient.extract(run)
    pages = summary["contact"]["pages"]

    assert len(contact_requests(impatient)) - seen == pages - 2
    assert summary["contact"]["rows"] == len(organisation.rows("contacts"))
    impatient.transform(run)
    impatient.load(run)
    assert differences(expected_store(organisation), actual_store(impatient.engine)) == []


def test_a_retry_after_the_end_reads_nothing_again(impatient: SyncRuns) -> None:
    """A task that died after its last part finds everything staged."""
    run = impatient.begin()
    first = impatient.extract(run, "extract_contacts")
    seen = len(contact_requests(impatient))

    assert impatient.extract(run, "extract_contacts")["contact"]["rows"] == first["contact"]["rows"]
    assert len(contact_requests(impatient)) == seen


def test_an_incomplete_extract_is_never_loaded(impatient: SyncRuns) -> None:
    """Transform refuses parts that do not reach the end of the table."""
    fault = impatient.sandbox.faults.add(FaultKind.STATUS, "contacts", page=3, times=FOR_EVER)
    run = impatient.begin()
    with pytest.raises(TransientError):
        impatient.extract(run)
    fault.times = 0
    impatient.extract(run, "extract_opportunities", "extract_connections", "extract_accounts")

    with pytest.raises(ConfigError, match="contacts are not complete"):
        impatient.transform(run)


def test_staging_of_a_succeeded_run_is_gone_and_says_so(impatient: SyncRuns) -> None:
    """A task cleared afterwards gets a clear error, not an empty table."""
    run = impatient.begin()
    impatient.extract(run)
    impatient.transform(run)
    impatient.load(run)
    impatient.finish(run)

    with pytest.raises(ConfigError, match="clear the whole DAG run"):
        impatient.transform(run)


def test_staging_of_a_failed_run_stays_and_its_record_says_failed(impatient: SyncRuns) -> None:
    """What was read can be looked at, and the run does not look as if it were running."""
    run = impatient.begin()
    impatient.extract(run)
    impatient.finish(run, succeeded=False)

    assert impatient.transform(run)["opportunities"] > 0
    with impatient.engine.connect() as connection:
        outcomes = connection.exec_driver_sql("SELECT outcome FROM sync_run").scalars().all()
    assert outcomes == ["failed"]


def test_a_run_that_begins_again_supersedes_its_old_staging(impatient: SyncRuns) -> None:
    """Tasks of the earlier attempt do not mix their rows with the new one's."""
    first = impatient.begin()
    impatient.extract(first, "extract_contacts")
    impatient.count -= 1
    second = impatient.begin()

    assert second["staging"] != first["staging"]
    with pytest.raises(ConfigError, match="older attempt"):
        impatient.extract(first, "extract_accounts")


def test_a_first_sync_that_died_for_good_is_done_by_the_next_run(
    impatient: SyncRuns, organisation: Organisation
) -> None:
    """Its staged rows, which nobody keeps up to date, are not taken for news."""
    fault = impatient.sandbox.faults.add(FaultKind.STATUS, "contacts", page=4, times=FOR_EVER)
    died = impatient.begin()
    with pytest.raises(TransientError):
        impatient.extract(died, "extract_accounts", "extract_contacts")
    impatient.finish(died, succeeded=False)
    fault.times = 0
    organisation.update(
        "contacts", organisation.rows("contacts")[0]["contactid"], {"lastname": "Lovelace"}
    )
    for path in Path(died["staging"]).rglob("*.parquet"):
        path.write_bytes(b"damaged")
    impatient.run()

    assert differences(expected_store(organisation), actual_store(impatient.engine)) == []


def contact_requests(runs: SyncRuns) -> list[Any]:
    """The requests for pages of contacts so far."""
    return runs.sandbox.requests.all("/contacts")
