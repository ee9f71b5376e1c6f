"""Every view in a real browser: what it shows of a store, and of none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, insert, select, update

from browser import LAPTOP, PHONE
from opportunity_sync.model import OPPORTUNITY
from opportunity_sync.store.journal.events import note_event
from opportunity_sync.store.journal.progress import note_progress
from opportunity_sync.store.schema.tables import (
    public_table,
    sync_alert,
    sync_event,
    sync_run,
    unresolved_association,
)
from page_stores import HOSTILE, make_empty_store, refuse
from store_rows import guid

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from api_server import ApiServer
    from browser import Browser

VIEWS = {
    "status": "Opportunities",
    "errors": "No record is refused",
    "errors?list=unresolved": "Unresolved associations",
    "opportunity": "Explain an opportunity",
    "fields": "estimatedvalue",
    "check": "Read reaches the user's own unit only.",
    "runs": "opportunity_sync",
}
# The library's style for maps, which it has and the page does not want.
MAPS = ("plotly.min.js", "inline style")
# What stands beside the axis of each plot.
TICKS = """return [...document.querySelectorAll('.plot')].map(
    (plot) => [...plot.querySelectorAll('.ytick')].map((tick) => tick.textContent))"""


def show(browser: Browser, server: ApiServer, view: str) -> str:
    """Open a view and wait until it stands; returns what a person reads in it."""
    browser.open_view(server.page, view)
    return browser.text("#view")


def complaints(browser: Browser) -> list[str]:
    """What the browser complained about, of which nothing is the page's fault but all of this."""
    return [said for said in browser.read_complaints() if not all(part in said for part in MAPS)]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_shows_what_runs_left(browser: Browser, server: ApiServer, view: str) -> None:
    """It is there, its link is marked, and neither a script nor the policy complains."""
    assert VIEWS[view] in show(browser, server, view)
    marked = browser.text("header nav a[aria-current=page]")
    assert marked.lower() == view.partition("?")[0]
    assert complaints(browser) == []


@pytest.mark.usefixtures("store")
def test_plots_are_drawn_under_the_policy(browser: Browser, server: ApiServer) -> None:
    """All plots have their lines and bars, from the library that this server has installed."""
    show(browser, server, "status?span=week")
    browser.wait_until("return document.querySelectorAll('.plot[data-drawn]').length === 3")
    assert browser.count(".plot .bars .point") > 0
    assert browser.count(".plot .scatterlayer .js-line") > 0
    for plot in browser.run(TICKS):
        assert len(set(plot)) == len(plot) > 1, "each number stands once beside its axis"


def test_a_first_sync_shows_how_far_it_is(
    browser: Browser, server: ApiServer, store: Engine
) -> None:
    """A bar for each table, beside what Dataverse says that there is, or without an end."""
    now = datetime.now(UTC)
    run = {"dag_id": "dynamics_opportunity_sync", "run_id": "first"}
    with store.begin() as connection:
        begun = {"mode": "continue", "outcome": "running", "started_at": now}
        connection.execute(insert(sync_run).values(run | begun))
        for entity, expected in (("opportunity", 200_000), ("contact", None)):
            note_progress(
                connection,
                **run,
                entity=entity,
                rows_read=50_000,
                rows_expected=expected,
                is_whole=False,
                as_of=now,
            )
    shown = show(browser, server, "status")
    assert "Opportunities: 50,000 of about 200,000 rows read" in shown
    assert "Contacts: 50,000 rows read" in shown
    assert browser.run("return document.querySelector('.reading progress[value]').position") == 0.25
    assert browser.count(".reading progress:not([value])") == 1
    assert complaints(browser) == []


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_no_view_is_wider_than_the_screen(
    browser: Browser, server: ApiServer, *, size: tuple[int, int], dark: bool
) -> None:
    """Nobody scrolls sideways, on a phone neither, and the ground is dark where that is wished."""
    browser.look(size, dark=dark)
    for view in VIEWS:
        show(browser, server, view)
        assert browser.run("return document.documentElement.scrollWidth") <= size[0], view
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in ground[4:-1].split(",")) < 384) == dark


def test_a_store_without_runs_is_said_to_be_empty(
    browser: Browser, server: ApiServer, shown_file: Path
) -> None:
    """The sentence says what to do, and no view is blank."""
    shown_file.unlink(missing_ok=True)
    assert "Nothing is here yet" in show(browser, server, "status")
    assert "switch on DAG" in browser.text("#sentence.plain")
    for view in ("errors", "opportunity", "fields", "check", "runs"):
        assert show(browser, server, view).strip()


def test_a_store_before_its_first_run_is_empty(
    browser: Browser, server: ApiServer, shown_file: Path
) -> None:
    """Tables alone are no sync; there is nothing to plot, and the page says so."""
    shown_file.unlink(missing_ok=True)
    make_empty_store(shown_file)
    assert "No run has ended in this time." in show(browser, server, "status")
    assert "No run has begun yet." in show(browser, server, "runs")


