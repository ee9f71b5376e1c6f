"""Turn each `requirements*.in` into a complete lock, and tell when a lock is behind its source.

A lock names every package at one version with the checksums of its files, so that what is
installed is what was tried, whichever registry hands it out. It opens with the checksum of what
it was made from, so `--check` needs neither the network nor a resolver: it fails when somebody
edited the short list and forgot `make lock`.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
# In this order: later ones are constrained by the first.
NAMES = ("requirements", "requirements-dev", "requirements-docker", "requirements-installer")
OLDEST_PYTHON = "3.11"
CONSTRAINT = re.compile(r"^-c (\S+)$", re.MULTILINE)
CHECKSUM = re.compile(r"^# made from: sha256 ([0-9a-f]{64})$", re.MULTILINE)


def main() -> int:
    """Make all locks, or with `--check` say which ones are out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail on a stale lock")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions allowed")
    options = parser.parse_args()
    if options.check:
        return check()
    for name in NAMES:
        lock(name, upgrade=options.upgrade)
    return 0


def check() -> int:
    """Report stale locks and return the exit code."""
    stale = [name for name in NAMES if recorded_checksum(name) != checksum(name)]
    for name in stale:
        print(f"{name}.txt is not made from the present {name}.in: run `make lock`")
    return 1 if stale else 0


def checksum(name: str) -> str:
    """Digest of what decides a lock: its short list and the lock that constrains it, if any."""
    listed = f"{name}.in"
    constraints = CONSTRAINT.findall((PROJECT / listed).read_text())
    digest = hashlib.sha256()
    for source in [listed, *constraints]:
        digest.update((PROJECT / source).read_bytes())
    return digest.hexdigest()


def recorded_checksum(name: str) -> str | None:
    """Digest that the lock says it was made from."""
    path = PROJECT / f"{name}.txt"
    found = CHECKSUM.search(path.read_text()) if path.exists() else None
    return found[1] if found else None


def lock(name: str, *, upgrade: bool) -> None:
    """Resolve one list; versions already locked stay unless they must or may change."""
    target = PROJECT / f"{name}.txt"
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", f"{name}.in", "--output-file", target.name),
        *("--universal", "--python-version", OLDEST_PYTHON, "--no-emit-index-url", "--no-header"),
        *("--generate-hashes", "--quiet", *(["--upgrade"] if upgrade else [])),
    ]
    subprocess.run(command, cwd=PROJECT, check=True)
    pins = target.read_text()
    if "://" in pins:
        sys.exit(f"{target.name} names an address: a lock must hold versions only")
    target.write_text(
        f"# Every package at an exact version with its files' checksums, Python 3.11 to 3.13.\n"
        f"# Re-made by `make lock`.\n"
        f"# made from: sha256 {checksum(name)}\n{pins}"
    )
    count = len(re.findall(r"^\w", pins, re.MULTILINE))
    print(f"{target.name}: {count} packages")


if __name__ == "__main__":
    sys.exit(main())
