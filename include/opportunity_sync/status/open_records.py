"""What the sync could not take: records that were refused, associations that are not resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opportunity_sync.model import OPPORTUNITY, VERSION
from opportunity_sync.status.listing import Answer, Listing, Question, answer_page
from opportunity_sync.status.record_links import log_url, record_url
from opportunity_sync.store.schema.tables import refused_row, unresolved_association

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping

REFUSED = Listing(
    refused_row,
    sorts=("entity", "record_id", "field", "code", "first_seen_at", "last_tried_at", "tries"),
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

    def render(row: RowMapping) -> dict[str, Any]:
        links = {
            "record_url": record_url(organization_url, row["entity"], row["record_id"]),
            "log_url": log_url(airflow_url, dict(row)),
        }
        return {name: row[name] for name in _SHOWN} | links

    return answer_page(connection, REFUSED, question, render=render)


def unresolved_associations(
    connection: Connection, question: Question, *, organization_url: str | None = None
) -> Answer:
    """A page of the associations that are not resolved, each with the link to its opportunity.

    Searched are the ids of the opportunity and of what it refers to.
    """

    def render(row: RowMapping) -> dict[str, Any]:
        url = record_url(organization_url, OPPORTUNITY.name, row["opportunity_id"])
        return dict(row) | {"record_url": url}

    return answer_page(connection, UNRESOLVED, question, render=render)
