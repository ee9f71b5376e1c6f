"""The ground itself: isolation of the tests, the skip rule, the lock and the one door."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from isolation import NetworkBlockedError

PROJECT = Path(__file__).resolve().parents[1]
LOCK = (PROJECT / "requirements.txt").read_text()
PINNED = re.compile(r"[A-Za-z0-9._-]+==\S+( ; [^\\]+)? \\(\n    --hash=sha256:[0-9a-f]{64}( \\)?)+")
TARGET = re.compile(r"^([a-z-]+):.*## (.+)$", re.MULTILINE)

pytest_plugins = ["pytester"]


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "example.com"])
def test_a_connection_to_the_outside_is_refused(address: str) -> None:
    """Neither an address nor a name outside this machine can be reached by a test."""
    with pytest.raises(NetworkBlockedError, match="may not reach"):
        requests.get(f"http://[{address}]/" if ":" in address else f"http://{address}/", timeout=5)


def test_loopback_stays_open() -> None:
    """A server on this machine can be reached, by address and by name."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, port), timeout=5).close()


def test_airflow_lives_in_a_home_of_its_own() -> None:
    """No test reads the person's own Airflow or writes into the project folder."""
    home = Path(os.environ["AIRFLOW_HOME"])

    assert home.is_dir()
    assert PROJECT not in home.parents
    assert not [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]


def test_each_test_gets_an_empty_postgres_database(postgres: str) -> None:
    """The database is a real PostgreSQL, reached over TCP as in production, and holds nothing."""
    engine = sa.create_engine(postgres)

    with engine.connect() as connection:
        version = connection.execute(sa.text("SHOW server_version")).scalar_one()
    tables = sa.inspect(engine).get_table_names()
    engine.dispose()

    assert int(version.split(".")[0]) >= 16
    assert tables == []


SKIPPING = """
import pytest

@pytest.mark.skip(reason="no samples")
def test_banking_arrives():
    pass

@pytest.mark.skip(reason="not today")
def test_something_else():
    pass

@pytest.mark.xfail(reason="known", strict=True)
def test_nonprofit_is_known_to_fail():
    assert False
"""


@pytest.mark.parametrize(
    ("ci", "expected"),
    [
        pytest.param("", {"skipped": 2, "xfailed": 1}, id="at home"),
        pytest.param("true", {"skipped": 1, "xfailed": 1, "errors": 1}, id="in CI"),
    ],
)
def test_a_skip_of_a_proof_fails_where_ci_is_set(
    ci: str,
    expected: dict[str, int],
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In CI a skipped test on real input is an error, other skips and expected failures stay."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PYTHONPATH", str(PROJECT / "tests/support"))
    pytester.makeconftest((PROJECT / "tests/conftest.py").read_text())
    pytester.makepyfile(SKIPPING)

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    result.assert_outcomes(**expected)


def test_the_lock_holds_exact_versions_with_checksums_and_no_addresses() -> None:
    """Each entry of the lock pins one package and its files; none names a registry or a folder."""
    lines = [line for line in LOCK.splitlines() if not line.lstrip().startswith("#")]
    entries = re.split(r"(?<!\\)\n", "\n".join(line for line in lines if line.strip()))

    assert [entry for entry in entries if not PINNED.fullmatch(entry)] == []
    assert "://" not in LOCK
    assert not [line for line in LOCK.splitlines() if re.search(r"(^|\s)/\w", line)]


