"""An organisation, served, and the check of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asked_check import Asked

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from dynamics_sandbox import Sandbox


@pytest.fixture
def asked(sandbox: Sandbox, sqlite_engine: Engine, tmp_path: Path) -> Asked:
    """The check of the organisation and an empty SQLite store."""
    return Asked(sandbox, sqlite_engine, tmp_path)
