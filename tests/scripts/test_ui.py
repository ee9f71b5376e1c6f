"""What `make ui` finds out before it starts anything, and while it waits."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from embedded import NotStartedError
from ui import FIRST_PORT, chosen_port, wait_until_ready

UI = Path(__file__).parents[2] / "scripts" / "ui.py"


@pytest.mark.parametrize("asked", ["0", "99999", "eighty", "-1", "80.5"])
def test_what_is_no_port_is_refused(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    """With the numbers that there are."""
    monkeypatch.setenv("PORT", asked)
    with pytest.raises(NotStartedError, match="from 1 to 65535"):
        chosen_port()


def test_a_taken_port_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits ten minutes for an Airflow that can't listen."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setenv("PORT", str(taken))
        with pytest.raises(NotStartedError, match=f"PORT={taken} is taken"):
            chosen_port()
    assert chosen_port() == taken


def test_without_a_wish_the_first_free_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 8080 on."""
    monkeypatch.delenv("PORT", raising=False)
    assert chosen_port() >= FIRST_PORT


def test_a_port_that_is_taken_while_airflow_starts_is_said(tmp_path: Path) -> None:
    """Airflow itself writes it into its log and goes on; another Airflow there would be healthy."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            taken = server.getsockname()[1]
            with pytest.raises(NotStartedError, match=f"took port {taken} in the meantime"):
                wait_until_ready(process, taken, log=tmp_path / "standalone.log")
    finally:
        process.communicate(b"\n", timeout=60)


def test_a_second_program_in_one_folder_ends_with_a_sentence(tmp_path: Path) -> None:
    """And with an exit code that says so; the first one goes on."""
    environment = os.environ | {"UI_FOLDER": str(tmp_path / "ui"), "UI_DATABASE": "sqlite"}
    command = [sys.executable, str(UI)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert "Airflow: preparing" in first.stdout.readline()
        second = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert second.returncode == 1
        assert f"process {first.pid}" in second.stderr
        assert "UI_FOLDER=path make ui" in second.stderr
        assert first.poll() is None
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=120)
