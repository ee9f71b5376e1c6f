"""What the page answers at which address; docs/page.md describes it for those who ask by program.

The login is asked for by the application itself, not by its routes: one that is added can't be
left open by mistake. The databases are asked in plain functions, which FastAPI runs in threads:
the server's event loop serves everybody.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator  # noqa: TC003 - FastAPI reads annotations
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID  # noqa: TC003 - as above

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Response
from fastapi.responses import FileResponse
from starlette.routing import Route

from opportunity_sync import status, store
from opportunity_sync.errors import ConfigError, SyncError
from opportunity_sync.settings import Settings, settings_from
from sync_page_access import Reader, Trigger
from sync_page_answers import answer_errors, error_answer, json_answer
from sync_page_sources import airflow_url, is_paused, organization_url, page_store, trigger_retry

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from starlette.requests import Request

HEALTH = "/api/health"
FILES = Path(__file__).parent / "sync_page_files"
# Nothing but its own files runs in the page: a name of a record that holds a script is a name.
SAFE = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
}
HEALTHY = frozenset({"well", "empty"})
api = APIRouter(prefix="/api")


def asked_page(
    *, page: int = 1, per_page: int = 50, search: str = "", sort: str = ""
) -> status.Question:
    """The page of a list that the address asks for. Raises `QuestionError`."""
    return status.Question(page, per_page, search, sort or None)


Asked = Annotated[status.Question, Depends(asked_page)]
Paused = Annotated[bool, Depends(is_paused)]


def make_page(*, open_health: bool) -> FastAPI:
    """The application; `open_health`: the health route answers without a login."""
    page = FastAPI(dependencies=[Reader], docs_url=None, redoc_url=None, openapi_url=None)
    if open_health:
        # A route of Starlette's own: no dependency of the application is asked for it.
        page.router.routes.append(Route(HEALTH, open_health_answer, methods=["GET"]))
    else:
        page.get(HEALTH)(health)
    page.include_router(api)
    page.get("/")(index)
    page.get("/files/{name}")(static_file)
    answer_errors(page)
    return page


def settings_or_default() -> Settings:
    """The settings, the defaults where they are not valid: each run says so, and opens nothing."""
    try:
        return settings_from(os.environ)
    except ConfigError:
        return Settings()


def index() -> Response:
    """The page itself; what it shows it asks the JSON routes for."""
    return FileResponse(FILES / "index.html", headers=SAFE)


def static_file(name: Literal["page.js", "page.css"]) -> Response:
    """The page's script and style."""
    return FileResponse(FILES / name, headers=SAFE)


@contextmanager
def asked_store() -> Iterator[Connection | None]:
    """A transaction that reads the store; None where no run has made it yet."""
    with page_store(settings_or_default()) as engine:
        if engine is None:
            yield None
            return
        with store.read_store(engine) as connection:
            yield connection if store.is_made(connection) else None


def ask(question: Callable[[Connection], Any], *, empty: Any) -> Response:
    """The answer of the store in JSON, `empty` where no run has made it yet."""
    with asked_store() as connection:
        return json_answer(empty if connection is None else question(connection))


def present_overview(*, paused: bool) -> status.Overview:
    """How the sync stands now, also where the store is away."""
    try:
        with asked_store() as connection:
            if connection is None:
                return status.empty_overview()
            return status.overview(
                connection,
                now=datetime.now(UTC),
                late_after=timedelta(minutes=settings_or_default().late_after_minutes),
                is_paused=paused,
            )
    except SyncError as error:
        return status.broken_overview(error)


def health(paused: Paused) -> Response:
    """The state and nothing else: 200 while it is well or empty, 503 otherwise."""
    state = present_overview(paused=paused).state
    return json_answer({"state": state}, 200 if state in HEALTHY else 503)


def open_health_answer(_request: Request) -> Response:
    """As `health`, for a monitor outside."""
    return health(is_paused())


@api.get("/status")
def status_answer(paused: Paused) -> Response:
    """How the sync stands, and the figures of each table."""
    return json_answer(present_overview(paused=paused))


@api.get("/runs")
def runs(question: Asked) -> Response:
    """What the runs did, the newest first."""
    empty = status.empty_answer()
    return ask(lambda connection: status.list_runs(connection, question), empty=empty)


@api.get("/errors")
def errors(question: Asked) -> Response:
    """The records that can't be taken."""
    url = organization_url(settings_or_default())
    return ask(
        lambda connection: status.refused_records(
            connection, question, organization_url=url, airflow_url=airflow_url()
        ),
        empty=status.empty_answer(),
    )


@api.post("/errors/retry", dependencies=Trigger)
def retry() -> Response:
    """Start a run of the sync that tries all refused records again."""
    run_id = trigger_retry()
    if run_id is None:
        return error_answer(
            "page.no_dag",
            "Airflow does not have the sync's DAG yet.",
            next_step="wait until Airflow has read the DAGs, and ask again.",
            status=404,
        )
    return json_answer({"run_id": run_id})


@api.get("/unresolved")
def unresolved(question: Asked) -> Response:
    """The associations that are not resolved."""
    url = organization_url(settings_or_default())
    return ask(
        lambda connection: status.unresolved_associations(
            connection, question, organization_url=url
        ),
        empty=status.empty_answer(),
    )


@api.get("/opportunities/{opportunity_id}")
def opportunity(opportunity_id: UUID) -> Response:
    """One opportunity, explained."""
    url = organization_url(settings_or_default())
    with asked_store() as connection:
        found = connection and status.explain_opportunity(
            connection, str(opportunity_id), organization_url=url
        )
    if not found:
        raise HTTPException(404, "The store has no opportunity with this id.")
    return json_answer(found)


@api.get("/fields")
def fields() -> Response:
    """The selected columns of each table."""
    return ask(status.selected_columns, empty={})


@api.get("/check")
def check() -> Response:
    """The result of the last check."""
    return ask(status.last_check, empty={"checked_at": None, "items": []})
