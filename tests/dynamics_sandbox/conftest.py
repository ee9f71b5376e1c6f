"""A running sandbox of an empty organisation, and someone to ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from dynamics_sandbox import Organisation, Sandbox
from sandbox_caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTACT = "0c2d0000-0000-0000-0000-00000000000"  # and one digit


@pytest.fixture
def organisation() -> Organisation:
    """An empty organisation whose clock stands still."""
    organisation = Organisation.empty()
    organisation.now = "2026-02-03T04:05:06+00:00"
    return organisation


@pytest.fixture
def sandbox(organisation: Organisation) -> Iterator[Sandbox]:
    """The organisation, served over TLS."""
    with Sandbox(organisation) as sandbox:
        yield sandbox


@pytest.fixture
def caller(sandbox: Sandbox) -> Iterator[Caller]:
    """A client of the sandbox."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(sandbox.ca_path)
        yield Caller(sandbox, session)


@pytest.fixture
def contacts(organisation: Organisation) -> list[str]:
    """Ids of nine contacts named A to I, as text in order, modified in pairs at one second."""
    return [
        organisation.create(
            "contacts",
            {"contactid": f"{CONTACT}{number}", "fullname": "ABCDEFGHI"[number - 1]},
            modified_at=f"2026-01-0{1 + number // 2}T00:00:00Z",
        )
        for number in range(1, 10)
    ]
