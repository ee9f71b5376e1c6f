"""The sandbox as a program of its own, driven over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from dynamics_sandbox import Sandbox, SandboxAdmin, SandboxAdminError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox_caller import Caller

INCLUDE = Path(__file__).parents[3] / "include"


@pytest.fixture
def admin(sandbox: Sandbox) -> Iterator[SandboxAdmin]:
    """The admin surface of a sandbox."""
    with SandboxAdmin(sandbox.admin_url, sandbox.admin_token, str(sandbox.ca_path)) as admin:
        yield admin


def test_rows_can_be_changed_from_another_process(admin: SandboxAdmin, caller: Caller) -> None:
    """Every operation of an organisation, by its name and arguments."""
    account = admin.call("create", "accounts", {"name": "Umbra", "revenue": Decimal("1.10")})
    winner = admin.call("create", "accounts", {"name": "Winner"})
    contact = admin.call("create", set_name="contacts", values={"fullname": "Ada"})
    deal = admin.call("create", "opportunities", {"_customerid_value": account})
    admin.call("merge", "accounts", account, winner)
    assert len(admin.call("connect", deal, contact, None)) == 2
    admin.call("deactivate", "contacts", contact)
    admin.call(
        "update", set_name="contacts", row_id=contact, values={"jobtitle": "x"}, touch="version"
    )
    assert [winner] == caller.values("opportunities", "_customerid_value")
    assert Decimal("1.10") == admin.call("row", "accounts", account)["revenue"]
    admin.call("delete", "opportunities", deal)
    assert admin.call("rows", "connections") == []
    admin.call("restore", "opportunities", deal)
    admin.call("add_column", "contacts", {"name": "new_synctomkto", "type": "Boolean"})
    assert caller.values("contacts?$select=new_synctomkto", "new_synctomkto") == [None]
    assert admin.call("set_clock", "2026-01-01T00:00:00Z") == "2026-01-01T00:00:00+00:00"


def test_columns_and_rights_can_be_changed_from_another_process(
    admin: SandboxAdmin, caller: Caller
) -> None:
    """A column is an object with the fields of an attribute, or a name with a type."""
    colour = {"name": "new_colour", "type": "Picklist", "options": {"1": "Red"}}
    admin.call("add_column", "contacts", colour)
    admin.call("add_column", "contacts", "new_count", "Integer")
    admin.call("create", "contacts", {"new_colour": 1, "new_count": 7})
    admin.call("secure_column", "contacts", "new_colour")
    assert caller.values("contacts?$select=new_colour", "new_colour") == [None]
    admin.call("grant_column", "contacts", "new_colour")
    [row] = caller.read("contacts?$select=new_colour", 'odata.include-annotations="*"')["value"]
    label = row["new_colour@OData.Community.Display.V1.FormattedValue"]
    assert (row["new_colour"], label) == (1, "Red")
    admin.call("remove_column", "contacts", "new_count")
    assert caller.refusal("contacts?$select=new_count")[0] == 400


def test_faults_and_the_log_are_in_reach_of_other_processes(
    admin: SandboxAdmin, caller: Caller
) -> None:
    """Script, count, clear; what was asked, without secrets."""
    admin.call("add_fault", kind="status", match="contacts", status=500)
    assert [caller.get("contacts").status_code for _ in range(2)] == [500, 200]
    assert admin.call("faults")[0]["struck"] == 1
    admin.call("clear_faults")
    logged = admin.call("requests", "contacts")
    assert [(item["status"], item["faults"]) for item in logged] == [(500, ["status"]), (200, [])]
    assert caller.token not in json.dumps(logged, default=str)
    admin.call("clear_requests")
    assert admin.call("requests") == []


def test_the_admin_surface_needs_its_token(sandbox: Sandbox) -> None:
    """And says what is wrong with a call."""
    with (
        SandboxAdmin(sandbox.admin_url, "wrong", str(sandbox.ca_path)) as stranger,
        pytest.raises(SandboxAdminError, match="token"),
    ):
        stranger.call("version")
    with SandboxAdmin(sandbox.admin_url, sandbox.admin_token, str(sandbox.ca_path)) as admin:
        with pytest.raises(SandboxAdminError, match="no such operation"):
            admin.call("explode")
        with pytest.raises(SandboxAdminError, match="KeyError"):
            admin.call("delete", "contacts", "00000000-0000-0000-0000-00000000dead")
        with pytest.raises(SandboxAdminError, match="TypeError"):
            admin.call("delete", nothing=1)


def start(state: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the program."""
    return subprocess.Popen(
        [sys.executable, "-m", "dynamics_sandbox", "--state-dir", str(state), *arguments],
        env={**os.environ, "PYTHONPATH": str(INCLUDE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program_serves_until_it_is_told_to_stop(tmp_path: Path, number: int) -> None:
    """One readable line when ready, a description for its owner only, and a clean end."""
    process = start(tmp_path / "state", "--seed", "3", "--opportunities", "60")
    assert process.stdout is not None
    line = process.stdout.readline()
    description = tmp_path / "state" / "sandbox.json"
    assert description.stat().st_mode & 0o777 == 0o600
    described: dict[str, Any] = json.loads(description.read_text())
    assert line.startswith(f"Sandbox ready at {described['url']} with ")
    assert "60 opportunities" in line
    assert described["connection"]["password"] not in line
    ca, url = described["ca_path"], described["admin_url"]
    with SandboxAdmin(url, described["admin_token"], ca) as admin:
        assert len(admin.call("rows", "opportunities")) == 60
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert not description.exists()


def test_a_folder_without_rows_is_a_readable_mistake(tmp_path: Path) -> None:
    """One sentence and no traceback."""
    process = start(tmp_path / "state", "--folder", str(tmp_path))
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, len(errors.splitlines())) == (2, 1)
    assert "There is nothing to serve" in errors


def test_the_program_serves_the_banking_organisation_without_tls(
    tmp_path: Path, shared_data: Path
) -> None:
    """Plain http on demand; every row of the folder is there."""
    process = start(tmp_path, "--folder", str(shared_data / "dynamics_banking"), "--no-tls")
    try:
        assert process.stdout is not None
        assert "23 opportunities" in process.stdout.readline()
        described = json.loads((tmp_path / "sandbox.json").read_text())
        assert described["url"].startswith("http://")
        assert described["ca_path"] is None
        health = f"{described['url']}/sandbox/health"
        assert requests.get(health, timeout=60).json() == {"status": "ready"}
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_the_program_ends_with_its_parent(tmp_path: Path) -> None:
    """A killed parent leaves nothing behind."""
    command = f"exec {sys.executable} -m dynamics_sandbox --seed 1 --opportunities 50"
    script = (
        f"{command.removeprefix('exec ')} --state-dir {tmp_path} --exit-with-parent & echo $!; wait"
    )
    parent = subprocess.Popen(
        ["bash", "-c", script],
        env={**os.environ, "PYTHONPATH": str(INCLUDE)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert "Sandbox ready" in parent.stdout.readline()
    parent.kill()
    parent.wait(timeout=60)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not (tmp_path / "sandbox.json").exists()
    parent.stdout.close()


def test_a_connection_is_complete_in_the_form_airflow_reads(sandbox: Sandbox) -> None:
    """Type, host with port, client and the extras of the contract."""
    connection = sandbox.connection()
    assert ("dynamics", sandbox.url, sandbox.client_id, sandbox.client_secret) == (
        connection["conn_type"],
        connection["host"],
        connection["login"],
        connection["password"],
    )
    extra = connection["extra"]
    assert (sandbox.tenant_id, sandbox.authority) == (extra["tenant_id"], extra["authority"])
    assert Path(extra["verify"]).is_file()
    assert extra["instance_discovery"] is False


def test_the_keys_of_a_temporary_sandbox_go_with_it(sandbox: Sandbox) -> None:
    """Nothing stays on the disk."""
    assert sandbox.ca_path is not None
    key = sandbox.ca_path.with_name("server.key")
    assert key.stat().st_mode & 0o777 == 0o600
    sandbox.stop()
    assert not key.parent.exists()


def test_a_secret_that_was_handed_out_holds_after_a_restart(tmp_path: Path) -> None:
    """Who was given the connection can't be told of a new one after each restart of a machine."""
    secrets = set()
    for _ in range(2):
        process = start(tmp_path / "state", "--seed", "3", "--opportunities", "60")
        assert process.stdout is not None
        process.stdout.readline()
        described = json.loads((tmp_path / "state" / "sandbox.json").read_text())
        secrets.add(described["connection"]["password"])
        process.terminate()
        process.communicate(timeout=60)

    assert len(secrets) == 1
    assert (tmp_path / "state" / "client-secret").stat().st_mode & 0o777 == 0o600
