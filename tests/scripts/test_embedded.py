"""Airflow and the sandbox in a folder of the project: names, ports, and what went wrong."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

import ui
from embedded import Embedded, NotStartedError, given_rows, is_free, kept_port
from selected_fields import print_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTACT = "c0000000-0000-0000-0000-000000000001"


def a_folder(path: Path, **files: Any) -> Path:
    """A folder with a file for each table."""
    path.mkdir()
    for name, body in files.items():
        (path / f"{name}.json").write_text(json.dumps(body))
    return path


def test_two_folders_of_one_name_have_a_state_each(tmp_path: Path) -> None:
    """Otherwise the rows of the first would be deleted by the second."""
    one, other = (Embedded(tmp_path, tmp_path / name / "rows").state for name in "ab")
    assert one != other
    assert one.name.startswith("rows-")


@pytest.mark.parametrize(
    "name", ["airflow", "logs", "generated", "folders", "postgres", "lock", "ro ws/é", "n" * 200]
)
def test_no_folder_of_rows_takes_a_name_of_our_own(tmp_path: Path, name: str) -> None:
    """Whatever a person calls it; and every file system can make it."""
    demo = Embedded(tmp_path, tmp_path / "elsewhere" / name)
    assert demo.state.parent == tmp_path / "folders"
    assert demo.state not in {demo.airflow_home, demo.logs, Embedded(tmp_path).state}
    demo.state.mkdir(parents=True)


def test_the_sandbox_comes_back_at_the_same_address(tmp_path: Path) -> None:
    """A saved delta link names it; at another one all would be read anew."""
    rows = a_folder(tmp_path / "rows", contacts={"value": []})
    demo = Embedded(tmp_path / "demo", rows)
    with demo.sandbox() as first:
        pass
    with demo.sandbox() as again:
        assert again["url"] == first["url"]


def test_a_port_that_is_taken_is_said_and_another_one_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another program may have taken it in between."""
    path = tmp_path / "port"
    first = kept_port(path)
    assert kept_port(path) == first
    with socket.create_server(("127.0.0.1", first)):
        assert not is_free(first)
        second = kept_port(path)
    assert second != first
    assert f"Port {first}" in capsys.readouterr().out
    assert path.read_text() == str(second)


def test_a_listener_on_every_address_counts_as_taking_the_port() -> None:
    """Some systems let a second program listen on loopback beside it."""
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 that is the case in question
        assert not is_free(server.getsockname()[1])


def test_the_faults_of_a_folder_are_said_themselves(tmp_path: Path) -> None:
    """All of them, with file and row, instead of the name of a log."""
    rows = a_folder(
        tmp_path / "rows",
        contacts={"value": [{"contactid": CONTACT, "birthdate": "Secret"}, {"fullname": "Secret"}]},
        accounts={"value": [], "@odata.nextLink": "https://x"},
    )
    with (
        pytest.raises(NotStartedError, match="There is nothing to serve") as caught,
        Embedded(tmp_path / "demo", rows).sandbox(),
    ):
        pass
    said = str(caught.value)
    assert "accounts.json is not the whole table" in said
    assert "contacts.json, row 2: contactid must be a GUID" in said
    assert "contacts.json, row 1: column birthdate must be a date (2026-02-03) but" in said
    assert CONTACT in said
    assert "Secret" not in said


def test_what_is_no_fault_is_told_on_the_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Absent tables, files passed over, rows that the sync will refuse."""
    rows = a_folder(
        tmp_path / "rows",
        contacts={"value": [{"contactid": CONTACT, "createdon": "0000-01-01T00:00:00Z"}]},
        leads={},
    )
    with Embedded(tmp_path / "demo", rows).sandbox():
        said = capsys.readouterr().out
    assert "connections.json is not there, so the table is empty" in said
    assert "leads.json is passed over" in said
    assert "contacts.json, row 1: column createdon must be a time" in said
    assert "Sandbox ready" not in said


@pytest.mark.parametrize("program", [ui.main, lambda: print_report("-m", "sync_fields")])
def test_no_program_passes_over_a_folder_of_rows(
    program: Callable[[], int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever names one must not be told of the made-up organisation instead."""
    monkeypatch.setenv("DEMO_FOLDER", "/no/such/folder")

    assert program() == 1
    assert "DEMO_FOLDER: /no/such/folder is no folder." in capsys.readouterr().err


def test_a_folder_of_rows_has_a_store_of_its_own_in_every_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each program finds what `make demo` has made of the same folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEMO_FOLDER", "rows")

    assert Embedded(tmp_path, given_rows()).state == Embedded(tmp_path, tmp_path / "rows").state
