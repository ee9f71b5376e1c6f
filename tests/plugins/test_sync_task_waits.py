"""A task tells what it waited for Dynamics, however it ends, and only if it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from dynamics_sandbox import FaultKind, Sandbox
from opportunity_sync.dynamics import DataverseClient, DynamicsConnection, dynamics_session
from opportunity_sync.settings import Settings
from sync_task_waits import noting_waits, waits_of


@dataclass
class Task:
    """What a task leaves with Airflow, by its name."""

    task_id: str
    left: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, *, key: str, value: Any) -> None:
        """Leave something."""
        assert key == "waits"
        self.left[self.task_id] = value

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        """What a task left."""
        assert key == "waits"
        return self.left.get(task_ids)


def ask_and_fail(context: dict[str, Any], client: DataverseClient) -> None:
    """A task that is throttled, and then fails."""
    with noting_waits(context, client):
        client.get("WhoAmI")
        raise ValueError("no")


def test_a_throttled_task_tells_its_waits_also_where_it_fails(sandbox: Sandbox) -> None:
    """In small whole numbers; a task that never waited is not among them."""
    given = sandbox.connection()
    connection = DynamicsConnection.from_parts(
        given["host"], given["login"], given["password"], given["extra"]
    )
    left: dict[str, Any] = {}
    sandbox.faults.add(FaultKind.THROTTLE, times=2, retry_after="0")
    with dynamics_session(connection) as session:
        client = DataverseClient(session, connection.organization_url, settings=Settings())
        with noting_waits({"ti": Task("begin", left)}, client):
            pass
        with pytest.raises(ValueError, match="no"):
            ask_and_fail({"ti": Task("transform", left)}, client)

    waits = waits_of({"ti": Task("finish", left)})
    assert list(waits) == ["transform"]
    assert (waits["transform"]["retries"], waits["transform"]["throttled"]) == (2, 2)
