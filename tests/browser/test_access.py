"""Who gets in, and what a link can do in Airflow's frame, on the real server with real logins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from api_server import PATH
from page_stores import refuse

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from api_server import ApiServer
    from browser import Browser

ROUTES = ("", "files/page.js", "files/plotly.min.js", "api/status", "api/errors.csv", "api/health")


def asked(server: ApiServer, route: str, user: str | None, method: str = "GET") -> int:
    """How the page answers somebody, as a status code."""
    headers = {"Authorization": f"Bearer {server.token_of(user)}"} if user else {}
    return requests.request(method, server.page + route, headers=headers, timeout=60).status_code


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("route", ROUTES)
def test_nothing_is_told_without_a_right(server: ApiServer, route: str) -> None:
    """Without a login 401, without a role 403; whoever may read the DAG reads the page."""
    assert [asked(server, route, user) for user in (None, "stranger", "viewer")] == [401, 403, 200]


@pytest.mark.usefixtures("store")
def test_a_viewer_looks_and_does_not_touch(server: ApiServer) -> None:
    """To try again takes the right to trigger the DAG, which this Airflow has not read yet."""
    found = [asked(server, "api/errors/retry", user, "POST") for user in (None, "viewer", "op")]
    assert found == [401, 403, 404]


@pytest.mark.usefixtures("store")
def test_no_login_is_told_in_the_page(browser: Browser, server: ApiServer) -> None:
    """Whose login ends while the page is open reads what to do."""
    browser.open(f"{server.page}#check")
    browser.wait_for(".items")
    browser.forget_cookies()
    browser.run("location.hash = '#runs'")
    browser.wait_for(".refused", "log in to Airflow")


def test_a_viewer_is_told_why_nothing_was_tried(
    browser: Browser, server: ApiServer, store: Engine
) -> None:
    """The button's answer is the server's: who gives out the right."""
    refuse(store, 1)
    browser.give_cookie("_token", server.token_of("viewer"))
    browser.open(f"{server.page}#errors")
    browser.click("#view .tools > button")
    browser.wait_for("#notice", "whoever gives out rights")


def test_links_open_from_the_frame(browser: Browser, server: ApiServer, store: Engine) -> None:
    """In Airflow's navigation a click opens a window, though the frame itself may open none."""
    refuse(store, 1)
    browser.open(f"{server.origin}{PATH}/plugin/dynamics-sync")
    browser.enter_frame("iframe")
    browser.wait_for("#view[data-view=status][aria-busy=false]")
    browser.click("header nav a[href='#errors']")
    browser.wait_for("#view[data-view=errors]", "The value is not a date.")
    browser.click("td a[href*='/tasks/extract_contacts']")
    (_frame, opened) = browser.addresses()
    assert "/tasks/extract_contacts" in opened
    browser.enter_frame("iframe")
    browser.click("#own-window")
    (_frame, opened) = browser.addresses()
    assert opened == f"{server.page}#errors"
