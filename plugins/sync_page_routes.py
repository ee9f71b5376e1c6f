"""The application behind the page: its files, its health, and the JSON that it asks for.

The login is asked for by the application itself, not by its routes: one that is added can't be
left open by mistake. The databases are asked in plain functions, which FastAPI runs in threads:
the server's event loop serves everybody.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import FileResponse
from starlette.routing import Route

from sync_page_access import Reader
from sync_page_answers import answer_errors, json_answer
from sync_page_api import Paused, api, present_overview
from sync_page_csv import exports
from sync_page_sources import is_paused

if TYPE_CHECKING:
    from starlette.requests import Request

HEALTH = "/api/health"
FILES = Path(__file__).parent / "sync_page_files"
PLOTS = "plotly.min.js"
# Nothing but its own files runs in the page: a name of a record that holds a script is a name.
SAFE = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # the browser asks whether there is a newer one
}
HEALTHY = frozenset({"well", "empty"})


def make_page(*, open_health: bool) -> FastAPI:
    """The application; `open_health`: the health route answers without a login."""
    page = FastAPI(dependencies=[Reader], docs_url=None, redoc_url=None, openapi_url=None)
    if open_health:
        # A route of Starlette's own: no dependency of the application is asked for it.
        page.router.routes.append(Route(HEALTH, open_health_answer, methods=["GET"]))
    else:
        page.get(HEALTH)(health)
    page.include_router(api)
    page.include_router(exports)
    page.get("/")(index)
    page.get("/files/{name}")(static_file)
    answer_errors(page)
    return page


def index() -> Response:
    """The page itself; what it shows it asks for as JSON."""
    return FileResponse(FILES / "index.html", headers=SAFE)


def static_file(name: str) -> Response:
    """A script or style of the page, or the library that draws its plots."""
    path = plot_library() if name == PLOTS else FILES / name
    # Compared with what is there, so that no name leads out of the folder.
    if path is None or (name != PLOTS and path not in FILES.iterdir()):
        raise HTTPException(404, "The page has no such file.")
    return FileResponse(path, headers=SAFE)


def plot_library() -> Path | None:
    """The script in the installed package; found without an import, which takes long."""
    package = find_spec("plotly")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "package_data" / PLOTS


def health(paused: Paused) -> Response:
    """The state and nothing else: 200 while it is well or empty, 503 otherwise."""
    state = present_overview(paused=paused).state
    return json_answer({"state": state}, 200 if state in HEALTHY else 503)


def open_health_answer(_request: Request) -> Response:
    """As `health`, for a monitor outside."""
    return health(is_paused())