def test_a_broken_store_is_told_with_the_next_step(
    browser: Browser, server: ApiServer, shown_file: Path
) -> None:
    """The sentence says broken, and each view what to do instead of its rows."""
    shown_file.write_text("no database, but long enough to be looked at as one" * 100)
    assert "The store can't be asked" in show(browser, server, "status")
    assert "Broken" in browser.text("#sentence.broken")
    assert "Next step" in show(browser, server, "errors")


def test_names_of_a_crm_are_text(browser: Browser, server: ApiServer, store: Engine) -> None:
    """Markup, quotes and turned text are shown as they are, wherever a name is shown."""
    table = public_table(OPPORTUNITY)
    with store.begin() as connection:
        opportunity_id = connection.scalar(select(table.c.opportunity_id).limit(1))
        is_it = table.c.opportunity_id == opportunity_id
        connection.execute(update(table).where(is_it).values(name=HOSTILE))
        connection.execute(update(sync_run).values(outcome="failed", error=HOSTILE))
        alert = {"code": "sync.late", "entity": HOSTILE, "message": HOSTILE}
        started = connection.scalar(select(sync_run.c.started_at))
        connection.execute(insert(sync_alert).values(alert | {"since": started}))
    refuse(store, 1, field=HOSTILE, message=HOSTILE)
    views = ("status", "errors", f"opportunity?id={opportunity_id}", "runs")
    for view in (*views, "opportunity?search=%3Cscript"):
        assert "<script>alert(1)</script>" in show(browser, server, view), view
        assert browser.count("#view script, #view img") == 0
    assert complaints(browser) == []


def test_a_list_is_searched_sorted_and_paged_by_its_address(
    browser: Browser, server: ApiServer, store: Engine
) -> None:
    """What a person clicks stands in the address, so it can be sent; a search begins at page 1."""
    refuse(store, 120)
    show(browser, server, "errors")
    browser.click("th a[title='Sort by Tries']")
    browser.wait_for("th[aria-sort=ascending]", "Tries")
    browser.click("nav.pages a")
    browser.wait_for(".pages", "Page 2 of 3")
    assert browser.text("tbody tr td:nth-child(5)") == "51"
    assert "sort=tries&page=2" in browser.run("return location.hash")
    browser.write("#search", guid(7))
    browser.press("\ue007")
    browser.wait_for("h2", "Refused records: 1")
    assert "page" not in browser.run("return location.hash")


def test_an_opportunity_is_found_by_name_and_explained(
    browser: Browser, server: ApiServer, store: Engine
) -> None:
    """From the beginning of a name to the reason, in words, why something is missing."""
    table = public_table(OPPORTUNITY)
    with store.begin() as connection:
        wanted = connection.scalar(select(unresolved_association.c.opportunity_id).limit(1))
        is_it = table.c.opportunity_id == wanted
        connection.execute(update(table).where(is_it).values(name="Zeppelin for Contoso"))
    show(browser, server, "opportunity")
    browser.write("#opportunity", "zeppelin")
    browser.press("\ue007")
    browser.wait_for("table", "Zeppelin for Contoso")
    browser.click("tbody a")
    browser.wait_for("h2", "Zeppelin for Contoso")
    assert "Missing:" in browser.text(".reasons")
    assert browser.count(".rule") == 1


def test_the_keyboard_reaches_everything(
    browser: Browser, server: ApiServer, store: Engine
) -> None:
    """The first stop skips to the view, each stop can be seen, and a heading sorts by Enter."""
    refuse(store, 2)
    show(browser, server, "errors")
    browser.press("\ue004")
    assert browser.run("return document.activeElement.className") == "skip"
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    for _stop in range(20):
        browser.press("\ue004")
        assert browser.run(outline) == "solid"
        if browser.run("return document.activeElement.title") == "Sort by Table":
            break
    browser.press("\ue007")
    browser.wait_for("th[aria-sort=ascending]", "Table")


@pytest.mark.usefixtures("store")
def test_tables_say_what_they_are(browser: Browser, server: ApiServer) -> None:
    """Each has a caption, and each heading says which way it heads."""
    show(browser, server, "fields")
    tables = browser.count("table")
    assert tables == 3
    assert browser.count("table > caption") == tables
    assert browser.count("th:not([scope])") == 0


def test_events_between_two_pages_of_runs_are_on_one_of_them(
    browser: Browser, server: ApiServer, store: Engine
) -> None:
    """What happened after the first run of the second page is shown on the first page."""
    now = datetime.now(UTC).replace(microsecond=0)
    with store.begin() as connection:
        for table in (sync_run, sync_event):
            connection.execute(delete(table))
        for number in range(51):
            times = dict.fromkeys(("started_at", "ended_at"), now - timedelta(minutes=number))
            run = {"dag_id": "a", "run_id": f"{number}", "mode": "continue", "outcome": "succeeded"}
            connection.execute(insert(sync_run).values(run | times))
        between = now - timedelta(minutes=49, seconds=30)
        note_event(connection, "guard", "Between two pages.", at=between)
    show(browser, server, "runs")
    browser.wait_for(".timeline", "Between two pages.")
    show(browser, server, "runs?page=2")
    assert browser.count(".timeline > li") == 1
