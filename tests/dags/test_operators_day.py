"""An operator's first day, by the page and Airflow alone: what `make ui` starts, in a real browser.

A green check, the first sync, a field selected and filled, a refused record found and mended, an
opportunity explained, an alert received and cleared. What happens in Dynamics is done to the
sandbox; all else is a click, a file, or a run of a DAG.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_services import RunningAirflow, running_airflow, wait_until
from browser import Browser, missing_programs, running_browser
from dynamics_sandbox import Organisation, Sandbox
from webhook_receiver import Receiver, running_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

SYNC = "dynamics_opportunity_sync"
CHECK = "dynamics_validate"
QUICK_SYNC = "dynamics_quick_sync"
STAGES = '[opportunity.fields]\nsales_stage = "salesstage"\n'


@pytest.fixture
def organisation() -> Organisation:
    """Every case of the truth table."""
    return Organisation.generated(seed=29, opportunities=60)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Whom alerts are told."""
    with running_receiver() as running:
        yield running


@pytest.fixture
def airflow(
    monkeypatch: pytest.MonkeyPatch,
    organisation: Organisation,
    receiver: Receiver,
    fields_file: Path,
    sqlite_engine: Engine,
    postgres: str,
    tmp_path: Path,
) -> Iterator[RunningAirflow]:
    """Airflow as `make ui` starts it, told where alerts go and which fields are wanted."""
    monkeypatch.setenv("OPPORTUNITY_SYNC_FIELDS", str(fields_file))
    monkeypatch.setenv("OPPORTUNITY_SYNC_ALERTS", "webhook:hook")
    with (
        Sandbox(organisation) as sandbox,
        running_airflow(sandbox, sqlite_engine.url, tmp_path, database=postgres) as running,
    ):
        hook = {"connection_id": "hook", **receiver.connection()}
        running.ask("/api/v2/connections", "POST", **hook)
        yield running


@pytest.fixture
def browser(airflow: RunningAirflow) -> Iterator[Browser]:
    """A browser that is logged in to Airflow."""
    if missing := missing_programs():
        pytest.skip(f"this machine has no {' and no '.join(missing)}")
    with running_browser() as running:
        running.open(f"{airflow.page}files/icon.svg")
        running.give_cookie("_token", airflow.token)
        yield running


def state_of(airflow: RunningAirflow, column: str) -> str | None:
    """Whether the sync reads a column of opportunities, as the page tells it."""
    found = airflow.ask("/dynamics-sync/api/fields")["opportunity"]
    return next((each["state"] for each in found if each["column"] == column), None)


def told(receiver: Receiver, code: str) -> list[str]:
    """What the webhook was told of one thing that can be wrong."""
    return [each["state"] for each in receiver.taken if each["code"] == code]


@pytest.mark.timeout(2400)
def test_an_operator_gets_through_the_day(
    airflow: RunningAirflow,
    browser: Browser,
    organisation: Organisation,
    receiver: Receiver,
    fields_file: Path,
) -> None:
    """Each step ends in what the operator sees on the page."""
    _sees_a_green_check_and_the_first_sync(airflow, browser)
    _selects_a_field(airflow, browser, fields_file)
    _finds_a_refused_record_and_mends_it(airflow, browser, organisation)
    _explains_an_opportunity(airflow, browser, organisation)
    _is_told_and_told_again(airflow, browser, organisation, receiver)


def _sees_a_green_check_and_the_first_sync(airflow: RunningAirflow, browser: Browser) -> None:
    """The sync begins by itself, as `make ui` switches it on; the check is triggered."""
    airflow.ask(f"/api/v2/dags/{CHECK}", "PATCH", is_paused=False)
    assert airflow.run(CHECK)["state"] == "success"
    browser.open_view(airflow.page, "check")
    browser.wait_for(".items li.passed", "dynamics.read_privilege.contact")
    assert browser.count(".items li.failed") == 0
    assert airflow.first_run(SYNC)["state"] == "success"
    browser.open_view(airflow.page, "status")
    browser.wait_for("#sentence.well", "All is well")


def _selects_a_field(airflow: RunningAirflow, browser: Browser, fields_file: Path) -> None:
    """One line in a file: the next run makes the columns, and a quick sync fills old rows."""
    fields_file.write_text(STAGES)
    assert airflow.run(SYNC)["state"] == "success"
    assert airflow.first_run(QUICK_SYNC)["state"] == "success"
    assert airflow.run(SYNC)["state"] == "success"
    assert state_of(airflow, "sales_stage_code") == "read"
    browser.open_view(airflow.page, "fields")
    browser.wait_for("tr", "sales_stage_code")


def _finds_a_refused_record_and_mends_it(
    airflow: RunningAirflow, browser: Browser, organisation: Organisation
) -> None:
    """The list names the record and why; mended in Dynamics, it passes by one click."""
    [contact] = [str(row["contactid"]) for row in organisation.rows("contacts")[:1]]
    organisation.update("contacts", contact, {"jobtitle": "Countess"})
    organisation.garble("contacts", contact, {"createdon": "0000-01-01"})
    assert airflow.run(SYNC)["state"] == "success"
    browser.open_view(airflow.page, "errors")
    browser.wait_for("td", contact)
    organisation.mend("contacts", contact)
    browser.click("#view .tools > button")
    browser.wait_for("#notice", "What passes leaves the list.")
    wait_until(lambda: not airflow.ask("/dynamics-sync/api/errors")["rows"], what="an empty list")
    browser.open_view(airflow.page, "errors")
    browser.wait_for("#view", "No record is refused")


def _explains_an_opportunity(
    airflow: RunningAirflow, browser: Browser, organisation: Organisation
) -> None:
    """Found by its name; the answer is a rule, and the change that the last run brought."""
    key = str(organisation.rows("opportunities")[0]["opportunityid"])
    organisation.update("opportunities", key, {"name": "Zeppelin for Contoso"})
    assert airflow.run(SYNC)["state"] == "success"
    browser.open_view(airflow.page, "opportunity?search=zeppelin")
    browser.click("tbody a")
    browser.wait_for("h2", "Zeppelin for Contoso")
    assert browser.count(".rule") == 1
    explained = airflow.ask(f"/dynamics-sync/api/opportunities/{key}")
    assert sorted(explained["history"][0]["changes"]["columns"]) == ["modified_at", "name"]


def _is_told_and_told_again(
    airflow: RunningAirflow, browser: Browser, organisation: Organisation, receiver: Receiver
) -> None:
    """Somebody takes a privilege away, and gives it back."""
    organisation.set_read_depth("contact", "None")
    assert airflow.run(SYNC)["state"] == "failed"
    assert told(receiver, "PrivilegeError") == ["wrong"], receiver.taken
    browser.open_view(airflow.page, "status")
    browser.wait_for("#sentence.broken", "prvReadContact")
    organisation.set_read_depth("contact", "Global")
    assert airflow.run(SYNC)["state"] == "success"
    assert told(receiver, "PrivilegeError") == ["wrong", "well again"], receiver.taken
    browser.open_view(airflow.page, "status")
    browser.wait_for("#sentence.well", "All is well")
