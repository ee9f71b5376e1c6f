"""`make screenshots`: the two pictures of the page in the README, of what the sandbox's rows make.

A sandbox, a store that runs have filled, Airflow's API server and a browser, as tests have them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from sqlalchemy import select

from api_server import running_api_server
from browser import missing_programs, running_browser
from embedded import PROJECT
from opportunity_sync.store import store_engine
from opportunity_sync.store.schema.tables import unresolved_association
from page_stores import make_store, refuse

PICTURES = PROJECT / "docs" / "images"
SIZE = (1200, 860)
OPPORTUNITIES = 1500
RUNS = 14


def main() -> int:
    """Make the pictures anew; 1 where there is no browser."""
    argparse.ArgumentParser(prog="make screenshots", description=__doc__).parse_args()
    if missing := missing_programs():
        print(f"Pictures need {' and '.join(missing)}.", file=sys.stderr)
        return 1
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
        file = Path(folder) / "store.sqlite"
        print("Filling a store", flush=True)
        make_store(file, Path(folder), opportunities=OPPORTUNITIES, runs=RUNS)
        explained = prepare(file)
        store = {"conn_type": "sqlite", "host": str(file)}
        print("Starting Airflow's API server", flush=True)
        connections = {"marketo_store_reader": store}
        with running_api_server(Path(folder) / "airflow", connections) as server:
            take_pictures(server.page, server.token_of("op"), explained)
    return 0


def prepare(file: Path) -> str:
    """Refuse some records; the id of an opportunity of which there is something to explain."""
    engine = store_engine(f"sqlite:///{file}")
    refuse(engine, 3)
    wanted = unresolved_association.c.opportunity_id
    with engine.connect() as connection:
        found = str(connection.scalar(select(wanted).order_by(wanted).limit(1)))
    engine.dispose()
    return found


def take_pictures(page: str, token: str, explained: str) -> None:
    """The status in light, an explained opportunity in dark."""
    with running_browser() as browser:
        browser.open(f"{page}files/icon.svg")
        browser.give_cookie("_token", token)
        browser.look(SIZE)
        browser.open(f"{page}#status")
        browser.wait_until("return document.querySelectorAll('.plot[data-drawn]').length === 3")
        browser.save_picture(PICTURES / "status.png")
        browser.look(SIZE, dark=True)
        browser.open(f"{page}#opportunity?id={explained}")
        browser.wait_for("#view[aria-busy=false] .rule")
        browser.save_picture(PICTURES / "opportunity.png")
    print(f"Written: {PICTURES / 'status.png'}, {PICTURES / 'opportunity.png'}")


if __name__ == "__main__":
    sys.exit(main())
