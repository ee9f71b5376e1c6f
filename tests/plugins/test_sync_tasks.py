"""The tasks as processes of their own: what each of them has to import before it can work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from dag_runs import connect

if TYPE_CHECKING:
    from dynamics_sandbox import Sandbox

PROGRAM = Path(__file__).parents[1] / "support" / "forked_tasks.py"
HEAVY = ("aiohttp", "alembic", "pandas", "psycopg")


@pytest.fixture
def heavy(
    sandbox: Sandbox, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, list[str]]:
    """The heavy modules that each task of a run without rows has, by task."""
    connect(monkeypatch, sandbox, make_url(sqlite_url), tmp_path / "staging")
    command = [sys.executable, str(PROGRAM), *HEAVY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_each_task_imports_only_what_it_works_with(heavy: dict[str, list[str]]) -> None:
    """Pandas is for those that resolve, the store for those that open it, aiohttp for nobody.

    Alembic is for a run that finds tables to make. An extract that finds rows has pandas as well,
    as the one of connections with their roles: pyarrow imports it to look at Python values.
    """
    assert heavy == {
        "begin": ["alembic", "psycopg"],
        "extract_opportunities": [],
        "extract_connections": ["pandas"],
        "extract_contacts": [],
        "extract_accounts": [],
        "transform": ["pandas", "psycopg"],
        "load": ["pandas", "psycopg"],
        "finish": ["psycopg"],
    }
