"""What the compose profile `sandbox` writes into Airflow's connections, and what it leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from airflow.models.connection import Connection
from airflow.utils.session import create_session

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("airflow_database")
NAME = "dynamics_default"
FILE = Path(__file__).resolve().parents[2] / "docker-compose.yaml"


@pytest.fixture(autouse=True)
def no_connection_stays() -> Iterator[None]:
    """Other tests have none."""
    yield
    with create_session() as session:
        session.query(Connection).filter(Connection.conn_id == NAME).delete()


def hand_over(folder: Path) -> subprocess.CompletedProcess[str]:
    """The service's own program, on a sandbox that has described itself in the folder."""
    given = {"conn_type": "dynamics", "host": "https://localhost:8443", "password": "new"}
    (folder / "sandbox.json").write_text(json.dumps({"connection": given}))
    [program] = yaml.safe_load(FILE.read_text())["services"]["sandbox-connection"]["command"][2:]
    return subprocess.run(
        [sys.executable, "-c", program.replace("/opt/airflow/sandbox", str(folder))],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


def stored() -> tuple[str | None, str | None]:
    """Host and password of the connection."""
    with create_session() as session:
        found = session.query(Connection).filter(Connection.conn_id == NAME).one()
        return found.host, found.password


def add(host: str) -> None:
    """A connection that is there already."""
    with create_session() as session:
        session.add(Connection(conn_id=NAME, conn_type="dynamics", host=host, password="old"))


@pytest.mark.parametrize("is_there", [False, True])
def test_the_sandbox_gets_its_connection(tmp_path: Path, is_there: bool) -> None:
    """Also where an earlier start has left one with another secret."""
    if is_there:
        add("https://sandbox:8443")

    assert hand_over(tmp_path).returncode == 0
    assert stored() == ("https://sandbox:8443", "new")


def test_a_connection_to_a_real_organisation_stays(tmp_path: Path) -> None:
    """Its secret may be nowhere else; who tries the profile out must not lose it."""
    add("https://contoso.crm4.dynamics.com")

    said = hand_over(tmp_path)

    assert said.returncode == 1
    assert "leads to https://contoso.crm4.dynamics.com and stays" in said.stderr
    assert stored() == ("https://contoso.crm4.dynamics.com", "old")
