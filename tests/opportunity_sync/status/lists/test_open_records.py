"""Tests of the lists of refused records and of associations that are not resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from opportunity_sync.model import CONTACT
from opportunity_sync.status import (
    Question,
    QuestionError,
    every_unresolved_association,
    refused_records,
    unresolved_associations,
)
from opportunity_sync.store.books.refused_records import note_refused
from opportunity_sync.store.schema.tables import unresolved_association
from store_rows import NOON, guid, later

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

ORGANISATION = "https://contoso.crm.example"


def refuse(connection: Connection, number: int, minute: int, task_id: str | None = "load") -> None:
    """A contact that can't be taken, tried at that minute."""
    refused = {"record_id": guid(number), "field": "email", "code": "too_long", "message": "Long."}
    by = {"dag_id": "sync", "run_id": "a/b", "task_id": task_id, "map_index": -1}
    tried = by | {"tried_by": "1.0"}
    note_refused(connection, CONTACT, [refused], moment=later(minute), by=tried)


def gaps(connection: Connection, count: int) -> None:
    """So many associations that are not resolved."""
    row = {"kind": "customer_contact", "reason": "contact_not_found", "first_seen_at": NOON}
    rows = [
        row | {"opportunity_id": guid(number), "reference_id": guid(number + 1)}
        for number in range(count)
    ]
    connection.execute(insert(unresolved_association), rows)


def test_a_refused_record_leads_to_itself_and_to_the_log_of_its_last_try(engine: Engine) -> None:
    """Addresses are of the record in Dynamics, and of the task's log in Airflow."""
    with engine.begin() as connection:
        refuse(connection, 1, 0)
        (row,) = refused_records(
            connection, Question(), organization_url=ORGANISATION, airflow_url="https://air/flow"
        ).rows
    expected = {
        "entity": "contact",
        "record_id": guid(1),
        "field": "email",
        "code": "too_long",
        "message": "Long.",
        "version_number": None,
        "first_seen_at": NOON,
        "last_tried_at": NOON,
        "tries": 1,
        "record_url": f"{ORGANISATION}/main.aspx?pagetype=entityrecord&etn=contact&id={guid(1)}",
        "log_url": "https://air/flow/dags/sync/runs/a%2Fb/tasks/load",
    }
    assert expected.items() <= row.items()


def test_refused_records_are_sorted_searched_and_cut_into_pages(engine: Engine) -> None:
    """The newest try comes first unless asked otherwise; the search ignores case."""

    def ids(**asked: Any) -> list[str]:
        rows = refused_records(connection, Question(**asked)).rows
        return [row["record_id"] for row in rows]

    with engine.begin() as connection:
        for number, minute in ((0xA1, 3), (0xA2, 1), (0xB1, 2)):
            refuse(connection, number, minute)
        assert ids() == [guid(0xA1), guid(0xB1), guid(0xA2)]
        assert ids(sort="record_id", per_page=2, page=2) == [guid(0xB1)]
        assert ids(search="000000A", sort="-record_id") == [guid(0xA2), guid(0xA1)]
        assert ids(search="%") == []
        assert ids(page=9) == []
        with pytest.raises(QuestionError, match="can't be sorted"):
            ids(sort="message; drop table contact")


def test_totals_are_exact_up_to_ten_thousand(engine: Engine) -> None:
    """Beyond, there are more, and nobody counts them."""
    with engine.connect() as connection:
        gaps(connection, 10_000)
        exact = unresolved_associations(connection, Question(page=200))
        extra = {"kind": "stakeholder_role", "reason": "role_not_found", "first_seen_at": NOON}
        key = {"opportunity_id": guid(1), "reference_id": guid(1)}
        connection.execute(insert(unresolved_association).values(extra | key))
        more = unresolved_associations(connection, Question())
    assert (exact.total, exact.more, len(exact.rows)) == (10_000, False, 50)
    assert (more.total, more.more) == (None, True)


def test_an_association_is_found_by_either_id(engine: Engine) -> None:
    """The opportunity's, and the one that it refers to; the link leads to the opportunity."""
    with engine.begin() as connection:
        gaps(connection, 3)
        question = Question(search=guid(1), sort="opportunity_id")
        answer = unresolved_associations(connection, question, organization_url=ORGANISATION)
    assert [row["opportunity_id"] for row in answer.rows] == [guid(0), guid(1)]
    assert (answer.total, answer.more) == (2, False)
    assert answer.rows[0]["record_url"].endswith(f"etn=opportunity&id={guid(0)}")


def test_a_search_is_exported_whole_and_shown_up_to_ten_thousand(engine: Engine) -> None:
    """A file has every row that is found; pages end where the documentation says."""
    with engine.connect() as connection:
        gaps(connection, 10_002)
        exported = list(every_unresolved_association(connection, Question(search="0")))
        last = unresolved_associations(connection, Question(search="0", page=200))
        beyond = unresolved_associations(connection, Question(search="0", page=201))
    assert len(exported) == 10_002
    assert (len(last.rows), beyond.rows, last.more) == (50, [], True)


def test_refused_records_are_sorted_by_every_column_that_is_shown(engine: Engine) -> None:
    """What has no value comes last, up and down, in every database."""
    with engine.begin() as connection:
        refuse(connection, 1, 0, task_id=None)
        refuse(connection, 2, 1)
        (row, _other) = refused_records(connection, Question()).rows
        for name in row.keys() - {"record_url", "log_url"}:
            assert len(refused_records(connection, Question(sort=name)).rows) == 2
        for sort in ("task_id", "-task_id"):
            rows = refused_records(connection, Question(sort=sort)).rows
            assert [each["task_id"] for each in rows] == ["load", None]
