"""An organisation, served, and the check of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asked_check import Asked
from dynamics_sandbox import Organisation, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


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
