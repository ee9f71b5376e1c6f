"""An organisation, served, and what the check asks of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.check.validation import Ground, questions_of
from opportunity_sync.dynamics import DataverseClient, DynamicsConnection, dynamics_session
from opportunity_sync.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from opportunity_sync.check.items import Item


@dataclass
class Asked:
    """The check of one sandbox and one store; `extra` and `settings` are changed by tests."""

    sandbox: Sandbox
    engine: Engine
    folder: Path
    extra: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def item(self, name: str) -> Item:
        """The answer to one question."""
        given = self.sandbox.connection()
        connection = DynamicsConnection.from_parts(
            given["host"], given["login"], given["password"], given["extra"] | self.extra
        )
        chosen = Settings(request_attempts=1, page_timeout_seconds=30, **self.settings)
        with dynamics_session(connection) as session:
            client = DataverseClient(session, connection.organization_url, settings=chosen)
            ground = Ground(
                chosen,
                (client, connection),
                self.engine,
                str(self.folder / "staging"),
                now=lambda: datetime.now(UTC),
            )
            [question] = [each for each in questions_of(ground) if each.name == name]
            return question.answer()


@pytest.fixture
def organisation() -> Organisation:
    """An empty organisation."""
    return Organisation.empty()


@pytest.fixture
def sandbox(organisation: Organisation) -> Iterator[Sandbox]:
    """The organisation, served."""
    with Sandbox(organisation) as sandbox:
        yield sandbox


@pytest.fixture
def asked(sandbox: Sandbox, sqlite_engine: Engine, tmp_path: Path) -> Asked:
    """The check of the organisation and an empty SQLite store."""
    return Asked(sandbox, sqlite_engine, tmp_path)
