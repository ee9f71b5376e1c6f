"""The runbook keeps up with the errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from opportunity_sync import errors
from opportunity_sync.errors import SyncError

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"
ERRORS = [
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, SyncError)
]


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_class_has_an_entry(name: str) -> None:
    """An operator who reads a class in a log finds a section of that name."""
    assert f"## {name}" in RUNBOOK.read_text("utf-8").splitlines()
