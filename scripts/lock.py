"""Turn the dependency groups of `pyproject.toml` into one lock, and tell when it is behind them.

The lock, `requirements.txt`, names every package of all groups at one version with the checksums
of its files, so that what is installed is what was tried, whichever registry hands it out. Whoever
needs less installs a group under its constraint. It opens with the checksum of the groups, so
`--check` needs neither the network nor a resolver: it fails when somebody edited them and forgot
`make lock`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
LOCK = PROJECT / "requirements.txt"
OLDEST_PYTHON = "3.11"
CHECKSUM = re.compile(r"^# made from: sha256 ([0-9a-f]{64})$", re.MULTILINE)


def main() -> int:
    """Make the lock, or with `--check` say whether it is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail on a stale lock")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions allowed")
    options = parser.parse_args()
    if options.check:
        return check_lock()
    make_lock(upgrade=options.upgrade)
    return 0


def check_lock() -> int:
    """Report a stale lock and return the exit code."""
    found = CHECKSUM.search(LOCK.read_text()) if LOCK.exists() else None
    if found and found[1] == checksum(dependency_groups()):
        return 0
    print(f"{LOCK.name} is not made from the present groups of pyproject.toml: run `make lock`")
    return 1


def dependency_groups() -> dict[str, Any]:
    """The groups by name, as `pyproject.toml` has them."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    groups: dict[str, Any] = settings["dependency-groups"]
    return groups


def checksum(groups: dict[str, Any]) -> str:
    """Digest of what decides the lock: comments and order of the groups do not."""
    return hashlib.sha256(json.dumps(groups, sort_keys=True).encode()).hexdigest()


def make_lock(*, upgrade: bool) -> None:
    """Resolve all groups together; versions already locked stay unless they must or may change."""
    groups = dependency_groups()
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--output-file", LOCK.name),
        *(word for name in groups for word in ("--group", name)),
        *("--universal", "--python-version", OLDEST_PYTHON, "--no-emit-index-url", "--no-header"),
        *("--generate-hashes", "--quiet", *(["--upgrade"] if upgrade else [])),
    ]
    subprocess.run(command, cwd=PROJECT, check=True)
    pins = LOCK.read_text()
    if "://" in pins:
        sys.exit(f"{LOCK.name} names an address: a lock must hold versions only")
    LOCK.write_text(
        f"# Every package of the groups {', '.join(groups)} (pyproject.toml) at an exact version\n"
        f"# with its files' checksums, Python 3.11 to 3.13. Re-made by `make lock`.\n"
        f"# made from: sha256 {checksum(groups)}\n{pins}"
    )
    count = len(re.findall(r"^\w", pins, re.MULTILINE))
    print(f"{LOCK.name}: {count} packages")


if __name__ == "__main__":
    sys.exit(main())