def test_the_lock_is_complete_for_every_group() -> None:
    """What any group asks for by name is locked: `requirements.txt` alone makes demo and tests."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    groups = {
        name: {canonicalize_name(Requirement(line).name) for line in lines}
        for name, lines in settings["dependency-groups"].items()
    }
    locked = set(re.findall(r"^([a-z0-9._-]+)(?:\[[\w,-]+\])?==", LOCK, re.MULTILINE))

    assert list(groups) == ["production", "demo", "test"]
    assert {name: wanted - locked for name, wanted in groups.items()} == {
        name: set() for name in groups
    }


@pytest.mark.parametrize("file", ["scripts/set_up.sh", "Dockerfile"])
def test_whatever_is_installed_has_its_checksum_proven(file: str) -> None:
    """No package is installed by its name alone: each command takes the lock, with checksums."""
    text = (PROJECT / file).read_text().replace("\\\n", " ")
    commands = re.findall(r"pip install .*?(?=&&|\|\||$)", text, re.MULTILINE)

    assert len(commands) >= 3
    for command in commands:
        assert "--require-hashes" in command or "$requirements" in command, command
        assert not re.search(r"\w==|[<>]=", command), command
    if "$requirements" in text:
        assert 'requirements="--require-hashes --constraint requirements.txt"' in text


@pytest.mark.parametrize("installer", ["pip", "uv"])
@pytest.mark.parametrize(
    ("locked", "said"),
    [
        pytest.param("exchanged==1.0 --hash=sha256:{checksum}", "", id="the file that was locked"),
        pytest.param("exchanged==1.0 --hash=sha256:{zeros}", "exchanged", id="another file"),
        pytest.param("missing==1.0 --hash=sha256:{checksum}", "exchanged", id="not in the lock"),
    ],
)
def test_a_group_takes_only_the_files_that_the_lock_names(
    locked: str, said: str, installer: str, tmp_path: Path
) -> None:
    """Under the lock a group has its exact files: one that was exchanged or added is refused."""
    wheel = a_wheel(tmp_path, "exchanged")
    checksum = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (tmp_path / "lock.txt").write_text(locked.format(checksum=checksum, zeros="0" * 64) + "\n")
    (tmp_path / "pyproject.toml").write_text('[dependency-groups]\nours = ["exchanged"]\n')
    program = {"pip": ["pip", "install", "--isolated"], "uv": ["uv", "pip", "install"]}[installer]

    result = subprocess.run(
        [
            *(sys.executable, "-m", *program, "--no-index", "--find-links", str(tmp_path)),
            *("--no-cache-dir", "--target", str(tmp_path / "installed")),
            *("--require-hashes", "--constraint", "lock.txt", "--group", "ours"),
        ],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert (result.returncode == 0) == (not said), result.stderr
    assert (tmp_path / "installed/exchanged.py").exists() == (not said)
    assert said in result.stderr


def a_wheel(folder: Path, name: str) -> Path:
    """The smallest package that can be installed."""
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return wheel


def test_the_lock_is_made_from_the_present_groups() -> None:
    """A changed group without `make lock` is found without the network."""
    subprocess.run([sys.executable, "scripts/lock.py", "--check"], cwd=PROJECT, check=True)


@pytest.mark.parametrize("target", ["soak", "bench", "docs", "screenshots", "lock"])
def test_a_target_that_no_other_test_runs_begins(target: str) -> None:
    """Its program finds all that it imports, by the paths that the Makefile gives it."""
    if Path(sys.prefix) != PROJECT / ".venv":
        pytest.skip("these tests run in another environment than that of the Makefile")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        ["make", "-s", target, "ARGS=--help"],
        cwd=PROJECT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "usage: " in done.stdout


def test_ci_runs_what_a_person_runs_and_says_what_it_installs() -> None:
    """`.ci/run` is the two targets; what it takes from the system stands in the docs."""
    commands = (PROJECT / ".ci/run").read_text()
    installed = re.findall(r"missing\+=\(([\w-]+)\)", commands)

    assert re.findall(r"^make (\w+)$", commands, re.MULTILINE) == ["test", "check"]
    assert installed
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (PROJECT / page).read_text()
        assert [package for package in installed if package not in text] == [], page


def test_help_lists_every_target_with_what_it_does() -> None:
    """`make` alone shows each target that a person may call."""
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout

    assert {"help", "demo", "test", "check", "bench", "ui"} <= make_targets()
    assert [name for name in make_targets() if not re.search(rf"make {name}\s", shown)] == []


def test_every_make_target_is_documented() -> None:
    """The README names each target that a person may call."""
    readme = (PROJECT / "README.md").read_text()

    assert [name for name in sorted(make_targets()) if f"make {name}" not in readme] == []


def test_test_folders_are_no_packages() -> None:
    """A package `tests/dynamics_sandbox` could be imported instead of the real one."""
    assert list((PROJECT / "tests").rglob("__init__.py")) == []


def test_import_rules_name_every_plugin() -> None:
    """Plugins are single modules, which the import rules can't find by themselves."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]
    forbidden = {
        name for rule in settings["contracts"] for name in rule.get("forbidden_modules", [])
    }

    assert {path.stem for path in (PROJECT / "plugins").glob("*.py")} <= forbidden


def make_targets() -> set[str]:
    """Targets with a description."""
    return {name for name, _ in TARGET.findall((PROJECT / "Makefile").read_text())}
