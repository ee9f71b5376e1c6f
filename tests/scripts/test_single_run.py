"""One program at a time in a folder, and the second one is told of the first."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from embedded import NotStartedError
from single_run import only_one, say

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_program_is_told_where_the_first_one_is(tmp_path: Path) -> None:
    """And what to do instead; the first one's state stays as it is."""
    with only_one(tmp_path, program="Airflow", otherwise="Use that one.") as lock:
        say(lock, "http://127.0.0.1:8080")
        with (
            pytest.raises(NotStartedError, match=r"http://127\.0\.0\.1:8080") as caught,
            only_one(tmp_path, program="Airflow", otherwise="Use that one."),
        ):
            pass
    assert str(tmp_path) in str(caught.value)
    assert str(caught.value).endswith("Use that one.")


def test_at_first_the_process_is_named(tmp_path: Path) -> None:
    """Before it has an address to tell."""
    with (
        only_one(tmp_path, program="The demo", otherwise=""),
        pytest.raises(NotStartedError, match=f"process {os.getpid()}"),
        only_one(tmp_path, program="The demo", otherwise=""),
    ):
        pass


def test_the_folder_is_free_when_the_program_has_ended(tmp_path: Path) -> None:
    """Also by an error; nobody has to remove a file."""
    with pytest.raises(KeyError), only_one(tmp_path, program="", otherwise=""):
        raise KeyError
    with only_one(tmp_path, program="", otherwise="") as lock:
        assert lock.readable()


def test_services_that_outlive_the_program_keep_its_folder(tmp_path: Path) -> None:
    """A killed `make ui` leaves Airflow running, which a second one would run into."""
    wait = [sys.executable, "-c", "input()"]
    with only_one(tmp_path, program="", otherwise="") as lock:
        service = subprocess.Popen(wait, stdin=subprocess.PIPE, pass_fds=(lock.fileno(),))
    with pytest.raises(NotStartedError), only_one(tmp_path, program="", otherwise=""):
        pass
    service.communicate(b"\n", timeout=60)
    with only_one(tmp_path, program="", otherwise="") as lock:
        assert lock.readable()
