"""What the check asks of an organisation that is served, one item at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opportunity_sync.check.validation import Ground, questions_of
from opportunity_sync.dynamics import DataverseClient, DynamicsConnection, dynamics_session
from opportunity_sync.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from dynamics_sandbox import Sandbox
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
