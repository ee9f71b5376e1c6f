"""What the Test button of the connection form says: who answers, and which rows can't be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync.dynamics.metadata.privileges import privilege_warnings

if TYPE_CHECKING:
    from opportunity_sync.dynamics.client import DataverseClient


def check(client: DataverseClient) -> str:
    """For the connection form's Test: who answers, and which rows may not all be seen.

    Raises:
        SyncError: what stands in the way of any reading.
    """
    answer = client.who_am_i()
    connected = (
        f"Connected to organisation {answer['OrganizationId']} at {client.organization_url} "
        f"as user {answer['UserId']}."
    )
    return " ".join((connected, *privilege_warnings(client, answer["UserId"])))
