"""What the page answers in JSON; docs/page.md describes it for those who ask by program."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - FastAPI reads annotations
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID  # noqa: TC003 - as above

from fastapi import APIRouter, Depends, HTTPException, Response

from opportunity_sync import status
from opportunity_sync.errors import SyncError
from opportunity_sync.status.overview import SYNC_DAG
from sync_page_access import Trigger
from sync_page_answers import error_answer, json_answer
from sync_page_sources import (
    airflow_url,
    asked_store,
    is_paused,
    known_organization_url,
    settings_or_default,
    trigger_retry,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

api = APIRouter(prefix="/api")


def asked_page(
    *, page: int = 1, per_page: int = 50, search: str = "", sort: str = ""
) -> status.Question:
    """The page of a list that the address asks for. Raises `QuestionError`."""
    return status.Question(page, per_page, search, sort or None)


def asked_moment(moment: datetime | None) -> datetime | None:
    """An instant of the address in UTC; one that names no zone is in it. Raises `QuestionError`."""
    if moment is None or moment.tzinfo is None:
        return moment and moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise status.QuestionError(
            "In UTC the instant is beyond the years 1 to 9999.",
            next_step="ask for one that lies between them.",
        ) from None


Asked = Annotated[status.Question, Depends(asked_page)]
Paused = Annotated[bool, Depends(is_paused)]


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


@api.get("/status")
def status_answer(paused: Paused) -> Response:
    """How the sync stands, and the figures of each table."""
    return json_answer(present_overview(paused=paused))


@api.get("/series")
def series(span: str = "day") -> Response:
    """What runs did and what waited, over time."""
    if span not in status.SPANS:
        raise status.QuestionError(
            f"There is no span {span!r}.",
            next_step=f"ask for one of {', '.join(status.SPANS)}.",
        )
    now = datetime.now(UTC)
    empty = {"span": span, "throughput": [], "backlog": []}
    return ask(lambda connection: status.series(connection, span, now=now), empty=empty)


@api.get("/runs")
def runs(question: Asked) -> Response:
    """What the runs did, the newest first."""
    empty = status.empty_answer()
    return ask(lambda connection: status.list_runs(connection, question), empty=empty)


@api.get("/events")
def events(since: datetime | None = None, until: datetime | None = None) -> Response:
    """What happened beside the runs, the newest first."""
    start, end = asked_moment(since), asked_moment(until)
    return ask(
        lambda connection: status.list_events(connection, since=start, until=end),
        empty=status.Happenings(rows=[], more=False),
    )


@api.get("/errors")
def errors(question: Asked) -> Response:
    """The records that can't be taken."""
    return ask(
        lambda connection: status.refused_records(
            connection,
            question,
            organization_url=known_organization_url(connection),
            airflow_url=airflow_url(),
        ),
        empty=status.empty_answer(),
    )


@api.post("/errors/retry", dependencies=Trigger)
def retry(paused: Paused) -> Response:
    """Start a run of the sync that tries all refused records again."""
    if paused:
        return error_answer(
            "page.paused",
            "The DAG of the sync is switched off, so a run would wait and try nothing.",
            next_step=f"switch on DAG {SYNC_DAG}, and ask again.",
            status=409,
        )
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
def unresolved_answer(question: Asked) -> Response:
    """The associations that are not resolved."""
    return ask(
        lambda connection: status.unresolved_associations(
            connection, question, organization_url=known_organization_url(connection)
        ),
        empty=status.empty_answer(),
    )


@api.get("/opportunities")
def opportunities(question: Asked) -> Response:
    """The opportunities whose name begins with what is searched."""
    return ask(
        lambda connection: status.find_opportunities(connection, question),
        empty=status.empty_answer(),
    )


@api.get("/opportunities/{opportunity_id}")
def opportunity(opportunity_id: UUID) -> Response:
    """One opportunity, explained."""
    with asked_store() as connection:
        found = connection and status.explain_opportunity(
            connection, str(opportunity_id), organization_url=known_organization_url(connection)
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
