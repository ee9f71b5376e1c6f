"""What waits in Dynamics is counted in one request, or not known; it never stops a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from opportunity_sync.dynamics import Waiting, count_waiting
from opportunity_sync.model import CONTACT

if TYPE_CHECKING:
    from dynamics_sandbox import Organisation, Sandbox
    from opportunity_sync.dynamics import DataverseClient
    from scripted_dataverse import ScriptedServer

EVER = datetime(2000, 1, 1, tzinfo=UTC)


def test_records_since_a_time_are_counted_beyond_a_page(
    client: DataverseClient, organisation: Organisation
) -> None:
    """All seven count though a page holds one, and the first one modified is the oldest."""
    ids = [organisation.create("contacts", {"lastname": f"N{number}"}) for number in range(7)]
    modified = min(
        datetime.fromisoformat(row["modifiedon"])
        for row in organisation.rows("contacts")
        if row["contactid"] in ids
    )
    assert count_waiting(client, CONTACT, EVER) == Waiting(7, modified)
    assert count_waiting(client, CONTACT, None) == Waiting(7, modified)
    assert count_waiting(client, CONTACT, modified + timedelta(days=1)) == Waiting(0)


def test_a_count_that_is_refused_is_unknown_after_one_request(
    client: DataverseClient, sandbox: Sandbox
) -> None:
    """Nobody waits for it: a server that is away is not asked again."""
    fault = sandbox.faults.add("status", "contacts", times=9, status=503, code="0x0")

    assert count_waiting(client, CONTACT, EVER) == Waiting()
    assert (fault.struck, client.counters.requests) == (1, 1)


def test_an_answer_without_a_count_tells_nothing(server: ScriptedServer) -> None:
    """Neither is the number of rows on the page taken for the count."""
    server.say({"value": [{"modifiedon": "2026-01-02T03:04:05Z"}]})

    assert count_waiting(server.client(), CONTACT, EVER) == Waiting()


def test_a_date_beyond_the_calendar_is_no_reason_to_stop(server: ScriptedServer) -> None:
    """Such a record will be refused. It waits like all others."""
    row = {"modifiedon": "0001-01-01T00:00:00+01:00"}
    server.say({"@odata.count": 3, "value": [row]})

    assert count_waiting(server.client(), CONTACT, EVER) == Waiting(3)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"@odata.count":99999999999999999999,"value":[]}', Waiting(5000)),
        (b'{"@odata.count":true,"value":[]}', Waiting()),
        (b'{"@odata.count":1e999,"value":[]}', Waiting()),
        (b"[" * 100_000, Waiting()),
        (b"\xff", Waiting()),
    ],
    ids=["more than a store holds", "no number", "no end", "brackets", "no text"],
)
def test_a_count_that_no_store_holds_is_no_reason_to_stop(
    server: ScriptedServer, body: bytes, expected: Waiting
) -> None:
    """Five thousand stands for that many or more; what is no number is not known."""
    server.say(body)

    assert count_waiting(server.client(), CONTACT, EVER) == expected
