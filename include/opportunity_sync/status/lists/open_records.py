"""What the sync could not take: records that were refused, associations that are not resolved."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from opportunity_sync.model import OPPORTUNITY, VERSION
from opportunity_sync.status.lists.listing import Answer, Listing, Question, answer_page
from opportunity_sync.status.records.record_links import log_url, record_url
from opportunity_sync.store.schema.tables import refused_row, unresolved_association

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, RowMapping

REFUSED = Listing(
    refused_row,
    sorts=("entity", "record_id", "code", "first_seen_at", "last_tried_at", "tries"),
    small_sorts=(
        "field",
        "message",
        VERSION.name,
        "next_try_at",
        "dag_id",
        "run_id",
        "task_id",
        "map_index",
    ),
    default_sort="-last_tried_at",
    searched=("record_id",),
)
UNRESOLVED = Listing(
    unresolved_association,
    sorts=("opportunity_id", "kind", "reference_id", "reason", "first_seen_at"),
    default_sort="-first_seen_at",
    searched=("opportunity_id", "reference_id"),
)
_SHOWN = (
    "entity",
    "record_id",
    "field",
    "code",
    "message",
    VERSION.name,
    "first_seen_at",
    "last_tried_at",
    "next_try_at",
    "tries",
    "dag_id",
    "run_id",
    "task_id",
    "map_index",
)


def refused_records(
    connection: Connection,
    question: Question,
    *,
    organization_url: str | None = None,
    airflow_url: str = "",
) -> Answer:
    """A page of the records that can't be taken, each with the links to itself and to the log.

    Searched is the record's id.
    """
    render = partial(_present_refused, organization_url=organization_url, airflow_url=airflow_url)
    return answer_page(connection, REFUSED, question, render=render)


def every_refused_record(
    connection: Connection,
    question: Question,
    *,
    organization_url: str | None = None,
    airflow_url: str = "",
) -> Iterator[dict[str, Any]]:
    """As `refused_records`, of all pages one row after another."""
    for row in REFUSED.every_row(connection, question):
        yield _present_refused(row, organization_url=organization_url, airflow_url=airflow_url)


def unresolved_associations(
    connection: Connection, question: Question, *, organization_url: str | None = None
) -> Answer:
    """A page of the associations that are not resolved, each with the link to its opportunity.

    Searched are the ids of the opportunity and of what it refers to.
    """
    render = partial(_present_unresolved, organization_url=organization_url)
    return answer_page(connection, UNRESOLVED, question, render=render)


def every_unresolved_association(
    connection: Connection, question: Question, *, organization_url: str | None = None
) -> Iterator[dict[str, Any]]:
    """As `unresolved_associations`, of all pages one row after another."""
    for row in UNRESOLVED.every_row(connection, question):
        yield _present_unresolved(row, organization_url=organization_url)


def _present_refused(
    row: RowMapping, *, organization_url: str | None, airflow_url: str
) -> dict[str, Any]:
    links = {
        "record_url": record_url(organization_url, row["entity"], row["record_id"]),
        "log_url": log_url(airflow_url, dict(row)),
    }
    return {name: row[name] for name in _SHOWN} | links


def _present_unresolved(row: RowMapping, *, organization_url: str | None) -> dict[str, Any]:
    url = record_url(organization_url, OPPORTUNITY.name, row["opportunity_id"])
    return dict(row) | {"record_url": url}
