"""Erasing a contact as a program: in what an image holds, with what a worker's environment has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.staging import StagingRoot
from opportunity_sync.store import migrate, store_engine
from opportunity_sync.store.rows.erasing import erased_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

PROJECT = Path(__file__).resolve().parents[2]
CONTACT = "c0000000-0000-0000-0000-000000000001"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A store with its tables."""
    engine = store_engine(f"sqlite:///{tmp_path / 'marketo.sqlite'}")
    migrate(engine)
    yield engine
    engine.dispose()


def erase(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What the command says in an environment that has nothing but these variables."""
    return subprocess.run(
        [sys.executable, "-m", "sync_erase", *arguments],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{PROJECT}/include:{PROJECT}/plugins",
            "AIRFLOW_HOME": str(folder),
            **variables,
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


def is_erased(engine: Engine) -> bool:
    """Whether the store remembers that the contact was erased."""
    with engine.connect() as connection:
        return CONTACT in erased_ids(connection, DEFAULT_MODEL["contact"])


def test_a_contact_is_erased_without_a_way_to_dynamics(tmp_path: Path, engine: Engine) -> None:
    """The store's connection and the staging are all that a person's wish needs."""
    staged = StagingRoot(str(tmp_path / "staging")).new_folder("a-dag", "a-run", "1")
    staged.write_json("plan.json", {})
    connection = {"conn_type": "sqlite", "host": str(tmp_path / "marketo.sqlite")}

    said = erase(
        tmp_path,
        CONTACT,
        AIRFLOW_CONN_MARKETO_STORE=json.dumps(connection),
        OPPORTUNITY_SYNC_STAGING_URL=str(tmp_path / "staging"),
    )

    assert (said.returncode, f"{CONTACT}: erased" in said.stdout) == (0, True), said.stderr
    assert f"Staged rows are removed from {tmp_path / 'staging'}" in said.stdout
    assert not list((tmp_path / "staging").rglob("plan.json"))
    assert is_erased(engine)


def test_without_a_connection_the_store_of_the_demo_is_taken(
    tmp_path: Path, engine: Engine
) -> None:
    """Where the demo is asked for, as `make erase` does."""
    said = erase(tmp_path, CONTACT, OPPORTUNITY_SYNC_DEMO=str(tmp_path))

    assert said.returncode == 0, said.stderr
    assert is_erased(engine)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [((), 2, "Name the contact"), ((CONTACT,), 1, "Neither connection")],
    ids=["no id", "no store"],
)
def test_what_is_missing_is_said(
    tmp_path: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    """By a sentence and the exit code, not by a traceback."""
    said = erase(tmp_path, *arguments)

    assert (said.returncode, sentence in said.stderr) == (code, True)
    assert "Traceback" not in said.stderr
